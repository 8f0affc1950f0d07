/**
 * Faults that count lines end to end against peers of our own, for as long as one likes: `bun test` runs each for
 * a few seconds (faults.test.ts), `./scripts/soak relay-faults` for a minute. Every run answers what was sent,
 * what arrived, and what arrived twice. Real carbons and our own central are in real-peer-runs.ts.
 */
import type { PointsReceiver } from '../../src/ipc/points-receiver.ts'
import {
  ARRIVAL_MS,
  every,
  type FaultRun,
  forwardTo,
  hasRead,
  load,
  staged,
  tallyLines,
  tallyPoints,
} from './fault-scene.ts'
import { fillOrEmpty, TmpfsDisk } from '../e2e/disks.ts'
import { HesitantPeer } from './hesitant-peer.ts'
import { freePort, LineClient, PointsPeer, stopRelay, until } from './peers.ts'

const MARKER = 'fault.marker'

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

/** A plain carbon resets its connection every second. */
export const carbonResets: FaultRun = (options) =>
  staged(async (scene) => {
    const carbon = scene.carbon()
    const relay = await scene.relay(scene.dir(), { conf: forwardTo(carbon.port) })
    const client = await LineClient.connect({ port: relay.port })
    const reset = every(Math.min(1_000, options.seconds * 250), () => carbon.reset())
    const sent = await load(client, options, (ms) => void reset(ms))
    return tallyLines(carbon, sent)
  })

/** The relay gets HUP ten times a second. */
export const reloads: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const peer = await scene.store(dir)
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const reload = every(100, () => relay.signal('SIGHUP'))
    const sent = await load(client, options, (ms) => void reload(ms))
    return tallyPoints(peer, sent)
  })

/** The relay is stopped with everything in its queues, and started again. */
export const stopWithQueue: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await hasRead(relay, sent)
    await stopRelay(relay)
    const peer = await scene.store(dir)
    await scene.relay(dir)
    return tallyPoints(peer, sent)
  })

/**
 * The relay is stopped while a plain carbon does not read; what the carbon's kernel has not taken by then never
 * comes, and what it has is read.
 */
export const stopWithUnread: FaultRun = (options) =>
  staged(async (scene) => {
    const port = await scene.port()
    const first = new HesitantPeer(port, Infinity)
    scene.defer(() => first.stop())
    const dir = scene.dir()
    const conf = forwardTo(port)
    const relay = await scene.relay(dir, { conf })
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await hasRead(relay, sent)
    await stopRelay(relay)
    await first.cut()
    first.stop()
    const second = new HesitantPeer(port, 0)
    scene.defer(() => second.stop())
    await scene.relay(dir, { conf, env: { EMON_REPLAY_RATE: '500000' } })
    const distinct = (): number => new Set([...first.lines, ...second.lines]).size
    await until('all lines', () => distinct() >= sent, ARRIVAL_MS).catch(() => undefined)
    return { sent, distinct: distinct(), arrived: first.lines.size + second.lines.size }
  })

/** The relay is killed 250 ms after the last line, and started again. */
export const killWithQueue: FaultRun = (options) =>
  staged(async (scene) => {
    const dir = scene.dir()
    const relay = await scene.relay(dir)
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, options)
    await hasRead(relay, sent)
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
      conf: forwardTo(port, 'emon'),
    })
    const client = await LineClient.connect({ port: relay.port })
    const cut = every(1_000, () => central.powerCut())
    const sent = await load(client, options, (ms) => void cut(ms))
    return tallyPoints(central, sent)
  })

