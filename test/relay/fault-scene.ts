/**
 * What fault runs share: processes and peers that are ended whatever happens, an even load of distinct lines, and
 * the count of what arrived of them.
 */
import {
  freePort,
  LineClient,
  LinePeer,
  PointsPeer,
  type RelayProcess,
  startRelay,
  temporaryDir,
  until,
} from './peers.ts'

export interface FaultOptions {
  readonly seconds: number
  readonly perSecond: number
}

export interface Tally {
  readonly sent: number
  readonly distinct: number
  readonly arrived: number
  /** More that was measured. */
  readonly figures?: Readonly<Record<string, number>>
}

/** A text says why it cannot be run here. */
export type FaultRun = (options: FaultOptions) => Promise<Tally | string>

export const NAMES = 5_000
const TICK_MS = 50
export const ARRIVAL_MS = 120_000

/** What a run has opened, closed in reverse. */
export class Scene {
  private readonly cleanups: (() => unknown)[] = []

  dir(): string {
    const dir = temporaryDir()
    this.cleanups.push(() => dir.remove())
    return dir.path
  }

  /** Without statistics of its own: nothing but the load arrives. */
  async relay(dir: string, options: Parameters<typeof startRelay>[1] = {}): Promise<RelayProcess> {
    const process = await startRelay(dir, { ...options, args: ['-s'] })
    this.cleanups.push(() => {
      process.signal('SIGKILL')
      return process.exited
    })
    return process
  }

  async store(dir: string): Promise<PointsPeer> {
    const peer = new PointsPeer()
    await Bun.$`mkdir -p ${dir}/run`.quiet()
    peer.listen({ unix: `${dir}/run/points.sock` })
    this.cleanups.push(() => peer.stop())
    return peer
  }

  carbon(): LinePeer {
    const peer = new LinePeer()
    peer.listen(0)
    this.cleanups.push(() => peer.stop())
    return peer
  }

  port(): Promise<number> {
    return freePort()
  }

  defer(cleanup: () => unknown): void {
    this.cleanups.push(cleanup)
  }

  async end(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0).reverse()) await cleanup()
  }
}

export async function staged<T>(run: (scene: Scene) => Promise<T>): Promise<T> {
  const scene = new Scene()
  try {
    return await run(scene)
  } finally {
    await scene.end()
  }
}

/** The `index`-th distinct line of a load that began at `second`. */
export function lineOf(index: number, second: number): string {
  return `fault.n${index % NAMES} ${index} ${second - Math.floor(index / NAMES)}\n`
}

/** Sends distinct lines at an even rate; `each` is called about twenty times a second with the time passed. */
export async function load(
  client: LineClient,
  options: FaultOptions,
  each: (ms: number) => unknown = () => undefined,
): Promise<number> {
  const second = Math.floor(Date.now() / 1000)
  return sendEvenly(client, options, each, (index) => lineOf(index, second))
}

async function sendEvenly(
  client: LineClient,
  { seconds, perSecond }: FaultOptions,
  each: (ms: number) => unknown,
  line: (index: number) => string,
): Promise<number> {
  const started = performance.now()
  let sent = 0
  for (let ms = 0; ms < seconds * 1000; ms = performance.now() - started) {
    const target = Math.floor((Math.min(ms + TICK_MS, seconds * 1000) / 1000) * perSecond)
    let text = ''
    for (; sent < target; sent++) text += line(sent)
    await client.send(text)
    await each(ms)
    await Bun.sleep(TICK_MS)
  }
  return sent
}

/** As `load`, with lines of the present second. */
export async function loadNow(
  client: LineClient,
  options: FaultOptions,
  each: (ms: number) => unknown,
): Promise<number> {
  return sendEvenly(client, options, each, (i) => {
    return `fault.n${i % NAMES} 1 ${Math.floor(Date.now() / 1000)}\n`
  })
}

/** Calls `what` every `periodMs`; give the answer to `load`. */
export function every(periodMs: number, what: () => void | Promise<void>): (ms: number) => unknown {
  let next = periodMs
  return (ms) => {
    if (ms < next) return undefined
    next += periodMs
    return what()
  }
}

export async function tallyPoints(peer: PointsPeer, sent: number): Promise<Tally> {
  await until(`${sent} points`, () => peer.distinct >= sent, ARRIVAL_MS).catch(() => undefined)
  return { sent, distinct: peer.distinct, arrived: peer.points }
}

export async function tallyLines(peer: LinePeer, sent: number): Promise<Tally> {
  const distinct = (): number => new Set(peer.lines).size
  await until(
    `${sent} lines`,
    () => peer.lines.length >= sent && distinct() >= sent,
    ARRIVAL_MS,
  ).catch(() => undefined)
  return { sent, distinct: distinct(), arrived: peer.lines.length }
}

export function forwardTo(port: number, type = 'linemode'): string {
  return `${clusterOf(port, type)}match * send to c;\n`
}

/** `c`, to a port of this machine. */
export function clusterOf(port: number, type = 'emon'): string {
  return `cluster c forward 127.0.0.1:${port} type ${type};\n`
}

/** Until the relay has read that many lines. */
export function hasRead(relay: RelayProcess, lines: number): Promise<void> {
  return until(
    `${lines} lines are read`,
    async () => ((await relay.metrics()).get('metricsReceived') ?? 0) >= lines,
    ARRIVAL_MS,
  )
}
