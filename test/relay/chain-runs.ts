/**
 * Chains of relays of which one is killed every two seconds, and told to stop in between: what an aggregation at the
 * end counts is held against what was sent, or against what a store beside it was told.
 */
import {
  clusterOf,
  every,
  type FaultOptions,
  type FaultRun,
  forwardTo,
  loadNow,
  type Scene,
  staged,
  type Tally,
} from './fault-scene.ts'
import { freePort, LineClient, type PointsPeer, type RelayProcess, until } from './peers.ts'

const ARRIVAL_MS = 45_000
/** Of the time between two kills, what a relay has to have lived before the next one. */
const LIFE = 0.75

/** Names that the multiplying one makes of each. */
const COPIES = 12
/** Told by statsd. */
const COUNTERS = 12_000
const COUNTERS_A_DATAGRAM = 60

/** Counts lines of `fault.` at the end of three relays. */
function countedThrough(victims: (chain: Chain) => Mortal[]): FaultRun {
  return (options) =>
    staged(async (scene) => {
      const chain = await Chain.start(scene, options.seconds, {
        aggregate: (rule) => `aggregate ^fault\\..*$ ${rule} compute count write to counted.lines`,
        middle: (port) => forwardTo(port, 'emon'),
      })
      const sent = await sendWhileDying(scene, options, {
        head: chain.middle,
        victims: victims(chain),
      })
      return chain.tally(() => sent)
    })
}

export const lastOfThreeKilled = countedThrough(({ last }) => [last])
export const middleOfThreeKilled = countedThrough(({ middle }) => [middle])
export const middleAndLastKilled = countedThrough(({ middle, last }) => [middle, last])

/** Two that only forward, one behind the other in front of the last one, killed at once. */
export const forwardersKilled: FaultRun = (options) =>
  staged(async (scene) => {
    const chain = await Chain.start(scene, options.seconds, {
      aggregate: (rule) => `aggregate ^fault\\..*$ ${rule} compute count write to counted.lines`,
      middle: (port) => forwardTo(port, 'emon'),
    })
    const conf = forwardTo(chain.middle.port, 'emon')
    const head = new Mortal(scene, scene.dir(), { port: await scene.port(), conf })
    await head.start()
    const sent = await sendWhileDying(scene, options, { head, victims: [head, chain.middle] })
    return chain.tally(() => sent)
  })

/** The middle one makes twelve names of each, so that a frame becomes several. */
export const multiplyingMiddleKilled: FaultRun = (options) =>
  staged(async (scene) => {
    const copies = Array.from({ length: COPIES }, (_, i) => {
      return `rewrite ^[a-z0-9]+\\.(.*)$ into copy${i}.\\1;\nmatch * send to c;\n`
    })
    const chain = await Chain.start(scene, options.seconds, {
      aggregate: (rule) => `aggregate ^copy.*$ ${rule} compute count write to counted.lines`,
      middle: (port) => `${clusterOf(port)}${copies.join('')}`,
    })
    const sent = await sendWhileDying(scene, options, {
      head: chain.middle,
      victims: [chain.middle],
    })
    return chain.tally(() => sent * COPIES)
  })

interface Deaths {
  /** Gets the lines, by a relay in front of it that lives. */
  readonly head: Mortal
  readonly victims: readonly Mortal[]
}

/** Sends the load; the victims die together. Answers how many lines it was. */
async function sendWhileDying(
  scene: Scene,
  options: FaultOptions,
  { head, victims }: Deaths,
): Promise<number> {
  const local = await scene.relay(scene.dir(), { conf: forwardTo(head.port, 'emon') })
  const client = await LineClient.connect({ port: local.port })
  const periodMs = killEveryMs(options.seconds)
  const tick = every(periodMs, () => {
    for (const one of victims) one.die(periodMs * LIFE)
  })
  const sent = await loadNow(client, options, (ms) => void tick(ms))
  for (const one of victims) await one.dying
  return sent
}

/** The middle one aggregates too: its results are summed up by the last one. */
export const aggregatingMiddleKilled: FaultRun = (options) =>
  staged(async (scene) => {
    const chain = await Chain.start(scene, options.seconds, {
      aggregate: (rule) => `aggregate ^part\\..*$ ${rule} compute sum write to counted.lines`,
      middle: (port) =>
        clusterOf(port) +
        `aggregate ^fault\\.n(.).*$ every 1 seconds expire after ${expireSeconds(options.seconds) / 2} seconds ` +
        'timestamp at start of bucket ' +
        'compute count write to part.\\1 send to c stop;\n',
    })
    const sent = await sendWhileDying(scene, options, {
      head: chain.middle,
      victims: [chain.middle],
    })
    return chain.tally(() => sent)
  })