/** One destination reads 1 kB/s; the other must not notice. What each of its lines took is measured. */
export const slowBesideHealthy: FaultRun = (options) =>
  staged(async (scene) => {
    const healthy = scene.carbon()
    const slow = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket, bytes) {
          socket.pause()
          setTimeout(() => socket.resume(), bytes.length)
        },
      },
    })
    scene.defer(() => slow.stop(true))
    const relay = await scene.relay(scene.dir(), {
      conf: `cluster c forward 127.0.0.1:${healthy.port} 127.0.0.1:${slow.port};\nmatch * send to c;\n`,
    })
    const client = await LineClient.connect({ port: relay.port })
    const sentMs: number[] = []
    const delaysMs: number[] = []
    healthy.keeps = (line) => {
      if (!line.startsWith(MARKER)) return true
      delaysMs.push(performance.now() - sentMs[Number(line.split(' ')[1])]!)
      return false
    }
    const sent = await load(client, options, () => {
      sentMs.push(performance.now())
      return client.send(`${MARKER} ${sentMs.length - 1} 1\n`)
    })
    const tally = await tallyLines(healthy, sent)
    delaysMs.sort((a, b) => a - b)
    const at = (share: number): number => Math.round(delaysMs[Math.floor(delaysMs.length * share)]!)
    const waiting = (await relay.metrics()).get(`destinations_127_0_0_1_${slow.port}_queued`)!
    return {
      ...tally,
      figures: { 'median ms': at(0.5), 'p99 ms': at(0.99), 'max ms': at(0.9999), waiting },
    }
  })

/**
 * The disk has no byte left for half of the time, each time at once, so that writes fail in the middle; the
 * destination is away, and what does not fit on the disk waits in memory.
 */
export const diskFull: FaultRun = (options) =>
  staged(async (scene) => {
    const disk = TmpfsDisk.mount(256)
    if (typeof disk === 'string') return disk
    scene.defer(() => disk.unmount())
    const carbon = scene.carbon()
    carbon.stop()
    const relay = await scene.relay(disk.path, {
      conf: forwardTo(carbon.port),
      env: { EMON_REPLAY_RATE: '500000' },
    })
    const client = await LineClient.connect({ port: relay.port })
    let isFull = false
    const turn = every(1_000, () => {
      isFull = fillOrEmpty(disk.path, !isFull)
    })
    const sent = await load(client, options, (ms) => void turn(ms))
    await hasRead(relay, sent)
    fillOrEmpty(disk.path, false)
    const refused = relay.log().split('spool cannot be written').length - 1
    carbon.listen()
    return { ...(await tallyLines(carbon, sent)), figures: { 'times refused': refused } }
  })

const CLUSTERS = ['any_of', 'failover', 'carbon_ch', 'carbon_ch dynamic', 'jump_fnv1a_ch dynamic']

/**
 * The first of three members of each kind of cluster is away from a fifth to a half of the time. What belongs to it
 * goes to others (`elsewhere`) or waits; when it is back it gets its lines again (`home again`).
 */
export const membersAway: FaultRun = (options) =>
  staged(async (scene) => {
    const clusters = CLUSTERS.map((type, i) => {
      const members = [scene.carbon(), scene.carbon(), scene.carbon()]
      const hosts = members.map(({ port }, at) => `127.0.0.1:${port}=${at}`).join(' ')
      return { members, conf: `cluster c${i} ${type} ${hosts};\nmatch * send to c${i};\n` }
    })
    const conf = clusters.map((cluster) => cluster.conf).join('')
    const relay = await scene.relay(scene.dir(), { conf })
    const client = await LineClient.connect({ port: relay.port })
    const firsts = clusters.map(({ members }) => members[0]!)
    let state = 'at first'
    const before: number[] = []
    const sent = await load(client, options, async (ms) => {
      const share = ms / 1000 / options.seconds
      if (state === 'at first' && share > 0.2) {
        state = 'away'
        for (const first of firsts) first.stop()
      } else if (state === 'away' && share > 0.5) {
        state = 'back'
        for (const first of firsts) {
          before.push(first.lines.length)
          first.listen()
        }
      }
      await Promise.resolve()
    })
    let distinct = Infinity
    let arrived = 0
    for (const { members } of clusters) {
      const count = (): number => new Set(members.flatMap(({ lines }) => lines)).size
      await until(`${sent} lines`, () => count() >= sent, ARRIVAL_MS).catch(() => undefined)
      distinct = Math.min(distinct, count())
      const all = members.reduce((sum, { lines }) => sum + lines.length, 0)
      arrived = Math.max(arrived, all)
    }
    const home = firsts.map((first, i) => first.lines.length - before[i]!)
    const figures = Object.fromEntries(CLUSTERS.map((type, i) => [`${type} home again`, home[i]!]))
    return { sent, distinct, arrived, figures }
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
