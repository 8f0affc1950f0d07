/** A real redis-server (Debian's package of that name) on a free port of loopback, in a temporary folder. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { RedisClient } from 'bun'
import { freePort, until } from './waiting.ts'

/** Why there is none on this machine; undefined when there is one. */
export function redisIsMissing(): string | undefined {
  return Bun.which('redis-server') ? undefined : 'the Debian package redis-server is not installed'
}

export class RedisServer {
  readonly port = freePort()
  readonly url = `redis://:secret@127.0.0.1:${this.port}/3`
  readonly #dir = mkdtempSync(`${tmpdir()}/redis-`)
  #process: Bun.Subprocess | undefined

  async start(): Promise<this> {
    this.#process = Bun.spawn(
      [
        'redis-server',
        '--bind',
        '127.0.0.1',
        '--port',
        String(this.port),
        '--dir',
        this.#dir,
        '--save',
        '',
        '--appendonly',
        'no',
        '--requirepass',
        'secret',
      ],
      { stdout: 'ignore', stderr: 'inherit' },
    )
    await until(async () => (await this.send('PING', [])) === 'PONG', { what: 'redis-server' })
    return this
  }

  async send(command: string, args: readonly string[]): Promise<unknown> {
    const client = new RedisClient(this.url, { autoReconnect: false })
    try {
      return await client.send(command, [...args])
    } finally {
      client.close()
    }
  }

  /** Stops it in the middle of whatever it does, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process!.kill(name)
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.exited
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
