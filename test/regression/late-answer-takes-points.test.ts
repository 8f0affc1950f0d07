/**
 * A peer that was given up for its silence may answer yet, on the connection that was left. That answer must
 * neither send nor free anything: what the old connection takes, the new one would skip, and the receiver takes a
 * gap in the sequences for nothing. Both real ends, over a store that stalls and is killed; points are counted.
 */
import { expect, test } from 'bun:test'
import { FrameReader, POINTS_FRAME_BYTES_MAX } from '../../src/ipc/frame-format.ts'
import { parseOpening } from '../../src/ipc/points-format.ts'
import { PointsReceiver } from '../../src/ipc/points-receiver.ts'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Destination } from '../../src/relay/delivery/destination.ts'
import { SenderId } from '../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../src/relay/delivery/spool.ts'
import type { Upstream, UpstreamEvents } from '../../src/relay/delivery/upstream.ts'
import { WallTimes } from '../../src/relay/wall-times.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

const DIR = '/spool/store'
const RUNS = 40
const STEPS = 150
/** Some frames of a few points, so that frames wait for acknowledgements. */
const WINDOW_BYTES = 400

/** One connection as the store has it: what came waits until the store looks. */
class Connection {
  readonly events: UpstreamEvents
  waiting: Uint8Array[] = []
  opening = ''
  receiver: PointsReceiver | undefined
  readonly frames: FrameReader

  constructor(events: UpstreamEvents) {
    this.events = events
    this.frames = new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (frame) => this.receiver!.receive(frame),
    })
  }
}

/** A store whose log survives kills; it looks at its connections when the test says so. */
class SimStore {
  readonly values: number[] = []
  readonly last = new Map<string, { written: number; synced: number }>()
  connections: Connection[] = []
  isUp = true

  connect(clock: SimClock, events: UpstreamEvents): Upstream {
    const connection = new Connection(events)
    let hasEnded = false
    clock.after(1, () => {
      if (!this.isUp) return events.onClose({ reason: 'refused', orderly: false })
      this.connections.push(connection)
      events.onOpen()
    })
    return {
      unconfirmed: 0,
      write(bytes) {
        if (hasEnded) return 0
        connection.waiting.push(bytes.slice())
        return bytes.length
      },
      // What is on its way in either direction still comes, as over a real socket.
      finish() {},
      end() {
        hasEnded = true
      },
    }
  }

  look(connection: Connection): void {
    for (const bytes of connection.waiting.splice(0)) this.take(connection, bytes)
  }

  sync(): void {
    for (const sequences of this.last.values()) sequences.synced = sequences.written
    for (const { receiver } of this.connections) receiver?.ack(this.sequences(receiver.sender))
  }

  kill(): void {
    this.isUp = false
    for (const { events } of this.connections.splice(0))
      events.onClose({ reason: 'killed', orderly: false })
  }

  /** It had frames of the sender up to there before (the relay is a restored backup). */
  knows(sender: string, sequence: number): void {
    this.last.set(sender, { written: sequence, synced: sequence })
  }

  private sequences(sender: string): { written: number; synced: number } {
    return { ...(this.last.get(sender) ?? { written: 0, synced: 0 }) }
  }

  private take(connection: Connection, bytes: Uint8Array): void {
    if (connection.receiver) return connection.frames.feed(bytes)
    connection.opening += Buffer.from(bytes).toString('latin1')
    const opening = parseOpening(connection.opening.trimEnd())!
    connection.receiver = new PointsReceiver({
      sender: opening.sender!,
      version: 1,
      windowBytes: WINDOW_BYTES,
      nonce: new Uint8Array(16),
      send: (reply) => connection.events.onData(reply),
      sink: {
        resolve: () => 1,
        lastSequences: (sender) => this.sequences(sender),
        points: (sender, { sequence, values, count }) => {
          this.values.push(...values.subarray(0, count))
          this.last.set(sender, { ...this.sequences(sender), written: sequence })
          connection.receiver!.ack(this.sequences(sender))
        },
      },
    })
  }
}

