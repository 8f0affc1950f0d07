/** Monit's command line, for one control file. */
import type { Config } from '../src/config.ts'
import { fromUtf8 } from '../src/lib/bytes.ts'
import { sleep, systemClock } from '../src/lib/clock.ts'
import { realDisk } from '../src/lib/disk.ts'

const WAIT_MS_MAX = 10_000

export class Monit {
  readonly file: string
  private readonly config: Config

  constructor(file: string, config: Config) {
    this.file = file
    this.config = config
  }

  /** What `monit -t` says against a control file, if anything. */
  check(file: string): string | undefined {
    const { exitCode, said } = run('-t', '-c', file)
    return exitCode === 0 ? undefined : said
  }

  /** Whether the daemon of this control file runs. */
  answers(): boolean {
    if (!realDisk.stat(`${this.config.run}/monit.sock`)) return false
    return run('-c', this.file, 'summary').exitCode === 0
  }

  /** Starts the daemon, detached, under a parent that reaps what the processes leave behind. */
  async start(environment: Readonly<Record<string, string | undefined>>): Promise<void> {
    Bun.spawnSync(['setsid', '-f', 'tini', '-s', '--', 'monit', '-I', '-c', this.file], {
      env: environment,
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    await this.until(() => this.answers(), 'start')
  }

  command(...words: string[]): void {
    const { exitCode, said } = run('-c', this.file, ...words)
    if (exitCode === 0) return
    console.error(`monit ${words.join(' ')}: ${said}`)
    process.exit(1)
  }

  /** How a user says it. */
  commandLine(words: string): string {
    return `monit -c ${this.file} ${words}`
  }

  /** Ends the daemon, and leaves the processes as they are. */
  async quit(): Promise<void> {
    const pid = Number(fromUtf8(realDisk.readFile(`${this.config.data}/monit/pid`)))
    this.command('quit')
    await this.until(() => !isAlive(pid), 'stop')
  }

  private async until(done: () => boolean, what: string): Promise<void> {
    const giveUpMs = systemClock.monotonicMs() + WAIT_MS_MAX
    while (!done()) {
      if (systemClock.monotonicMs() > giveUpMs) {
        console.error(`monit does not ${what}; see ${this.config.data}/log/monit.log`)
        process.exit(1)
      }
      await sleep(systemClock, 50)
    }
  }
}

function run(...words: string[]): { exitCode: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['monit', ...words])
  return { exitCode, said: (stdout.toString() + stderr.toString()).trim() }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
