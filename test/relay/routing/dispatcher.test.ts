/** The hot path against a naive twin: any bytes in any pieces, several routings, few interned names. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrameReader, POINTS_FRAME_BYTES_MAX } from '../../../src/ipc/frame-format.ts'
import { NAME_IDS_MAX, parseOpening } from '../../../src/ipc/points-format.ts'
import { PointsReceiver } from '../../../src/ipc/points-receiver.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Stats } from '../../../src/lib/stats.ts'
import { latin1 } from '../../../src/metric/number.ts'
import { viewOf } from '../../../src/relay/delivery/copy-bytes.ts'
import { Cleaner } from '../../../src/relay/routing/cleaning.ts'
import { Destination } from '../../../src/relay/delivery/destination.ts'
import type { Dialect } from '../../../src/relay/delivery/destination-options.ts'
import { Dispatcher } from '../../../src/relay/routing/dispatcher.ts'
import { hashName, Interner, NOT_INTERNED } from '../../../src/relay/routing/interner.ts'
import { LineStream } from '../../../src/relay/inputs/line-stream.ts'
import { Network } from '../../../src/relay/routing/network.ts'
import { PointNames } from '../../../src/relay/routing/point-names.ts'
import { parseRelayText } from '../../../src/relay/config/relay-conf.ts'
import { Router } from '../../../src/relay/routing/router.ts'
import { SenderId } from '../../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import { dispatcherCounters } from '../../../src/relay/statistics.ts'
import { WallTimes } from '../../../src/relay/wall-times.ts'
import type { Upstream, UpstreamEvents } from '../../../src/relay/delivery/upstream.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const CONFS = {
  plain: 'cluster a forward h:1;\nmatch * send to a;\n',
  central:
    'cluster a forward h:1;\ncluster b forward h:2;\nmatch * send to a;\n' +
    'rewrite (.*) into x.y.\\1;\nmatch * send to b;\n',
  rules:
    'cluster a forward h:1;\ncluster b forward h:2;\n' +
    'match ^a validate ^[0-9.]+\\ [0-9]+$ else drop send to b stop;\n' +
    'match b send to blackhole;\nmatch * send to a b;\n',
  ring: 'cluster r fnv1a_ch h:1 h:2 h:3;\nmatch * send to r;\n',
  rewrites:
    'cluster a forward h:1;\ncluster r carbon_ch replication 2 h:2 h:3 h:4;\n' +
    'rewrite ^([ab])\\.(.*) into \\_2.\\1;\nmatch a send to a;\nrewrite (.*) into f.\\1;\n' +
    'rewrite n([0-9]) into N\\1.x;\nmatch ^f.(.*) route using \\1 send to a r stop;\n' +
    'match * validate 1 else log;\nmatch * send to r;\n',
  aggregates:
    'cluster a forward h:1;\nmatch c validate 2 else drop send to a;\n' +
    'aggregate ^(a)\\. b every 1 seconds expire after 2 seconds compute sum write to s.\\1;\n' +
    'rewrite c into CC;\nmatch * send to a;\n',
  twice:
    'cluster a forward h:1;\nmatch * send to a;\nrewrite ^(a)(.*) into b\\2.\\1;\nmatch * send to a;\n',
}

interface Rig {
  readonly dispatcher: Dispatcher
  readonly stream: LineStream
  readonly network: Network
  readonly router: Router
  readonly stats: Stats
  /** By destination, all that it was sent. */
  readonly sent: () => Promise<Record<string, string>>
}

/** A peer that writes down, as lines, the points of the frames that it is sent. */
function pointsPeer(
  clock: SimClock,
  events: UpstreamEvents,
  take: (line: string) => void,
): Upstream {
  const names: string[] = []
  let receiver: PointsReceiver | undefined
  const last = { written: 0, synced: 0 }
  const frames = new FrameReader({
    bytesMax: POINTS_FRAME_BYTES_MAX,
    onFrame: (frame) => receiver!.receive(frame),
  })
  return {
    unconfirmed: 0,
    finish() {},
    write(bytes) {
      if (receiver) frames.feed(bytes)
      else {
        receiver = new PointsReceiver({
          sender: parseOpening(latin1(bytes, 0, bytes.length - 1))!.sender!,
          version: 1,
          nonce: new Uint8Array(16),
          send: (reply) => clock.after(0, () => events.onData(reply)),
          sink: {
            resolve: (name) => names.push(latin1(name, 0, name.length)) - 1,
            lastSequences: () => last,
            points(_, { sequence, ids, timestamps, values, count }) {
              last.written = last.synced = sequence
              for (let i = 0; i < count; i++)
                take(`${names[ids[i]!]} ${values[i]} ${timestamps[i]}\n`)
              receiver!.ack(last)
            },
          },
        })
      }
      return bytes.length
    },
    end() {},
  }
}

