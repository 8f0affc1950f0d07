/**
 * The real processes of one instance, on free ports of 127.0.0.1 and in a folder of their own, for tests that
 * start, kill and question them. `close` ends what was started, by pid, and removes the folder.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { readSlowAnswer } from '../../src/ipc/admin.ts'
import { type Config, loadConfig, PACKAGE_DIR } from '../../src/config.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { PROCESSES, runtimeOf } from '../../src/monitrc.ts'
import { NO_ANSWER, notReady, waitUntilReady } from '../../src/readiness.ts'

export type ProcessName = (typeof PROCESSES)[number]

export interface RenderedSeries {
  readonly target: string
  /** Value and Unix seconds. */
  readonly datapoints: readonly (readonly [number | null, number])[]
}

export interface Range {
  /** Unix seconds: later than `from`, up to and with `until`. */
  readonly from: number
  readonly until: number
}

const READY_MS_MAX = 20_000

/** Settings that listen somewhere, each to be given a free port. */
const PORTS = [
  'EMON_RELAY_PORT',
  'EMON_PICKLE_PORT',
  'EMON_STATSD_PORT',
  'EMON_STORE_PORT',
  'EMON_API_PORT',
  'EMON_SMTP_PORT',
] as const

export class Stack {
  readonly dir: string
  readonly environment: Record<string, string>
  readonly config: Config
  /** What runs a script: Bun, and perhaps what sets limits before it. */
  launcher: readonly string[]
  private readonly running: Map<ProcessName, Bun.Subprocess>
  private starts: number

  private constructor(dir: string, environment: Record<string, string>) {
    this.dir = dir
    this.launcher = [process.execPath]
    this.environment = environment
    const loaded = loadConfig({ environment, disk: realDisk })
    if (!loaded.ok) throw new Error(loaded.error.join('\n'))
    this.config = loaded.value
    this.running = new Map()
    this.starts = 0
  }

  /** An instance of which nothing runs yet. */
  static async create(settings: Record<string, string> = {}): Promise<Stack> {
    const dir = mkdtempSync(`${tmpdir()}/emon-e2e-`)
    const ports = await freePorts(PORTS.length)
    const environment: Record<string, string> = {
      PATH: process.env['PATH'] ?? '',
      HOME: dir,
      EMON_DATA: dir,
      EMON_RELAY_BIND: '127.0.0.1',
    }
    PORTS.forEach((variable, i) => (environment[variable] = String(ports[i])))
    return new Stack(dir, { ...environment, ...settings })
  }

  /** An instance of which everything runs, and these, or all, are ready. */
  static async start(
    settings: Record<string, string> = {},
    waitFor: readonly ProcessName[] = PROCESSES,
  ): Promise<Stack> {
    const stack = await Stack.create(settings)
    for (const name of PROCESSES) stack.spawn(name)
    try {
      await stack.ready(...waitFor)
    } catch (error) {
      await stack.close()
      throw error
    }
    return stack
  }

  /** Starts one; does not wait for it. */
  spawn(name: ProcessName): void {
    const log = Bun.file(`${this.dir}/${name}.stderr.${this.starts++}`)
    const child = Bun.spawn([...this.launcher, `scripts/${name}.ts`], {
      cwd: PACKAGE_DIR,
      env: { ...runtimeOf(name), ...this.environment },
      stdio: ['ignore', 'ignore', log],
    })
    this.running.set(name, child)
  }

  /** Waits until these, or all that run, are ready. */
  async ready(...names: ProcessName[]): Promise<void> {
    const asked = names.length > 0 ? names : [...this.running.keys()]
    const options = { clock: systemClock, timeoutMs: READY_MS_MAX }
    const missing = await waitUntilReady(this.config, asked, options)
    if (missing.length === 0) return
    const logs = asked.map((name) => `── ${name}\n${this.log(name)}`)
    throw new Error(`not ready: ${missing.join('; ')}\n${logs.join('\n')}`)
  }

