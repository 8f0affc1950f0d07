/**
 * Faults against real peers (see fault-runs.ts): Debian's carbon-c-relay and carbon-cache, and our own relay and
 * store as the central side, on a file system that really loses its power.
 */
import { SteadyLoad } from '../e2e/load.ts'
import { freePorts, type ProcessName, Stack } from '../e2e/stack.ts'
import { CarbonCache, CarbonCRelay, hasCarbonCRelay, ResettingProxy } from './carbon-peers.ts'
import { LoopDisk } from '../e2e/disks.ts'
import { HesitantPeer } from './hesitant-peer.ts'
import {
  ARRIVAL_MS,
  every,
  type FaultOptions,
  type FaultRun,
  forwardTo,
  hasRead,
  load,
  type Scene,
  staged,
  type Tally,
} from './fault-scene.ts'
import { LineClient, PointsPeer, type RelayProcess, stopRelay, until } from './peers.ts'

const NO_CARBON_C_RELAY = 'carbon-c-relay is not installed'
const PATIENCE_MS = 30_000
/**
 * Each reset brings what was sent since the start once more, so after a minute carbon-cache, which is Python and reads
 * some 30,000 lines a second, has thirty times that to read: at this rate for two minutes, at 20,000 for half an hour.
 */
const CARBON_CACHE_RESETS_PER_SECOND_MAX = 2_000
const FAST_REPLAY = { EMON_REPLAY_RATE: '500000' }

// ── carbon-c-relay ──────────────────────────────────────────────────────────────────────────────────

async function carbonCRelay(scene: Scene): Promise<{ peer: CarbonCRelay; port: number }> {
  const [port] = await freePorts(1)
  const peer = new CarbonCRelay(scene.dir(), port!)
  scene.defer(() => peer.end('SIGKILL'))
  return { peer, port: port! }
}

async function tallyCarbonCRelay(peer: CarbonCRelay, sent: number): Promise<Tally> {
  await until('all lines', () => peer.count().distinct >= sent, ARRIVAL_MS).catch(() => undefined)
  return { sent, ...peer.count() }
}

/** A run in which it comes up only after `fault` has happened to a relay that could not send anything. */
function carbonCRelayAfter(
  fault: (relay: RelayProcess, again: () => Promise<RelayProcess>) => Promise<unknown>,
): FaultRun {
  return (options) =>
    staged(async (scene) => {
      if (!hasCarbonCRelay) return NO_CARBON_C_RELAY
      const { peer, port } = await carbonCRelay(scene)
      const dir = scene.dir()
      const start = () => scene.relay(dir, { conf: forwardTo(port), env: FAST_REPLAY })
      const relay = await start()
      const client = await LineClient.connect({ port: relay.port })
      const sent = await load(client, options)
      await hasRead(relay, sent)
      await fault(relay, start)
      await peer.start()
      return tallyCarbonCRelay(peer, sent)
    })
}

export const carbonCRelayDown = carbonCRelayAfter(() => Promise.resolve())

export const carbonCRelayStopWithQueue = carbonCRelayAfter(async (relay, again) => {
  await stopRelay(relay)
  await again()
})

export const carbonCRelayKillWithQueue = carbonCRelayAfter(async (relay, again) => {
  await Bun.sleep(250)
  relay.signal('SIGKILL')
  await relay.exited
  await again()
})

export const carbonCRelayResets: FaultRun = (options) =>
  staged(async (scene) => {
    if (!hasCarbonCRelay) return NO_CARBON_C_RELAY
    const { peer, port } = await carbonCRelay(scene)
    await peer.start()
    const sent = await loadOverResets(scene, port, options)
    return tallyCarbonCRelay(peer, sent)
  })

async function loadOverResets(scene: Scene, port: number, options: FaultOptions): Promise<number> {
  const proxy = new ResettingProxy(port)
  scene.defer(() => proxy.stop())
  const relay = await scene.relay(scene.dir(), { conf: forwardTo(proxy.port) })
  const client = await LineClient.connect({ port: relay.port })
  const reset = every(1_000, () => proxy.reset())
  return load(client, options, (ms) => reset(ms))
}

// ── carbon-cache ────────────────────────────────────────────────────────────────────────────────────