function setUp() {
  const clock = new SimClock()
  const disk = new SimDisk()
  disk.nowMs = () => clock.nowMs()
  const counter = () => ({ value: 0 })
  const dropped = counter()
  const limits = () => ({ bytesMax: 1e9, ageMsMax: 1e9 })
  const spool = new Spool({
    dir: DIR,
    disk,
    clock,
    log: silentLog,
    limits,
    dropped,
    damaged: counter(),
  })
  spool.open()
  const senderId = new SenderId(disk, clock, DIR)
  const store = new SimStore()
  const destination = new Destination({
    label: 'store',
    dialect: 'emon',
    connect: (events) => store.connect(clock, events),
    clock,
    log: silentLog,
    senderId,
    spool,
    maySpool: () => true,
    wallTimes: new WallTimes(clock),
    counters: {
      sent: counter(),
      spooled: counter(),
      dropped,
      unparsable: counter(),
      reconnects: counter(),
    },
    prefix: undefined,
    lookUp: undefined,
    resends: false,
    compress: false,
    settings: () => ({
      resendWindowBytes: 0,
      token: undefined,
      maxFutureSeconds: 3_600,
      replayRate: 0,
    }),
    onHealth() {},
    onProgress() {},
  })
  const { gatherer } = destination
  const name = gatherer.defineName(toUtf8('a.b'))
  let sent = 0
  return {
    clock,
    store,
    destination,
    senderId,
    point: () => gatherer.appendPoint(name, 1_700_000_000, ++sent),
    expected: () => Array.from({ length: sent }, (_, i) => i + 1),
  }
}

/** Turns the time until everything is delivered. */
async function settle(clock: SimClock, store: SimStore): Promise<void> {
  store.isUp = true
  for (let i = 0; i < 200; i++) {
    await clock.advance(50)
    for (const connection of store.connections) store.look(connection)
    if (i % 20 === 0) store.sync()
  }
}

test('a HELLO that comes on the connection that was given up takes no points from the next one', async () => {
  const { clock, store, point, expected } = setUp()
  await clock.advance(1_500)
  const [late, present] = store.connections
  expect(store.connections.length).toBe(2)
  store.look(present!)
  for (let i = 0; i < 15; i++) {
    point()
    await clock.advance(51)
  }
  // The window is full: the answer finds frames that are not on their way yet.
  store.look(late!)
  await settle(clock, store)
  expect(store.values).toEqual(expected())
})

test('a peer that knows more of a sender than we do frees nothing', async () => {
  const { clock, store, senderId, point, expected } = setUp()
  store.knows(senderId.id, 1_000)
  point()
  await clock.advance(60)
  await settle(clock, store)
  expect(store.values).toEqual(expected())
})

test('sequences that the peer has of another past stand for none that were never sent', async () => {
  const { clock, store, senderId, point, expected } = setUp()
  store.isUp = false
  store.knows(senderId.id, 5)
  for (let i = 0; i < 10; i++) {
    point()
    await clock.advance(60)
  }
  await settle(clock, store)
  expect(store.values).toEqual(expected())
})

test('every point comes once, over stalls, late answers and kills', async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const { clock, store, point, expected } = setUp()
    const random = randomOf(seed)
    for (let step = 0; step < STEPS; step++) {
      const stalled = step % 50 > 25 && seed % 4 !== 0
      for (let i = random(20); i > 0; i--) point()
      await clock.advance(random(120))
      if (!stalled || random(8) === 0) {
        const open = [...store.connections].sort(() => random(3) - 1)
        for (const connection of open) if (random(3) > 0) store.look(connection)
      }
      if (random(10) === 0) store.sync()
      if (random(40) === 0) store.kill()
      else if (random(4) === 0) store.isUp = true
    }
    await settle(clock, store)
    const missing = new Set(expected()).difference(new Set(store.values))
    expect({ seed, missing: [...missing] }).toEqual({ seed, missing: [] })
    expect(store.values).toEqual(expected())
  }
}, 30_000)

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