/** The middle one is told by statsd, and flushes more than fits a frame; what it flushes goes to the last one and, beside it, to a store. */
export const flushingMiddleKilled: FaultRun = (options) =>
  staged(async (scene) => {
    const statsd = await freePort()
    const dir = scene.dir()
    const beside = await scene.store(dir)
    const chain = await Chain.start(scene, options.seconds, {
      aggregate: (rule) =>
        `aggregate ^stats_counts\\.c[0-9]+$ ${rule} compute sum write to counted.lines`,
      middle: (port) =>
        `cluster both forward 127.0.0.1:${port} type emon ${dir}/run/points.sock proto unix type emon;\n` +
        'match ^stats_counts send to both stop;\nmatch * send to blackhole;\n',
      // Two flushes must not fall into one second, where the store keeps the last.
      settings: 'relay.statsd_flush_interval = "2s"',
      env: { EMON_STATSD_PORT: String(statsd) },
    })
    const socket = await Bun.udpSocket({ socket: { error: () => undefined } })
    scene.defer(() => socket.close())
    let next = 0
    const counters = (): string =>
      Array.from({ length: COUNTERS_A_DATAGRAM }, () => `c${next++ % COUNTERS}:1|c`).join('\n')
    const end = performance.now() + options.seconds * 1000
    // It flushes two seconds after it has started, and is killed soon after that.
    const tick = every(100, () => chain.middle.die(2_300))
    const start = performance.now()
    while (performance.now() < end) {
      try {
        for (let i = 0; i < 20; i++) socket.send(counters(), statsd, '127.0.0.1')
      } catch {
        // Nobody listens just now.
      }
      void tick(performance.now() - start)
      await Bun.sleep(20)
    }
    await chain.middle.dying
    await Bun.sleep(4_000)
    return chain.tally(() => {
      let sum = 0
      for (const [name, values] of beside.series) {
        if (/^stats_counts\.c\d+$/.test(name)) for (const value of values.values()) sum += value
      }
      return sum
    })
  })

function killEveryMs(seconds: number): number {
  return Math.min(2_000, seconds * 250)
}

function expireSeconds(seconds: number): number {
  return seconds < 10 ? 10 : 30
}

interface ChainOptions {
  /** The beginning of the last one's rule; `rule` has its times. */
  readonly aggregate: (rule: string) => string
  /** The relay.conf of the one before it, by the last one's port. */
  readonly middle: (port: number) => string
  /** Its emon.toml and environment. */
  readonly settings?: string
  readonly env?: Record<string, string>
}

/** A relay in front of another one that aggregates. */
class Chain {
  readonly middle: Mortal
  readonly last: Mortal
  private readonly peer: PointsPeer

  private constructor(peer: PointsPeer, middle: Mortal, last: Mortal) {
    this.peer = peer
    this.middle = middle
    this.last = last
  }

  static async start(scene: Scene, seconds: number, options: ChainOptions): Promise<Chain> {
    const dir = scene.dir()
    const peer = await scene.store(dir)
    const rule = `every 1 seconds expire after ${expireSeconds(seconds)} seconds timestamp at start of bucket`
    const last = new Mortal(scene, dir, {
      port: await scene.port(),
      conf:
        `cluster store forward ${dir}/run/points.sock proto unix type emon;\n` +
        `${options.aggregate(rule)} send to store stop;\nmatch * send to blackhole stop;\n`,
    })
    const conf = options.middle(last.port)
    const { env = {}, settings = '' } = options
    const middle = new Mortal(scene, scene.dir(), { port: await scene.port(), conf, env })
    await Bun.write(`${middle.dir}/emon.toml`, settings)
    await last.start()
    await middle.start()
    return new Chain(peer, middle, last)
  }

  async tally(sent: () => number): Promise<Tally> {
    const counted = (): number => {
      let sum = 0
      for (const count of this.peer.series.get('counted.lines')?.values() ?? []) sum += count
      return sum
    }
    await until('all are counted', () => counted() >= sent(), ARRIVAL_MS).catch(() => undefined)
    await Bun.sleep(500)
    await Promise.all([this.middle.note(), this.last.note()])
    const { middle, last } = this
    const figures = { kills: middle.deaths + last.deaths, late: middle.late + last.late }
    return { sent: sent(), distinct: Math.min(sent(), counted()), arrived: counted(), figures }
  }
}

interface MortalOptions {
  readonly port: number
  readonly conf: string
  readonly env?: Record<string, string>
}

/** A relay that dies and comes again. */
class Mortal {
  readonly port: number
  deaths = 0
  /** Points that came too late to be counted. */
  late = 0
  dying: Promise<void> | undefined
  private upMs = 0
  readonly dir: string
  private readonly scene: Scene
  private readonly options: MortalOptions
  private process: RelayProcess | undefined

  constructor(scene: Scene, dir: string, options: MortalOptions) {
    this.scene = scene
    this.dir = dir
    this.port = options.port
    this.options = options
  }

  async start(): Promise<void> {
    const { port, conf, env } = this.options
    const all = { EMON_RELAY_PORT: String(port), ...env }
    this.process = await this.scene.relay(this.dir, { env: all, conf })
    this.upMs = performance.now()
  }

  /** Twice by kill -9, once because it is told to; not before it has lived long enough to have connections. */
  die(afterMs: number): void {
    if (performance.now() - this.upMs < afterMs) return
    this.dying ??= this.dieNow().finally(() => (this.dying = undefined))
  }

  async note(): Promise<void> {
    this.late += (await this.process!.metrics()).get('aggregators_metricsDropped') ?? 0
  }

  private async dieNow(): Promise<void> {
    await this.note()
    this.process!.signal(this.deaths++ % 3 === 2 ? 'SIGTERM' : 'SIGKILL')
    await this.process!.exited
    await this.start()
  }
}
