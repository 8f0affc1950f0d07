/**
 * A race between two relays on the same input: each a process of its own, TCP in and out, from a client and to
 * sinks in this process. What counts is the CPU time of the whole relay process (/proc/PID/stat), user and
 * system, from after a warm-up pass over all names until the last line has reached the last sink.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'

export interface Course {
  /** relay.conf; `SINK0`, `SINK1` … stand for addresses of sinks. */
  readonly conf: string
  readonly sinks: number
  readonly names: readonly string[]
  /** Lines that reach sinks, together, for each pass over the names. */
  readonly linesOutPerPass: number
  readonly passes: number
}

export interface Lap {
  readonly cpuSeconds: number
  readonly linesIn: number
  readonly linesOut: number
  readonly wallSeconds: number
  readonly peakBytes: number
}

/** CPU time is counted in ticks. */
const TICKS_PER_SECOND = 100
const TICK_MS = 10
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

/** One relay over the course. */
export async function run(which: 'ours' | 'carbon-c-relay', course: Course): Promise<Lap> {
  const dir = mkdtempSync(`${tmpdir()}/emon-race-`)
  const sinks = Array.from({ length: course.sinks }, () => new Sink())
  const port = await freePort()
  let conf = course.conf
  for (const [i, sink] of sinks.entries()) {
    conf = conf.replaceAll(`SINK${i}`, `127.0.0.1:${sink.port}`)
  }
  await Bun.write(`${dir}/relay.conf`, conf)
  const child = Bun.spawn(command(which, dir, port), {
    env: environment(dir, port),
    stdout: 'ignore',
    stderr: Bun.file(`${dir}/log`),
  })
  try {
    const client = await connect(port)
    const delivered = (): number => sinks.reduce((sum, sink) => sum + sink.lines, 0)
    const pass = passBytes(course.names)
    const silent = course.linesOutPerPass === 0
    await client.send(pass)
    if (silent) await client.send(MARKER)
    await quiet(delivered, silent ? 1 : course.linesOutPerPass)
    const before = { cpu: cpuSeconds(child.pid), lines: delivered() }
    const started = performance.now()
    for (let i = 0; i < course.passes; i++) await client.send(pass)
    if (silent) await client.send(MARKER)
    await quiet(delivered, before.lines + (silent ? 1 : course.linesOutPerPass * course.passes))
    await Bun.sleep(TICK_MS * 3)
    return {
      cpuSeconds: cpuSeconds(child.pid) - before.cpu,
      linesIn: course.names.length * course.passes,
      linesOut: delivered() - before.lines,
      wallSeconds: (performance.now() - started) / 1000,
      peakBytes: peakBytes(child.pid),
    }
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

function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024
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
