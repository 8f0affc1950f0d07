/** Dashboards of graphite-web's composer, kept by name; their state is JSON that nobody here looks into. */

import type { Database } from 'bun:sqlite'

export class DashboardStore {
  private readonly database: Database

  constructor(database: Database) {
    this.database = database
  }

  /** Names that hold every word of `query`, whatever the case, sorted. */
  find(query: string): string[] {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean)
    const rows = this.database.query('SELECT name FROM dashboards ORDER BY name').all() as {
      name: string
    }[]
    return rows
      .map(({ name }) => name)
      .filter((name) => words.every((word) => name.toLowerCase().includes(word)))
  }

  /** The state as JSON text. */
  load(name: string): string | undefined {
    const row = this.database.query('SELECT state FROM dashboards WHERE name = ?').get(name)
    return (row as { state: string } | null)?.state
  }

  save(name: string, state: string): void {
    this.database
      .query(
        'INSERT INTO dashboards VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state',
      )
      .run(name, state)
  }

  /** False when there was none. */
  delete(name: string): boolean {
    return this.database.query('DELETE FROM dashboards WHERE name = ?').run(name).changes > 0
  }
}
