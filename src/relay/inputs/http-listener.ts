/**
 * The HTTP port (`http_port`): `POST /lines` and nothing else. On a loopback address it also refuses what a page of
 * another site, shown by a browser on this machine, would have it take.
 */

import { hostname as ownName } from 'node:os'
import type { Config } from '../../config.ts'
import { ConfigError } from '../../daemon.ts'
import { reason } from '../../lib/log.ts'
import {
  isForOwnName,
  isFromOtherSite,
  isLoopbackAddress,
  splitNames,
} from '../../lib/own-names.ts'
import { HTTP_BODY_BYTES_MAX } from './http-lines.ts'

export class HttpListener {
  private readonly config: () => Config
  private readonly answer: (request: Request) => Promise<Response>
  private open: { readonly where: string; readonly server: Bun.Server<undefined> } | undefined

  /** `config`: the one in force. */
  constructor(config: () => Config, answer: (request: Request) => Promise<Response>) {
    this.config = config
    this.answer = answer
    this.open = undefined
  }

  /** Listens where this configuration wants it to, and no more where it did. */
  listen(config: Config): void {
    const { bind, http_port: port } = config.relay
    const where = `${bind}:${port}`
    if (this.open?.where === where) return
    const before = this.open
    this.open = port === 0 ? undefined : { where, server: this.serve(bind, port) }
    void before?.server.stop()
  }

  /** Takes no more requests; resolves when all that were taken are answered. */
  async close(): Promise<void> {
    await this.open?.server.stop()
  }

  private serve(hostname: string, port: number): Bun.Server<undefined> {
    try {
      return Bun.serve({
        hostname,
        port,
        maxRequestBodySize: HTTP_BODY_BYTES_MAX,
        fetch: (request) => {
          if (request.method !== 'POST' || new URL(request.url).pathname !== '/lines')
            return new Response('POST /lines\n', { status: 404 })
          if (isLoopbackAddress(hostname) && this.isOfPage(request.headers))
            return new Response('no lines from pages of other sites\n', { status: 403 })
          return this.answer(request)
        },
      })
    } catch (error) {
      throw new ConfigError([`cannot listen on http ${hostname}:${port}: ${reason(error)}`])
    }
  }

  /** A page that a browser on this machine shows sent it, not one of ours. */
  private isOfPage(headers: Headers): boolean {
    const names = [ownName(), ...splitNames(this.config().http_names)]
    return isFromOtherSite(headers) || !isForOwnName(headers, names)
  }
}
