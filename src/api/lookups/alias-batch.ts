/**
 * What one request looks up: the questions of one turn go to their table together, each of them once.
 */

import { nextTurn } from '../../lib/clock.ts'
import type { AliasQuestion } from '../render-series.ts'
import type { AliasRow } from './alias-table.ts'
import type { AliasTables } from './alias-tables.ts'

/** Rows for one key of one table. */
interface Group {
  readonly rows: AliasRow[]
  /** A row, as JSON → its place in `rows`. */
  readonly places: Map<string, number>
  readonly answer: Promise<readonly (string | undefined)[]>
}

export class AliasBatch {
  readonly #tables: AliasTables
  /** Of this turn. */
  readonly #groups: Map<string, Group>

  constructor(tables: AliasTables) {
    this.#tables = tables
    this.#groups = new Map()
  }

  async lookUp(question: AliasQuestion): Promise<string | undefined> {
    const row = question.table === 'redis' ? [question.field] : question.nodes
    const group = this.#group(question, row.length)
    const text = JSON.stringify(row)
    let place = group.places.get(text)
    if (place === undefined) {
      place = group.rows.push(row) - 1
      group.places.set(text, place)
    }
    return (await group.answer)[place]
  }

  #group(question: AliasQuestion, columns: number): Group {
    const database = question.table === 'redis' ? undefined : question.database
    const name = JSON.stringify([question.table, database, question.key, columns])
    const known = this.#groups.get(name)
    if (known) return known
    const table = this.#tables.tableOf(question)
    const rows: AliasRow[] = []
    const ask = async (): Promise<readonly (string | undefined)[]> => {
      await nextTurn()
      this.#groups.delete(name)
      return table.lookUp(question.key, rows)
    }
    const group = { rows, places: new Map<string, number>(), answer: ask() }
    this.#groups.set(name, group)
    return group
  }
}
