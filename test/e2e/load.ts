/**
 * Clients that send plain lines as real ones do: on a connection that stays, and the steady load of a fleet,
 * of which it is known afterwards what has to be there.
 */
import { connect, type Socket } from 'node:net'
import { nowSeconds, type Range, type Stack } from './stack.ts'

/** One plain connection. */
export class LineClient {
  private readonly socket: Socket
  private ending: boolean
  /** Until the other end breaks it off. */
  isOpen: boolean

  private constructor(socket: Socket) {
    this.socket = socket
    this.ending = false
    this.isOpen = true
    const onBreak = (): void => {
      if (!this.ending) this.isOpen = false
    }
    socket.on('error', onBreak)
    socket.on('close', onBreak)
  }

  /** To a port of this machine, or a Unix socket. */
  static async connect(where: number | string): Promise<LineClient> {
    const socket = connect(
      typeof where === 'string' ? { path: where } : { port: where, host: '127.0.0.1' },
    )
    const opened = Promise.withResolvers<void>()
    socket.once('connect', () => opened.resolve())
    socket.once('error', (error) => opened.reject(error))
    await opened.promise
    return new LineClient(socket)
  }

  /** Resolves when the kernel has the bytes; false when the connection is gone. */
  write(bytes: string | Uint8Array): Promise<boolean> {
    const written = Promise.withResolvers<boolean>()
    this.socket.write(bytes, (error) => written.resolve(!error && this.isOpen))
    return written.promise
  }

  /** Closes cleanly: the other end reads what was written, then closes too. */
  async end(): Promise<void> {
    if (!this.isOpen || this.ending) return
    this.ending = true
    const closed = Promise.withResolvers<void>()
    this.socket.once('close', () => closed.resolve())
    this.socket.end()
    this.socket.resume()
    await closed.promise
  }
}

/** Sends lines on a connection of their own and closes it. */
export async function sendLines(stack: Stack, lines: string | Uint8Array): Promise<void> {
  const client = await LineClient.connect(stack.config.relay.port)
  await client.write(lines)
  await client.end()
}

interface SentBatch {
  readonly second: number
  /** The first of the series that were sent, and the one after the last. */
  readonly from: number
  readonly to: number
  readonly client: LineClient
}

export interface LoadReport {
  readonly sent: number
  readonly found: number
  /** `NAME TIME` of what was sent and is not there. */
  readonly missing: readonly string[]
  /** Not there, but sent on a connection that broke, after what was surely read. */
  readonly excused: number
}

/** '' when nothing is missing; else how much, of which seconds, for a test's message. */
export function describeMissing({ sent, missing }: LoadReport): string {
  if (missing.length === 0) return ''
  const counts = new Map<string, number>()
  for (const key of missing) {
    const second = key.split(' ')[1]!
    counts.set(second, (counts.get(second) ?? 0) + 1)
  }
  const seconds = [...counts].map(([second, count]) => `${count} of ${second}`)
  return `${missing.length} of ${sent} are missing: ${seconds.join(', ')}; ${missing[0]} … ${missing.at(-1)}`
}

const BATCHES_A_SECOND = 20
/** Series in one group, which is what one question asks for. */
const GROUP = 1_000
/** Seconds of it in one question. */
const STRETCH_SECONDS = 120

/**
 * `rate` series, one point a second each, with the present time, in 20 batches a second. When the connection
 * breaks it connects again and goes on with the next batch.
 */
export class SteadyLoad {
  private readonly port: number
  private readonly rate: number
  private readonly prefix: string
  private readonly batches: SentBatch[]
  private readonly clients: LineClient[]
  private running: boolean
  /** Points that the relay is known to have read in time; `Infinity` while no connection is about to break. */
  private surelyRead: number
  private readonly loop: Promise<void>

  constructor(options: { port: number; rate: number; prefix: string }) {
    this.port = options.port
    this.rate = options.rate
    this.prefix = options.prefix
    this.batches = []
    this.clients = []
    this.running = true
    this.surelyRead = Infinity
    this.loop = this.run()
  }

  get range(): Range {
    return { from: this.batches[0]!.second - 1, until: this.batches.at(-1)!.second }
  }

  get sent(): number {
    let sum = 0
    for (const { from, to } of this.batches) sum += to - from
    return sum
  }

  /** How often the connection broke. */
  get breaks(): number {
    return this.clients.filter(({ isOpen }) => !isOpen).length
  }

  /** Before the relay is ended: of this load it has read that many points, the rest may go with the connection. */
  expectAtLeast(points: number): void {
    this.surelyRead = points
  }

