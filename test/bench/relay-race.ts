/**
 * A race between two relays on the same input: each a process of its own, TCP in and out, from a client and to
 * sinks in this process. What counts is the CPU time of the whole relay process (/proc/PID/stat), user and
 * system: of a first pass, of passes over the same names, and of a last one over other names, all new, each until
 * the last line has reached the last sink.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'

export interface Course {
  /** relay.conf; `SINK0`, `SINK1` … stand for addresses of sinks. */
  readonly conf: string
  readonly sinks: number
  readonly names: readonly string[]
  /** Others, which come once; lines for each of them go where those for the names go. */
  readonly otherNames: readonly string[]
  /** Lines that reach sinks, together, for each pass over the names. */
  readonly linesOutPerPass: number
  readonly passes: number
}

export interface Lap {
  readonly cpuSeconds: number
  readonly linesIn: number
  /** Of the first pass. */
  readonly firstCpuSeconds: number
  readonly firstLinesIn: number
  /** Of other names, in a process that has been at work. */
  readonly newCpuSeconds: number
  readonly newLinesIn: number
  readonly linesOut: number
  readonly wallSeconds: number
  readonly peakBytes: number
}

/** CPU time is counted in ticks. */
const TICKS_PER_SECOND = 100
const TICK_MS = 10
const SETTLE_MS = 500
/** Where every other line goes into a blackhole, this one tells that all before it have been read. */
const MARKER = Buffer.from('marker 1 1\n')
const RELAY = `${import.meta.dir}/../../scripts/relay.ts`

export function hasPeer(): boolean {
  return Bun.which('carbon-c-relay') !== null
}

class Sink {
  lines = 0
  readonly port: number
  private readonly server: Bun.TCPSocketListener

  constructor() {
    this.server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: (_, bytes) => {
          let count = 0
          for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++
          this.lines += count
        },
        error: () => undefined,
      },
    })
    this.port = this.server.port
  }

  stop(): void {
    this.server.stop(true)
  }
}

export type Runner = 'ours' | 'carbon-c-relay'

/** One relay over the course. */
export function run(which: Runner, course: Course): Promise<Lap> {
  return withRelay(which, course, async ({ pid, port, sinks }) => {
    const client = await connect(port)
    const delivered = (): number => sinks.reduce((sum, sink) => sum + sink.lines, 0)
    const pass = passBytes(course.names)
    const others = passBytes(course.otherNames)
    const silent = course.linesOutPerPass === 0
    /** CPU seconds of so many passes as long as one over the names. */
    const lap = async (bytes: Uint8Array, times: number, passes: number): Promise<number> => {
      const cpuBefore = cpuSeconds(pid)
      const linesBefore = delivered()
      for (let i = 0; i < times; i++) await client.send(bytes)
      if (silent) await client.send(MARKER)
      await quiet(delivered, linesBefore + (silent ? 1 : course.linesOutPerPass * passes))
      await Bun.sleep(TICK_MS * 3)
      return cpuSeconds(pid) - cpuBefore
    }
    await Bun.sleep(SETTLE_MS)
    const firstCpuSeconds = await lap(pass, 1, 1)
    const linesBefore = delivered()
    const started = performance.now()
    const knownCpuSeconds = await lap(pass, course.passes, course.passes)
    const wallSeconds = (performance.now() - started) / 1000
    const linesOut = delivered() - linesBefore
    const peakBytes = memoryBytes(pid, 'VmHWM')
    return {
      cpuSeconds: knownCpuSeconds,
      linesIn: course.names.length * course.passes,
      firstCpuSeconds,
      firstLinesIn: course.names.length,
      newCpuSeconds: await lap(others, 1, course.otherNames.length / course.names.length),
      newLinesIn: course.otherNames.length,
      linesOut,
      wallSeconds,
      peakBytes,
    }
  })
}

/** What connections cost that have sent a line and are silent since. */
export function idleBytes(which: Runner, connections: number): Promise<number> {
  const conf =
    'cluster a forward SINK0;\nmatch marker send to a stop;\nmatch * send to blackhole;\n'
  return withRelay(which, { conf, sinks: 1 }, async ({ pid, port }) => {
    await (await connect(port)).send(MARKER)
    await Bun.sleep(SETTLE_MS)
    const before = memoryBytes(pid, 'VmRSS')
    for (let i = 0; i < connections; i++) await (await connect(port)).send(MARKER)
    await Bun.sleep(SETTLE_MS)
    return memoryBytes(pid, 'VmRSS') - before
  })
}

interface Running {
  readonly pid: number
  readonly port: number
  readonly sinks: readonly Sink[]
}

async function withRelay<T>(
  which: Runner,
  { conf, sinks: count }: Pick<Course, 'conf' | 'sinks'>,
  use: (running: Running) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(`${tmpdir()}/emon-race-`)
  const sinks = Array.from({ length: count }, () => new Sink())
  const port = await freePort()
  let text = conf
  for (const [i, sink] of sinks.entries()) {
    text = text.replaceAll(`SINK${i}`, `127.0.0.1:${sink.port}`)
  }
  await Bun.write(`${dir}/relay.conf`, text)
  const child = Bun.spawn(command(which, dir, port), {
    env: environment(dir, port),
    stdout: 'ignore',
    stderr: Bun.file(`${dir}/log`),
  })
  try {
    return await use({ pid: child.pid, port, sinks })
  } finally {
    child.kill('SIGKILL')
    await child.exited
    for (const sink of sinks) sink.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

function command(which: string, dir: string, port: number): string[] {
  if (which === 'ours') return [process.execPath, RELAY]
  const options = ['-w', '1', '-q', '1000000', '-b', '2500', '-L', '15']
  return ['carbon-c-relay', '-f', `${dir}/relay.conf`, '-p', String(port), ...options]
}

function environment(dir: string, port: number): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    EMON_DATA: dir,
    EMON_RELAY_PORT: String(port),
    EMON_RELAY_BIND: '127.0.0.1',
    EMON_PICKLE_PORT: 'off',
    EMON_STATSD_PORT: 'off',
  }
}

function passBytes(names: readonly string[]): Uint8Array {
  const now = Math.floor(Date.now() / 1000)
  let text = ''
  for (let i = 0; i < names.length; i++) {
    text += `${names[i]} ${((i * 7919) % 100_000) / 100} ${now}\n`
  }
  return Buffer.from(text)
}

interface Client {
  send(bytes: Uint8Array): Promise<void>
}

async function connect(port: number): Promise<Client> {
  let drained: (() => void) | undefined
  for (let tries = 0; ; tries++) {
    try {
      const socket = await Bun.connect({
        hostname: '127.0.0.1',
        port,
        socket: { data() {}, drain: () => drained?.(), error() {} },
      })
      return {
        async send(bytes) {
          let sent = 0
          while (sent < bytes.length) {
            sent += Math.max(0, socket.write(bytes.subarray(sent)))
            if (sent < bytes.length) await new Promise<void>((resolve) => (drained = resolve))
          }
        },
      }
    } catch (error) {
      if (tries > 200) throw error
      await Bun.sleep(20)
    }
  }
}

/** Until `wanted` lines are there, or none has come for three seconds: then some were lost. */
async function quiet(lines: () => number, wanted: number): Promise<void> {
  let last = -1
  let since = performance.now()
  while (lines() < wanted) {
    if (lines() !== last) {
      last = lines()
      since = performance.now()
    } else if (performance.now() - since > 3_000) return
    await Bun.sleep(5)
  }
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** `VmHWM` is the peak. */
function memoryBytes(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
