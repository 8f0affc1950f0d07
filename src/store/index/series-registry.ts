/**
 * Names to series: makes a series the first time a name is seen, with the rule that the schemas give it,
 * and takes it away again. Everything that writes points or changes names goes through here.
 *
 * A name that cannot become a series now (too many new ones, no space), or whose series was deleted
 * or renamed away while a connection still has its number, is *parked*: its number stands above
 * `PARKED_FIRST`, and every frame with points for it asks again. A parked name costs its bytes; there are at
 * most `PARKED_MAX`, names beyond that are refused until the sender connects again.
 */

import { isUtf8 } from 'node:buffer'
import { fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import type { Counter, Stats } from '../../lib/stats.ts'
import { REFUSED_ID } from '../../ipc/points-format.ts'
import { canonicalPath, isValidPath } from '../../metric/path.ts'
import { ABSENT, ByteTable } from './byte-table.ts'
import type { Engine, SeriesRule } from '../engine.ts'
import { QueryError } from '../query-error.ts'
import type { Schemas } from './schemas.ts'
import type { SeriesIndex } from './series-index.ts'
import type { Refusal, SeriesLimits } from './series-limits.ts'
import type { SlicedWork } from '../../lib/slices.ts'

/** Numbers from here on are parked names, up to REFUSED_ID. */
export const PARKED_FIRST = 0xc000_0000
const PARKED_MAX = 262_144

const SEMICOLON = 0x3b
const SLICE = 1_024

/** Who keeps numbers of series for names: a connection. */
export interface NumberHolder {
  /** Puts `replace(number)` in the place of every number. */
  renumber(replace: (number: number) => number): void
}

export interface RegistryParts {
  readonly index: SeriesIndex
  readonly engine: Engine
  readonly limits: SeriesLimits
  readonly stats: Stats
  readonly schemas: Schemas
}

export class SeriesRegistry {
  readonly index: SeriesIndex
  readonly holders: Set<NumberHolder>
  private readonly engine: Engine
  private readonly limits: SeriesLimits
  private readonly parked: ByteTable
  private readonly parkedFree: number[]
  private readonly created: Counter
  private readonly refused: Readonly<Record<Refusal | 'disk' | 'name' | 'parked', Counter>>
  private schemas: Schemas
  private nextId: number

  constructor({ index, engine, limits, stats, schemas }: RegistryParts) {
    this.index = index
    this.engine = engine
    this.limits = limits
    this.schemas = schemas
    this.holders = new Set()
    this.parked = new ByteTable()
    this.parkedFree = []
    this.created = stats.counter('series.created')
    this.refused = {
      name: stats.counter('series.refused.name'),
      rate: stats.counter('series.refused.rate'),
      total: stats.counter('series.refused.total'),
      quota: stats.counter('series.refused.quota'),
      disk: stats.counter('series.refused.disk'),
      parked: stats.counter('series.refused.parked'),
    }
    this.nextId = engine.nextId
  }

  /** Whether any connection may hold a parked number. */
  get hasParked(): boolean {
    return this.parked.size > 0
  }

  /** The number of the name's series, made if need be; a parked number or REFUSED_ID where it cannot be. */
  resolve(name: Uint8Array): number {
    const known = this.index.find(name)
    if (known !== ABSENT) return known
    const canonical = this.canonical(name)
    if (canonical === undefined) return REFUSED_ID
    const id = this.findOrCreate(canonical)
    return id === ABSENT ? this.park(canonical) : id
  }

  /** As `resolve` for who keeps no numbers: ABSENT when there is no series now. */
  resolveOnce(name: Uint8Array): number {
    const canonical = this.canonical(name)
    return canonical === undefined ? ABSENT : this.findOrCreate(canonical)
  }

  /** Asks again for parked numbers among `ids[0, count)`; what stays refused becomes REFUSED_ID. */
  retryParked(ids: Uint32Array, count: number): void {
    const moved = new Map<number, number>()
    for (let i = 0; i < count; i++) {
      const number = ids[i]!
      if (number < PARKED_FIRST || number === REFUSED_ID) continue
      let id = moved.get(number)
      if (id === undefined) {
        id = this.findOrCreate(this.parked.bytes(number - PARKED_FIRST))
        if (id !== ABSENT) moved.set(number, id)
      }
      ids[i] = id === ABSENT ? REFUSED_ID : id
    }
    if (moved.size === 0) return
    this.renumber((number) => moved.get(number) ?? number)
    for (const number of moved.keys()) this.unpark(number - PARKED_FIRST)
  }

  /** A connection is over; with the last one go all parked names. */
  release(holder: NumberHolder): void {
    this.holders.delete(holder)
    if (this.holders.size > 0) return
    for (let i = 0; i < this.parked.idLimit; i++) if (this.parked.has(i)) this.unpark(i)
  }

  /**
   * Makes a series with a rule of its own, for an import, however many came this second; the series that is there
   * keeps its rule. `QueryError` when there are as many as there may be.
   */
  define(name: Uint8Array, rule: SeriesRule): number {
    const known = this.index.find(name)
    if (known !== ABSENT) return known
    const path = fromUtf8(name)
    this.refuseIf(this.limits.fullness(path))
    return this.create(name, path, rule)
  }

  /** Logged, not yet synced; how many there were. */
  remove(paths: readonly string[]): number {
    const gone = new Map<number, Uint8Array>()
    try {
      for (const path of paths) {
        const id = this.index.findText(path)
        if (id !== ABSENT) this.removeOne(id, gone)
      }
    } finally {
      this.parkNumbers(gone)
    }
    return gone.size
  }

  /**
   * Logged, not yet synced. The caller has seen that `to` is free and a good name in canonical form. `QueryError` when
   * there are as many series under its prefix as there may be.
   */
  rename(from: string, to: string): boolean {
    const id = this.index.findText(from)
    if (id === ABSENT) return false
    this.refuseIf(this.limits.fullnessFor({ from, to }))
    const name = toUtf8(to)
    this.engine.rename(id, to)
    const old = this.index.names.bytes(id).slice()
    this.index.rename(id, name)
    this.limits.removed(old)
    this.limits.added(name)
    this.parkNumbers(new Map([[id, old]]))
    return true
  }

  /** Gives every series the rule that the schemas now say; how many changed. */
  *applySchemas(schemas: Schemas): SlicedWork<number> {
    this.schemas = schemas
    let changed = 0
    for (let id = 0; id < this.index.names.idLimit; id++) {
      if (id % SLICE === SLICE - 1) yield
      if (!this.index.has(id)) continue
      const old = this.engine.ruleOf(id)
      if (!old || old.pinned) continue
      const rule = this.ruleFor(this.index.name(id))
      if (sameRule(old, rule)) continue
      this.engine.redefine(id, rule)
      changed++
    }
    return changed
  }

  /**
   * Removes series whose newest point is older than everything that is kept of them. What time it is, and whether
   * anything may go, is asked of the engine before every slice: a clock that jumps meanwhile stops the rest.
   */
  *expire(): SlicedWork<number> {
    let now = this.engine.deletionNow()
    let gone = new Map<number, Uint8Array>()
    let expired = 0
    try {
      for (let id = 0; id < this.index.names.idLimit; id++) {
        if (id % SLICE === SLICE - 1) {
          this.parkNumbers(gone)
          gone = new Map()
          yield
          now = this.engine.deletionNow()
        }
        if (now === undefined) break
        const lastSeen = this.index.has(id) ? this.engine.lastSeen(id) : 0
        const rule = lastSeen === 0 ? undefined : this.engine.ruleOf(id)
        if (!rule || lastSeen + longestRetention(rule) >= now) continue
        this.removeOne(id, gone)
        expired++
      }
    } finally {
      this.parkNumbers(gone)
    }
    return expired
  }

  private refuseIf(full: 'total' | 'quota' | undefined): void {
    if (full === undefined) return
    this.refused[full].value++
    const setting = full === 'total' ? 'store.series_max' : 'store.quotas'
    throw new QueryError('limit', `there may be no more series: see ${setting}`)
  }

  private removeOne(id: number, gone: Map<number, Uint8Array>): void {
    const name = this.index.names.bytes(id).slice()
    this.engine.remove(id)
    this.index.remove(id)
    this.limits.removed(name)
    gone.set(id, name)
  }

  /** The name in its canonical form, undefined when it cannot be a name. */
  private canonical(name: Uint8Array): Uint8Array | undefined {
    if (isValidPath(name) && isUtf8(name)) {
      if (!name.includes(SEMICOLON)) return name
      const path = canonicalPath(fromUtf8(name))
      if (path.ok) return toUtf8(path.value)
    }
    this.refused.name.value++
    return undefined
  }

  /** ABSENT when there is none and none can be made now. */
  private findOrCreate(name: Uint8Array): number {
    const known = this.index.find(name)
    if (known !== ABSENT) return known
    const path = fromUtf8(name)
    const refusal = this.engine.acceptsSeries() ? this.limits.refusal(path) : 'disk'
    if (refusal !== undefined) {
      this.refused[refusal].value++
      return ABSENT
    }
    try {
      return this.create(name, path, this.ruleFor(path))
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      this.refused.disk.value++
      return ABSENT
    }
  }

  private create(name: Uint8Array, path: string, rule: SeriesRule): number {
    const id = this.nextId
    this.engine.define({ id, path, ...rule })
    this.nextId = id + 1
    this.index.add(id, name)
    this.limits.added(name)
    this.created.value++
    return id
  }

  private ruleFor(path: string): SeriesRule {
    const { retention, aggregation } = this.schemas.match(path)
    return {
      archives: retention.archives,
      method: aggregation.method,
      xFilesFactor: aggregation.xFilesFactor,
      pinned: false,
    }
  }

  /** Numbers of removed series become parked names, where a connection holds them. */
  private parkNumbers(gone: ReadonlyMap<number, Uint8Array>): void {
    if (gone.size === 0) return
    this.renumber((number) => {
      const name = gone.get(number)
      return name ? this.park(name) : number
    })
  }

  private park(name: Uint8Array): number {
    const known = this.parked.find(name)
    if (known !== ABSENT) return PARKED_FIRST + known
    if (this.parked.size >= PARKED_MAX) {
      this.refused.parked.value++
      return REFUSED_ID
    }
    const place = this.parkedFree.pop() ?? this.parked.idLimit
    this.parked.set(place, name)
    return PARKED_FIRST + place
  }

  private unpark(place: number): void {
    this.parked.remove(place)
    this.parkedFree.push(place)
  }

  private renumber(replace: (number: number) => number): void {
    for (const holder of this.holders) holder.renumber(replace)
  }
}

function longestRetention(rule: SeriesRule): number {
  let longest = 0
  for (const { step, count } of rule.archives) longest = Math.max(longest, step * count)
  return longest
}

function sameRule(a: SeriesRule, b: SeriesRule): boolean {
  return (
    a.method === b.method &&
    Math.fround(a.xFilesFactor) === Math.fround(b.xFilesFactor) &&
    a.archives.length === b.archives.length &&
    a.archives.every(({ step, count }, i) => {
      const other = b.archives[i]!
      return step === other.step && count === other.count
    })
  )
}