  /** Stops sending and closes the connection cleanly. */
  async stop(): Promise<void> {
    this.running = false
    await this.loop
    await this.clients.at(-1)?.end()
  }

  /** Asks for every point that was sent, until all are there or the time is over. */
  async check(stack: Stack, options: { timeoutMs: number; prefix?: string }): Promise<LoadReport> {
    const untilMs = performance.now() + options.timeoutMs
    for (;;) {
      const report = await this.compare(stack, options.prefix ?? '')
      if (report.missing.length === 0 || performance.now() > untilMs) return report
      await Bun.sleep(200)
    }
  }

  private async run(): Promise<void> {
    const perBatch = Math.ceil(this.rate / BATCHES_A_SECOND)
    let second = nowSeconds()
    while (this.running) {
      while (nowSeconds() <= second) await Bun.sleep(1)
      second = nowSeconds()
      const startMs = performance.now()
      for (let from = 0; from < this.rate && this.running; from += perBatch) {
        const waitMs = startMs + (from / this.rate) * 900 - performance.now()
        if (waitMs > 0) await Bun.sleep(waitMs)
        await this.sendBatch(second, from, Math.min(from + perBatch, this.rate))
      }
    }
  }

  private async sendBatch(second: number, from: number, to: number): Promise<void> {
    const client = await this.openClient()
    if (!client) return
    let text = ''
    for (let i = from; i < to; i++) text += `${this.name(i)} ${value(i, second)} ${second}\n`
    await client.write(text)
    this.batches.push({ second, from, to, client })
  }

  /** The connection, made anew when it broke; undefined while nobody listens. */
  private async openClient(): Promise<LineClient | undefined> {
    const last = this.clients.at(-1)
    if (last?.isOpen) return last
    const client = await LineClient.connect(this.port).catch(() => undefined)
    if (client) this.clients.push(client)
    return client
  }

  private name(series: number): string {
    return `${this.prefix}.g${Math.floor(series / GROUP)}.s${series % GROUP}`
  }

  /** Group by group and stretch by stretch: ten minutes of a large fleet do not fit a render. */
  private async compare(stack: Stack, prefix: string): Promise<LoadReport> {
    const { from, until } = this.range
    const report = { sent: this.sent, found: 0, missing: [] as string[], excused: 0 }
    for (let group = 0; group * GROUP < this.rate; group++) {
      for (let start = from; start < until; start += STRETCH_SECONDS) {
        const range = { from: start, until: Math.min(until, start + STRETCH_SECONDS) }
        await this.compareGroup({ stack, prefix, group, range }, report)
      }
    }
    return report
  }

  private async compareGroup(
    { stack, prefix, group, range }: { stack: Stack; prefix: string; group: number; range: Range },
    report: { found: number; missing: string[]; excused: number },
  ): Promise<void> {
    const target = `${prefix}${this.prefix}.g${group}.*`
    const points = new Map<string, Map<number, number>>()
    for (const series of await stack.render({ target, ...range })) {
      const known = new Map<number, number>()
      for (const [number, time] of series.datapoints) if (number !== null) known.set(time, number)
      points.set(series.target, known)
    }
    const first = group * GROUP
    let sent = 0
    for (const batch of this.batches) {
      sent += batch.to - batch.from
      if (batch.second <= range.from || batch.second > range.until) continue
      const mayBeGone = !batch.client.isOpen && sent > this.surelyRead
      const end = Math.min(batch.to, first + GROUP)
      for (let i = Math.max(batch.from, first); i < end; i++) {
        const name = `${prefix}${this.name(i)}`
        if (points.get(name)?.get(batch.second) === value(i, batch.second)) report.found++
        else if (mayBeGone) report.excused++
        else report.missing.push(`${name} ${batch.second}`)
      }
    }
  }
}

/** Another value for every series and second. */
function value(series: number, second: number): number {
  return ((series * 7919 + second * 104_729) % 1_000_003) / 8
}

/**
 * Tells the load what the relay has read of it by now, and gives the relay the time in which it has to have that
 * written (design: 200 ms; a machine that runs tests is slow).
 */
export async function awaitWritten(stack: Stack, load: SteadyLoad, before: number): Promise<void> {
  const read = (await linesReceived(stack)) - before
  await Bun.sleep(500)
  // Other lines than the load's are counted too: a few hundred of statistics.
  load.expectAtLeast(read - 1_000)
}

export function linesReceived(stack: Stack): Promise<number> {
  return stack.metric('relay', 'emon_relay_metricsReceived_total')
}