function rig(conf: string, namesMax = 1_000, dialect: Dialect = 'line'): Rig {
  const [disk, clock, stats] = [new SimDisk(), new SimClock(), new Stats()]
  const routing = parseRelayText(disk, conf, 'test')
  if (!routing.ok) throw new Error(routing.error)
  const router = new Router(routing.value, 1, true)
  const written = new Map<string, string>()
  const network = new Network(
    clock,
    router,
    (host) => {
      const label = `${host.address}:${host.port}`
      const dir = `/spool/${label}`
      const counter = () => ({ value: 0 })
      const spool = new Spool({
        dir,
        disk,
        clock,
        log: silentLog,
        limits: () => ({ bytesMax: 1e9, ageMsMax: 1e9 }),
        dropped: counter(),
        damaged: counter(),
      })
      spool.open()
      return new Destination({
        label,
        dialect,
        connect(events) {
          clock.after(0, () => events.onOpen())
          const take = (text: string): void => {
            written.set(label, (written.get(label) ?? '') + text)
          }
          if (dialect === 'emon') return pointsPeer(clock, events, take)
          return {
            unconfirmed: 0,
            write(bytes) {
              take(latin1(bytes, 0, bytes.length))
              return bytes.length
            },
            finish() {},
            end() {},
          }
        },
        clock,
        log: silentLog,
        senderId: new SenderId(disk, clock, dir),
        spool,
        maySpool: () => true,
        wallTimes: new WallTimes(clock),
        counters: {
          sent: counter(),
          spooled: counter(),
          dropped: counter(),
          unparsable: counter(),
          reconnects: counter(),
        },
        prefix: undefined,
        lookUp: undefined,
        resends: true,
        compress: false,
        settings: () => ({
          resendWindowBytes: 1e6,
          token: undefined,
          maxFutureSeconds: 3_600,
          replayRate: 0,
        }),
        onHealth() {},
        onProgress() {},
      })
    },
    () => undefined,
  )
  const dispatcher = new Dispatcher(router, {
    clock,
    network,
    cleaner: new Cleaner(),
    counters: dispatcherCounters(stats),
    maxFutureSeconds: () => 3_600,
    lineBytesMax: 32_768,
    aggregate() {},
    logInvalid() {},
    limits: { namesMax, bytesMax: 64 * 1024 },
  })
  const discarded = stats.counter('metricsDiscarded')
  return {
    dispatcher,
    stream: new LineStream({ dispatcher, lineBytesMax: 32_768, discarded, origin: '' }),
    network,
    router,
    stats,
    async sent() {
      await clock.advance(100)
      return Object.fromEntries(written)
    },
  }
}

/** What a validate rule looks at: tags count as data. */
function validated(name: Uint8Array, nameEnd: number, data: string): string {
  const tagsAt = name.indexOf(0x3b)
  const hasTags = tagsAt >= 0 && tagsAt < nameEnd
  return hasTags ? latin1(name, tagsAt + 1, nameEnd) + data : data.slice(1)
}

/** What a relay does that takes its time. */
function naive(router: Router, bytes: Uint8Array): Record<string, string> {
  const cleaner = new Cleaner()
  const sent: Record<string, string> = {}
  const text = latin1(bytes, 0, bytes.lastIndexOf(0x0a) + 1)
  for (const line of text.split(/[\r\n]/)) {
    const raw = Buffer.from(line, 'latin1')
    const clean = new Uint8Array(raw.length + 1)
    const length = cleaner.cleanLine(raw, 0, raw.length, clean, 0)
    if (length === 0) continue
    const nameEnd = clean.indexOf(0x20)
    follow(router, clean.slice(0, nameEnd), latin1(clean, nameEnd, length), sent)
  }
  return sent
}