async function carbonCache(
  scene: Scene,
): Promise<{ start: () => Promise<CarbonCache>; port: number }> {
  const [port, pickle, query] = await freePorts(3)
  return {
    port: port!,
    async start() {
      const peer = new CarbonCache(scene.dir(), port!)
      scene.defer(() => peer.end('SIGKILL'))
      await peer.start([pickle!, query!])
      return peer
    },
  }
}

/** It is slow, and gets much twice: waits as long as there is more every half minute. */
async function tallyCarbonCache(peer: CarbonCache, sent: number, from: number): Promise<Tally> {
  let distinct = 0
  let grownMs = performance.now()
  while (distinct < sent && performance.now() - grownMs < PATIENCE_MS) {
    await Bun.sleep(1_000)
    const now = await peer.count(sent, from, Math.floor(Date.now() / 1000))
    if (now > distinct) grownMs = performance.now()
    distinct = now
  }
  return { sent, distinct, arrived: distinct }
}

export const carbonCacheDown: FaultRun = (options) =>
  staged(async (scene) => {
    if (CarbonCache.missing !== undefined) return CarbonCache.missing
    const { start, port } = await carbonCache(scene)
    const relay = await scene.relay(scene.dir(), { conf: forwardTo(port) })
    const client = await LineClient.connect({ port: relay.port })
    const from = Math.floor(Date.now() / 1000)
    const sent = await load(client, options)
    return tallyCarbonCache(await start(), sent, from)
  })

export const carbonCacheResets: FaultRun = (options) =>
  staged(async (scene) => {
    if (CarbonCache.missing !== undefined) return CarbonCache.missing
    const { start, port } = await carbonCache(scene)
    const peer = await start()
    const from = Math.floor(Date.now() / 1000)
    const perSecond = Math.min(options.perSecond, CARBON_CACHE_RESETS_PER_SECOND_MAX)
    const sent = await loadOverResets(scene, port, { ...options, perSecond })
    return tallyCarbonCache(peer, sent, from)
  })

// ── our own ─────────────────────────────────────────────────────────────────────────────────────────

const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api']
const CUT_MS = 4_000

async function stack(scene: Scene, settings: Record<string, string>): Promise<Stack> {
  const made = await Stack.create(settings)
  scene.defer(() => made.close())
  await startAll(made)
  return made
}

async function startAll(of: Stack): Promise<void> {
  for (const name of PROCESSES) of.spawn(name)
  await of.ready(...PROCESSES)
}

/** A local instance keeps its points and sends them on to a central one, to which `fault` happens. */
async function throughCentral(
  scene: Scene,
  options: FaultOptions,
  settings: Record<string, string>,
  fault: (central: Stack) => { periodMs: number; happens: () => Promise<void> },
): Promise<Tally> {
  const central = await stack(scene, { ...settings, HOSTING: 'hub' })
  const local = await stack(scene, {
    HOSTING: 'acme',
    SERVICE: 'web',
    CENTRAL_METRICS_SERVER: `127.0.0.1:${central.config.relay.port}`,
  })
  const { periodMs, happens } = fault(central)
  const steady = new SteadyLoad({
    port: local.config.relay.port,
    rate: options.perSecond,
    prefix: 'fault',
  })
  const end = performance.now() + options.seconds * 1000
  let times = 0
  for (; performance.now() < end; times++) {
    await Bun.sleep(periodMs)
    await happens()
  }
  await steady.stop()
  const { sent, missing } = await steady.check(central, {
    timeoutMs: ARRIVAL_MS,
    prefix: 'acme.web.',
  })
  const distinct = sent - missing.length
  return { sent, distinct, arrived: distinct, figures: { times } }
}

/** All processes of the central side die, and its disk forgets what was not synced. */
export const centralPowerCuts: FaultRun = (options) =>
  staged<Tally | string>(async (scene) => {
    const disk = LoopDisk.create(4)
    if (typeof disk === 'string') return disk
    scene.defer(() => disk.unmount())
    return throughCentral(scene, options, { EMON_DATA: `${disk.path}/data` }, (central) => ({
      periodMs: Math.min(CUT_MS, (options.seconds * 1000) / 2),
      async happens() {
        await Promise.all(PROCESSES.map((name) => central.kill(name)))
        disk.cutPower()
        await startAll(central)
      },
    }))
  })

