/**
 * The other end of run/store-admin.sock, for command lines: a running store does the work, so that there is
 * one writer and what is answered is what is served.
 */

import { readSlowAnswer } from '../../ipc/admin.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { errorCode } from '../../lib/disk.ts'
import { err, ok, type Result } from '../../lib/result.ts'

/** As the system and as Bun's fetch call it. */
const UNREACHABLE = ['ENOENT', 'ECONNREFUSED', 'FailedToOpenSocket', 'ConnectionRefused']
const BROKEN_OFF = ['ECONNRESET', 'EPIPE', 'ConnectionClosed']

export class StoreAdminClient {
  private readonly socketPath: string

  constructor(runDir: string) {
    this.socketPath = `${runDir}/store-admin.sock`
  }

  /** The body of a good answer; the error is what the store said, or that it does not run. */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    options: { query?: Readonly<Record<string, string>>; body?: Uint8Array<ArrayBuffer> } = {},
  ): Promise<Result<Uint8Array>> {
    const query = new URLSearchParams(options.query)
    try {
      const response = await fetch(`http://store${path}?${query.toString()}`, {
        method,
        unix: this.socketPath,
        ...(options.body ? { body: options.body } : {}),
      })
      const body = new Uint8Array(await response.arrayBuffer())
      return response.ok ? ok(body) : err(new TextDecoder().decode(body).trim())
    } catch (error) {
      if (errorCode(error) === 'EACCES')
        return err(`${this.socketPath} is closed to this user: be the user that the store runs as`)
      if (BROKEN_OFF.includes(errorCode(error))) return err('the store ended before it answered')
      if (!UNREACHABLE.includes(errorCode(error))) throw error
      return err(`no store runs here (${this.socketPath}): start it, or set EMON_DATA`)
    }
  }

  /** As `ask`, for what the store answers slowly (ipc/admin.ts). */
  async askSlow(
    path: string,
    query: Readonly<Record<string, string>> = {},
  ): Promise<Result<string>> {
    const answer = await this.ask('POST', path, { query })
    return answer.ok ? readSlowAnswer(fromUtf8(answer.value)) : answer
  }

  /** The error is why no store can be asked. */
  ping(): Promise<Result<Uint8Array>> {
    return this.ask('GET', '/healthz')
  }
}
