/**
 * Faults that count lines end to end, for as long as one likes: `bun test` runs each for a few seconds
 * (faults.test.ts), `./scripts/soak relay-faults` for a minute. Every run answers what was sent, what
 * arrived, and what arrived twice.
 */
import { PointsReceiver } from '../../src/ipc/points-receiver.ts'
import {
  freePort,
  LineClient,
  LinePeer,
  PointsPeer,
  type RelayProcess,
  startRelay,
  stopRelay,
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
}

export type FaultRun = (options: FaultOptions) => Promise<Tally>

const TICK_MS = 50
const ARRIVAL_MS = 60_000

/** What a run has opened, closed in reverse. */
class Scene {
  private readonly cleanups: (() => void | Promise<unknown>)[] = []

  dir(): string {
    const dir = temporaryDir()
    this.cleanups.push(() => dir.remove())
    return dir.path
  }

  async relay(...args: Parameters<typeof startRelay>): Promise<RelayProcess> {
    const process = await startRelay(...args)
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

  defer(cleanup: () => void): void {
    this.cleanups.push(cleanup)
  }

  async end(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0).reverse()) await cleanup()
  }
}

async function staged<T>(run: (scene: Scene) => Promise<T>): Promise<T> {
  const scene = new Scene()
  try {
    return await run(scene)
  } finally {
    await scene.end()
  }
}

/** Sends distinct lines at an even rate; `each` is called about twenty times a second with the time passed. */
async function load(
  client: LineClient,
  { seconds, perSecond }: FaultOptions,
  each: (ms: number) => void | Promise<void> = () => undefined,
): Promise<number> {
  const now = Math.floor(Date.now() / 1000)
  const started = performance.now()
  let sent = 0
  for (let ms = 0; ms < seconds * 1000; ms = performance.now() - started) {
    const target = Math.floor((Math.min(ms + TICK_MS, seconds * 1000) / 1000) * perSecond)
    let text = ''
    for (; sent < target; sent++) {
      text += `fault.n${sent % 5_000} ${sent} ${now - Math.floor(sent / 5_000)}\n`
    }
    await client.send(text)
    await each(ms)
    await Bun.sleep(TICK_MS)
  }
  return sent
}

async function tallyPoints(peer: PointsPeer, sent: number): Promise<Tally> {
  await until(`${sent} points`, () => peer.distinct >= sent, ARRIVAL_MS).catch(() => undefined)
  return { sent, distinct: peer.distinct, arrived: peer.points }
}

async function tallyLines(peer: LinePeer, sent: number): Promise<Tally> {
  const distinct = (): number => new Set(peer.lines).size
  await until(
    `${sent} lines`,
    () => peer.lines.length >= sent && distinct() >= sent,
    ARRIVAL_MS,
  ).catch(() => undefined)
  return { sent, distinct: distinct(), arrived: peer.lines.length }
}

const forwardTo = (port: number): string =>
  `cluster c forward 127.0.0.1:${port};\nmatch * send to c;\n`

/** The store is away for the whole time. */
export const storeDown: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    return tallyPoints(await scene.store(dir), sent)
  })

/** A plain carbon is away for the whole time. */
export const carbonDown: FaultRun = (options) =>
  staged(async (scene) => {
    const carbon = scene.carbon()
    carbon.stop()
    const relay = await scene.relay(scene.dir(), {
      conf: forwardTo(carbon.port),
      env: { EMON_REPLAY_RATE: '500000' },
    })
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    carbon.listen()
    return tallyLines(carbon, sent)
  })

/** A plain carbon resets its connection four times a second. */
export const carbonResets: FaultRun = (options) =>
  staged(async (scene) => {
    const carbon = scene.carbon()
    const relay = await scene.relay(scene.dir(), { conf: forwardTo(carbon.port) })
    const client = await LineClient.connect({ port: relay.port })
    let next = 250
    const sent = await load(client, options, (ms) => {
      if (ms < next) return
      next += 250
      carbon.reset()
    })
    return tallyLines(carbon, sent)
  })

/** The relay gets HUP ten times a second. */
export const reloads: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const peer = await scene.store(dir)
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    let next = 100
    const sent = await load(client, options, (ms) => {
      if (ms < next) return
      next += 100
      relay.signal('SIGHUP')
    })
    return tallyPoints(peer, sent)
  })

/** The relay is stopped with everything in its queues, and started again. */
export const stopWithQueue: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await until('all read', async () => (await relay.metrics()).get('metricsReceived') === sent)
    await stopRelay(relay)
    const peer = await scene.store(dir)
    await scene.relay(dir)
    return tallyPoints(peer, sent)
  })

/** The relay is killed 250 ms after the last line, and started again. */
export const killWithQueue: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await until('all read', async () => (await relay.metrics()).get('metricsReceived') === sent)
    await Bun.sleep(250)
    relay.signal('SIGKILL')
    await relay.exited
    const peer = await scene.store(dir)
    await scene.relay(dir)
    return tallyPoints(peer, sent)
  })

/** The central side loses power every second: what it had not synced is gone, and it comes back empty of it. */
export const centralPowerCuts: FaultRun = (options) =>
  staged(async (scene) => {
    const port = await freePort()
    const central = new PowerCutPeer(port)
    central.listen()
    scene.defer(() => central.stop())
    const relay = await scene.relay(scene.dir(), {
      conf: `cluster c forward 127.0.0.1:${port} type emon;\nmatch * send to c;\n`,
    })
    const client = await LineClient.connect({ port: relay.port })
    let next = 1_000
    const sent = await load(client, options, (ms) => {
      if (ms < next) return
      next += 1_000
      central.powerCut()
    })
    return tallyPoints(central, sent)
  })

/** One destination reads 1 kB/s; the other must not notice. */
export const slowBesideHealthy: FaultRun = (options) =>
  staged(async (scene) => {
    const healthy = scene.carbon()
    const slow = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          socket.pause()
          setTimeout(() => socket.resume(), 1_000)
        },
      },
    })
    scene.defer(() => slow.stop(true))
    const relay = await scene.relay(scene.dir(), {
      conf: `cluster c forward 127.0.0.1:${healthy.port} 127.0.0.1:${slow.port};\nmatch * send to c;\n`,
    })
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await until('the healthy one has it', () => healthy.lines.length >= sent, 2_000)
    return tallyLines(healthy, sent)
  })

/** A receiver that syncs every 300 ms, and forgets what it had not synced when its power is cut. */
class PowerCutPeer extends PointsPeer {
  private readonly port: number
  private readonly unsynced: { name: string; timestamp: number }[] = []
  private readonly timer: ReturnType<typeof setInterval>
  private receivers: PointsReceiver[] = []

  constructor(port: number) {
    super()
    this.port = port
    this.timer = setInterval(() => this.sync(), 300)
  }

  override listen(): void {
    this.syncing = false
    this.onPoint = (name, timestamp) => this.unsynced.push({ name, timestamp })
    this.onReceiver = (receiver) => this.receivers.push(receiver)
    super.listen({ hostname: '127.0.0.1', port: this.port })
  }

  override stop(): void {
    clearInterval(this.timer)
    super.stop()
  }

  powerCut(): void {
    super.stop()
    this.receivers = []
    for (const { name, timestamp } of this.unsynced.splice(0))
      this.series.get(name)?.delete(timestamp)
    for (const last of this.last.values()) last.written = last.synced
    this.listen()
  }

  private sync(): void {
    this.unsynced.length = 0
    for (const last of this.last.values()) last.synced = last.written
    for (const receiver of this.receivers) receiver.ack(this.lastOf(receiver.sender))
  }
}