export const centralReloads: FaultRun = (options) =>
  staged((scene) =>
    throughCentral(scene, options, {}, (central) => ({
      periodMs: 1_000,
      happens() {
        for (const name of PROCESSES) central.signal(name, 'SIGHUP')
        return Promise.resolve()
      },
    })),
  )

const POSTERS = 8

interface CutOff {
  readonly conf: string
  /** The relay is dead, and its kernel with it. */
  cut(): Promise<unknown>
  /** Whether a line has arrived, once it is asked. */
  arrived(): (name: string, timestamp: number) => boolean
}

/**
 * The relay itself loses its power every few seconds: lines over HTTP that were answered 200 have to be there in
 * the end.
 */
function relayPowerCuts(open: (scene: Scene, port: number) => CutOff): FaultRun {
  return (options) =>
    staged<Tally | string>(async (scene) => {
      const disk = LoopDisk.create(2)
      if (typeof disk === 'string') return disk
      scene.defer(() => disk.unmount())
      const [port, peerPort] = await freePorts(2)
      return cutRelay(scene, options, { disk, port: port!, peer: open(scene, peerPort!) })
    })
}

async function cutRelay(
  scene: Scene,
  { seconds, perSecond }: FaultOptions,
  { disk, port, peer }: { disk: LoopDisk; port: number; peer: CutOff },
): Promise<Tally> {
  const dir = `${disk.path}/data`
  const { conf } = peer
  const env = { EMON_RELAY_PORT: String(port), EMON_REPLAY_RATE: '500000' }
  const start = async (): Promise<RelayProcess> => {
    await Bun.$`mkdir -p ${dir}`.quiet()
    return scene.relay(dir, { conf, env })
  }
  let relay = await start()
  const end = performance.now() + seconds * 1000
  const now = Math.floor(Date.now() / 1000)
  const answered: string[] = []
  let next = 0
  const post = async (): Promise<void> => {
    while (performance.now() < end) {
      const names: string[] = []
      for (let i = 0; i < perSecond / POSTERS; i++) names.push(`fault.p${next++}`)
      const body = names.map((name) => `${name} 1 ${now}\n`).join('')
      const unix = `${dir}/run/relay-admin.sock`
      const answer = await fetch('http://x/lines', { method: 'POST', body, unix }).catch(
        () => undefined,
      )
      if (answer?.status === 200) answered.push(...names)
      else await Bun.sleep(50)
    }
  }
  const posters = Array.from({ length: POSTERS }, post)
  let cuts = 0
  while (performance.now() < end) {
    await Bun.sleep(1_500 + 500 * (cuts % 3))
    relay.signal('SIGKILL')
    await Promise.all([relay.exited, peer.cut()])
    disk.cutPower()
    cuts++
    relay = await start()
  }
  await Promise.all(posters)
  const arrived = peer.arrived()
  const there = (): number => answered.filter((name) => arrived(name, now)).length
  await until('all are there', () => there() === answered.length, ARRIVAL_MS).catch(() => undefined)
  const distinct = there()
  return { sent: answered.length, distinct, arrived: distinct, figures: { cuts } }
}

/** With its destination away all the time. */
export const relayPowerCutsAlone = relayPowerCuts((scene, port) => ({
  conf: forwardTo(port, 'emon'),
  cut: () => Promise.resolve(),
  arrived() {
    const peer = new PointsPeer()
    scene.defer(() => peer.stop())
    peer.listen({ hostname: '127.0.0.1', port })
    return (name) => peer.series.has(name)
  },
}))

/** With a plain destination that reads only now and then: what is on the way to it is gone with the relay's kernel. */
export const relayPowerCutsPlain = relayPowerCuts((scene, port) => {
  const peer = new HesitantPeer(port, 900)
  scene.defer(() => peer.stop())
  return {
    conf: forwardTo(port),
    cut: () => peer.cut(),
    arrived() {
      peer.readAll()
      return (name, timestamp) => peer.lines.has(`${name} 1 ${timestamp}`)
    },
  }
})
