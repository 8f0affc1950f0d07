/**
 * data/api/api.sqlite: what the api itself keeps, events and dashboards. Everything else is the store's.
 *
 * Every commit is synced before it is answered (WAL with synchronous=FULL). `user_version` is the file's
 * version; a newer one is refused.
 */

import { Database } from 'bun:sqlite'
import { NewerVersionError } from '../lib/corruption.ts'

const VERSION = 1

const SCHEMA = `
  CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    what TEXT NOT NULL,
    data TEXT NOT NULL
  );
  CREATE INDEX events_by_time ON events (time, id);
  CREATE TABLE event_tags (
    tag TEXT NOT NULL,
    event INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, event)
  ) WITHOUT ROWID;
  CREATE INDEX event_tags_by_event ON event_tags (event);
  CREATE TABLE dashboards (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL
  ) WITHOUT ROWID;
  PRAGMA user_version = ${VERSION};
`

/** Opens or makes the file; `:memory:` keeps nothing. */
export function openDatabase(path: string): Database {
  const database = new Database(path, { create: true, strict: true })
  database.run('PRAGMA journal_mode = WAL')
  database.run('PRAGMA synchronous = FULL')
  database.run('PRAGMA foreign_keys = ON')
  const row = database.query('PRAGMA user_version').get() as { user_version: number }
  if (row.user_version > VERSION) {
    database.close()
    throw new NewerVersionError(path, row.user_version, VERSION)
  }
  if (row.user_version === 0) database.transaction(() => database.run(SCHEMA))()
  return database
}