/** Does what the name's plan says with a line of it. */
function follow(
  router: Router,
  name: Uint8Array,
  data: string,
  sent: Record<string, string>,
): void {
  const { steps } = router.plan(name)
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!
    if (step.kind === 'send') {
      for (const member of step.members) {
        const host = router.routing.clusters[step.cluster]!.members[member]!
        const label = `${host.address}:${host.port}`
        const text = latin1(step.name, 0, step.name.length)
        sent[label] = `${sent[label] ?? ''}${text}${data}\n`
      }
    } else if (
      step.kind === 'validate' &&
      !step.expression.test(validated(name, name.length, data))
    ) {
      i = step.failTo - 1
    }
  }
}

const node = fc.constantFrom(
  'a',
  'b',
  'c.d',
  'a..b',
  '.x',
  'ä',
  'a;k=v',
  'y%z',
  '',
  ' ',
  'n1',
  'n2',
)
const blank = fc.constantFrom(' ', ' ', ' ', '  ', '\t', '')
const value = fc.constantFrom('1', '2.5', 'nan', '-', '1 2 3', '', '.5', '1\r', '\x01')
const line = fc
  .tuple(node, node, blank, value, blank, fc.constantFrom('1700000000', '-1', '', '7 '))
  .map(([a, b, s, v, t, time]) => `${a}.${b}${s}${v}${t}${time}`)
const lineBytes = fc
  .array(line, { maxLength: 60 })
  .map((list) => Uint8Array.from(Buffer.from(list.map((text) => `${text}\n`).join(''), 'latin1')))
const anyBytes = fc.oneof(
  { weight: 4, arbitrary: lineBytes },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 400 }) },
)

describe.each(Object.entries(CONFS))('Dispatcher with %s', (_, conf) => {
  test.each([1_000, 3])('sends what a naive relay sends, with %d names', async (namesMax) => {
    await fc.assert(
      fc.asyncProperty(anyBytes, fc.integer({ min: 1, max: 50 }), async (bytes, cut) => {
        const { stream, router, sent } = rig(conf, namesMax)
        for (let at = 0; at < bytes.length; at += cut) stream.feed(bytes.slice(at, at + cut))
        for (let again = 0; again < 2; again++)
          stream.feed(Buffer.concat([Buffer.from('\n'), bytes]))
        const all = Buffer.concat([bytes, Buffer.from('\n'), bytes, Buffer.from('\n'), bytes])
        expect(await sent()).toEqual(naive(router, all))
      }),
      { numRuns: 40 },
    )
  })
})

describe.each(Object.entries(CONFS))('Dispatcher with %s, in points', (_, conf) => {
  const name = fc.tuple(fc.constantFrom('a', 'b', 'c.d'), fc.integer({ min: 0, max: 9 }))
  const points = fc
    .array(name, { maxLength: 60 })
    .map((names) => Buffer.from(names.map(([a, b], i) => `${a}.n${b} ${i} 1700000000\n`).join('')))

  test.each([1_000, 3])('every point keeps its name, with %d names', async (namesMax) => {
    await fc.assert(
      fc.asyncProperty(points, async (bytes) => {
        const { stream, router, sent } = rig(conf, namesMax, 'emon')
        for (let again = 0; again < 2; again++) stream.feed(bytes)
        expect(await sent()).toEqual(naive(router, Buffer.concat([bytes, bytes])))
      }),
      { numRuns: 40 },
    )
  })

  test('also when the names of a connection have to be forgotten', async () => {
    const { stream, network, router, sent } = rig(conf, 1_000, 'emon')
    const lines = Buffer.from('a.n1 1 1700000000\nb.n2 2 1700000000\na.n3 3 1700000000\n')
    stream.feed(lines.subarray(0, lines.indexOf(0x0a) + 1))
    for (const { gatherer } of network.destinations)
      while (gatherer.names.count < NAME_IDS_MAX - 1) gatherer.defineName(toUtf8('x'))
    stream.feed(lines.subarray(lines.indexOf(0x0a) + 1))
    stream.feed(lines)
    expect(await sent()).toEqual(naive(router, Buffer.concat([lines, lines])))
  }, 60_000)
})

