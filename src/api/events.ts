/**
 * Events: what happened when, with tags, for annotations and `events()` (graphite-web events/models.py).
 * The newest EVENTS_MAX are kept.
 */

import type { Database } from 'bun:sqlite'

export interface NewEvent {
  /** Unix seconds. */
  readonly when: number
  readonly what: string
  readonly data: string
  readonly tags: readonly string[]
}

export interface GraphiteEvent extends NewEvent {
  readonly id: number
}

export interface EventSearch {
  /** Both ends included. */
  readonly from?: number | undefined
  readonly until?: number | undefined
  /** None, or `*` alone, is every event. */
  readonly tags: readonly string[]
  /**
   * intersection: events that carry every one of the tags; union: events that carry one of them; known: every
   * one that is on any event at all, others are passed over (django-tagging's rule, graphite-web's default).
   */
  readonly set: 'intersection' | 'union' | 'known'
}

const EVENTS_MAX = 1_000_000
const FOUND_MAX = 100_000

interface Row {
  id: number
  time: number
  what: string
  data: string
  tags: string | null
}

const TAGS = 'SELECT tag FROM event_tags WHERE event = events.id ORDER BY tag'
const COLUMNS = `id, time, what, data, (SELECT json_group_array(tag) FROM (${TAGS})) AS tags`

export class EventStore {
  private readonly database: Database

  constructor(database: Database) {
    this.database = database
  }

  /** Synced when it returns; answers the event's id. */
  add(event: NewEvent): number {
    const { database } = this
    return database.transaction(() => {
      const { lastInsertRowid } = database
        .query('INSERT INTO events (time, what, data) VALUES (?, ?, ?)')
        .run(event.when, event.what, event.data)
      const id = Number(lastInsertRowid)
      const tag = database.query('INSERT OR IGNORE INTO event_tags (tag, event) VALUES (?, ?)')
      for (const text of event.tags) tag.run(text, id)
      database.query('DELETE FROM events WHERE id <= ?').run(id - EVENTS_MAX)
      return id
    })()
  }

  get(id: number): GraphiteEvent | undefined {
    const row = this.database.query(`SELECT ${COLUMNS} FROM events WHERE id = ?`).get(id)
    return row === null ? undefined : toEvent(row as Row)
  }

  /** In order of time; the newest FOUND_MAX of them. */
  find(search: EventSearch): GraphiteEvent[] {
    const known = this.knownTags(search)
    if (known === undefined) return []
    const conditions = ['time BETWEEN ? AND ?']
    const values: (string | number)[] = [search.from ?? 0, search.until ?? Number.MAX_SAFE_INTEGER]
    if (known.length > 0) {
      const marks = known.map(() => '?').join(', ')
      const needed = search.set === 'union' ? 1 : known.length
      const tagged = `SELECT event FROM event_tags WHERE tag IN (${marks}) GROUP BY event`
      conditions.push(`id IN (${tagged} HAVING COUNT(*) >= ${needed})`)
      values.push(...known)
    }
    const found = `SELECT ${COLUMNS} FROM events WHERE ${conditions.join(' AND ')}`
    const rows = this.database
      .query(`${found} ORDER BY time DESC, id DESC LIMIT ${FOUND_MAX}`)
      .all(...values) as Row[]
    return rows.map(toEvent).reverse()
  }

  /** The tags to look for: [] for all events, undefined when nothing can be found. */
  private knownTags(search: EventSearch): string[] | undefined {
    const asked = [...new Set(search.tags)].slice(0, 1_000)
    if (asked.length === 0 || (asked.length === 1 && asked[0] === '*')) return []
    const query = this.database.query('SELECT 1 FROM event_tags WHERE tag = ? LIMIT 1')
    const known = asked.filter((tag) => query.get(tag) !== null)
    const missing = known.length < asked.length && search.set === 'intersection'
    return known.length === 0 || missing ? undefined : known
  }
}

function toEvent(row: Row): GraphiteEvent {
  const { id, time, what, data, tags } = row
  return { id, when: time, what, data, tags: JSON.parse(tags ?? '[]') as string[] }
}
