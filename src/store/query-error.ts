/** What the asker of a query is told instead of an answer (ipc/store-protocol.ts StoreFailure). */

import type { StoreFailure } from '../ipc/store-protocol.ts'

export class QueryError extends Error {
  override readonly name = 'QueryError'
  readonly code: StoreFailure['code']

  constructor(code: StoreFailure['code'], text: string) {
    super(text)
    this.code = code
  }
}
