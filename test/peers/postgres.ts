/**
 * A real PostgreSQL (Debian's package postgresql) on a free port of loopback, its data in a temporary folder.
 * It refuses to run as root: then it runs as the user postgres of its package.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { SQL } from 'bun'
import { freePort, until } from './waiting.ts'

const PROGRAMS = [...new Bun.Glob('*/bin/postgres').scanSync({ cwd: '/usr/lib/postgresql' })]
  .map((path) => `/usr/lib/postgresql/${path.replace(/postgres$/, '')}`)
  .sort()

/** Why there is none on this machine; undefined when there is one. */
export function postgresIsMissing(): string | undefined {
  return PROGRAMS.length > 0 ? undefined : 'the Debian package postgresql is not installed'
}

export class PostgresServer {
  readonly port = freePort()
  readonly url = `postgres://emon@127.0.0.1:${this.port}/postgres`
  readonly #dir = mkdtempSync(`${tmpdir()}/postgres-`)
  #process: Bun.Subprocess | undefined

  /** Started, and filled by `statements`. */
  async start(statements: readonly string[]): Promise<this> {
    const data = `${this.#dir}/data`
    if (process.getuid?.() === 0) {
      chmodSync(this.#dir, 0o711)
      Bun.spawnSync(['install', '-d', '-o', 'postgres', '-m', '0700', data])
    }
    const made = Bun.spawnSync(
      command('initdb', ['-D', data, '-A', 'trust', '-U', 'emon', '--no-sync']),
      { cwd: '/' },
    )
    if (!made.success) throw new Error(`initdb: ${made.stderr.toString()}`)
    const options = ['-D', data, '-h', '127.0.0.1', '-p', String(this.port), '-k', data, '-F']
    this.#process = Bun.spawn(command('postgres', options), {
      cwd: '/',
      stdout: 'ignore',
      stderr: Bun.file('/dev/null'),
    })
    await until(async () => (await this.run('SELECT 1')).length === 1, { what: 'PostgreSQL' })
    for (const statement of statements) await this.run(statement)
    return this
  }

  async run(statement: string): Promise<unknown[]> {
    const connection = new SQL({ url: this.url, max: 1 })
    try {
      return (await connection.unsafe(statement)) as unknown[]
    } finally {
      await connection.close({ timeout: 0 })
    }
  }

  async close(): Promise<void> {
    // Fast shutdown: its children end with it.
    this.#process?.kill('SIGINT')
    await this.#process?.exited
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

function command(program: string, args: readonly string[]): string[] {
  const line = [`${PROGRAMS.at(-1)!}${program}`, ...args]
  if (process.getuid?.() !== 0) return line
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', ...line]
}