describe.each(Object.entries(CONFS))('Dispatcher with %s, points by number', (_, conf) => {
  const names = ['a.n1', 'b.n2', 'c.d', 'a..b', 'y%z', 'a;k=v', 'b.n2', '.x', 'c.n1']
  const asNumber = fc.record({ number: fc.nat(names.length - 1), isLine: fc.boolean() })
  const cases = (['line', 'emon'] as const).flatMap((dialect) => {
    return [1_000, 3].map((namesMax): [Dialect, number] => [dialect, namesMax])
  })

  test.each(cases)('spoken as %s, among lines, with %d names', async (dialect, namesMax) => {
    await fc.assert(
      fc.asyncProperty(fc.array(asNumber, { maxLength: 60 }), async (list) => {
        const { dispatcher, stream, router, sent } = rig(conf, namesMax, dialect)
        const numbered = new PointNames()
        for (const name of names) numbered.add(Buffer.from(name))
        const wanted: Record<string, string> = {}
        for (const [i, { number, isLine }] of list.entries()) {
          const data = ` ${i} 1700000000`
          const bytes = Uint8Array.from(Buffer.from(names[number]!))
          if (isLine) {
            const line = Buffer.from(`${names[number]}${data}\n`)
            stream.feed(line)
            const clean = new Uint8Array(line.length)
            const length = new Cleaner().cleanLine(line, 0, line.length - 1, clean, 0)
            follow(router, clean.slice(0, length - data.length), data, wanted)
          } else {
            dispatcher.dispatchNumbered(numbered, number, i, 1_700_000_000)
            follow(router, bytes, data, wanted)
          }
        }
        expect(await sent()).toEqual(wanted)
      }),
      { numRuns: 40 },
    )
  })
})

test('a name that no store takes is no example for those that go the same way', async () => {
  const { stream, sent } = rig(CONFS.central, 1_000, 'emon')
  const long = 'x'.repeat(256)
  const lines = ['a', `${long}.a`, 'b', `${long}.b`, 'c'].map((name) => `${name} 1 1700000000\n`)
  stream.feed(Buffer.from([lines[1], ...lines].join('')))
  const taken = `a 1 1700000000\nb 1 1700000000\nc 1 1700000000\n`
  expect(await sent()).toEqual({ 'h:1': taken, 'h:2': taken.replaceAll(/^(?=.)/gm, 'x.y.') })
})

test('LineStream skips a line that is too long, whatever its pieces, and goes on behind it', async () => {
  for (const cut of [1_000, 40_000, 200_000]) {
    const { stream, sent, stats } = rig(CONFS.plain)
    const bytes = Buffer.from(`a 1 1\n${'x'.repeat(100_000)} 1 1\nb 2 2\n`)
    for (let at = 0; at < bytes.length; at += cut) stream.feed(bytes.subarray(at, at + cut))
    expect(await sent()).toEqual({ 'h:1': 'a 1 1\nb 2 2\n' })
    expect(stats.counter('metricsDiscarded').value).toBe(1)
  }
})

describe('Interner', () => {
  test('knows what is in it, within its limits, whatever was evicted', () => {
    const names = fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 300 })
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 50 }), (list, namesMax) => {
        const owners = new Map<number, string>()
        const interner = new Interner({ namesMax, bytesMax: 2_048 }, (id) => owners.delete(id))
        for (const name of list) {
          const bytes = Buffer.from(name)
          const view = viewOf(bytes)
          const hash = hashName(view, 0, bytes.length)
          let id = interner.find(view, 0, bytes.length, hash)
          if (id !== NOT_INTERNED) expect(owners.get(id)).toBe(name)
          else {
            expect([...owners.values()]).not.toContain(name)
            id = interner.add(view, 0, bytes.length, hash)
            if (id !== NOT_INTERNED) owners.set(id, name)
          }
          expect(interner.count).toBe(owners.size)
          expect(interner.count).toBeLessThanOrEqual(namesMax)
        }
        for (const [id, name] of owners)
          expect(Buffer.from(interner.name(id)).toString()).toBe(name)
      }),
    )
  })
})