  /** Waits until it answers, ready or not: a relay whose central server is away is not. */
  async answers(name: ProcessName): Promise<void> {
    const untilMs = performance.now() + READY_MS_MAX
    while ((await notReady(this.config, name)).some((reason) => reason.endsWith(NO_ANSWER))) {
      if (performance.now() > untilMs) throw new Error(`${name} ${NO_ANSWER}\n${this.log(name)}`)
      await Bun.sleep(20)
    }
  }

  pid(name: ProcessName): number {
    const child = this.running.get(name)
    if (!child) throw new Error(`${name} does not run`)
    return child.pid
  }

  /** kill -9, and waits until it is gone. */
  kill(name: ProcessName): Promise<number> {
    return this.end(name, 'SIGKILL')
  }

  /** TERM, and waits; the answer is the exit code. */
  stop(name: ProcessName): Promise<number> {
    return this.end(name, 'SIGTERM')
  }

  /** Waits until it ends by itself; the answer is the exit code. */
  async exited(name: ProcessName): Promise<number> {
    const code = await this.running.get(name)!.exited
    this.running.delete(name)
    return code
  }

  signal(name: ProcessName, signal: NodeJS.Signals): void {
    process.kill(this.pid(name), signal)
  }

  /** What it said on stderr, over all its starts. */
  log(name: ProcessName): string {
    const files = realDisk.list(this.dir).filter((file) => file.startsWith(`${name}.stderr.`))
    return files.map((file) => readFileSync(`${this.dir}/${file}`, 'utf8')).join('')
  }

  async render(parameters: Record<string, string | number>): Promise<RenderedSeries[]> {
    const query = new URLSearchParams({ format: 'json' })
    for (const [name, value] of Object.entries(parameters)) query.set(name, String(value))
    const url = `http://127.0.0.1:${this.config.api.port}/render?${query.toString()}`
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
    const text = await response.text()
    if (!response.ok) throw new Error(`${response.status} for ${url}: ${text}`)
    return JSON.parse(text) as RenderedSeries[]
  }

  /** Every value that is there for the target, `NAME TIME` → value. */
  async points(target: string, range: Range): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    for (const series of await this.render({ target, ...range })) {
      for (const [value, time] of series.datapoints) {
        if (value !== null) found.set(`${series.target} ${time}`, value)
      }
    }
    return found
  }

  /** Asks until there are `count` points; the last answer, whether or not there were. */
  async pointsWhen(target: string, range: Range, count: number): Promise<Map<string, number>> {
    const untilMs = performance.now() + 5_000
    for (;;) {
      const points = await this.points(target, range)
      if (points.size >= count || performance.now() > untilMs) return points
      await Bun.sleep(50)
    }
  }

  /** What `bun run store flush` does: everything is sealed and rolled up when it is done. */
  async seal(): Promise<void> {
    const unix = `${this.config.run}/store-admin.sock`
    const answer = await fetch('http://emon/flush', { unix, method: 'POST' })
    if (!readSlowAnswer(await answer.text()).ok) throw new Error('the store did not flush')
  }

  /** One of the process's own numbers, from /metrics on its admin socket; 0 when it has none of that name. */
  async metric(name: ProcessName, metric: string): Promise<number> {
    const unix = `${this.config.run}/${name}-admin.sock`
    const text = await (await fetch('http://emon/metrics', { unix })).text()
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${metric} `))
    return line === undefined ? 0 : Number(line.slice(metric.length + 1))
  }

  async close(): Promise<void> {
    for (const name of this.running.keys()) await this.end(name, 'SIGKILL')
    rmSync(this.dir, { recursive: true, force: true })
  }

  private async end(name: ProcessName, signal: NodeJS.Signals): Promise<number> {
    const child = this.running.get(name)
    if (!child) return 0
    child.kill(signal)
    return this.exited(name)
  }
}

/**
 * Ports of 127.0.0.1 that nobody listens on now. They lie below those that Linux gives to outgoing connections,
 * so that none of them is taken by chance before it is used.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if (!ports.includes(port) && (await isFree(port))) ports.push(port)
  }
  return ports
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const listening = Promise.withResolvers<boolean>()
  server.once('error', () => listening.resolve(false))
  server.listen(port, '127.0.0.1', () => listening.resolve(true))
  const free = await listening.promise
  server.close()
  return free
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}
