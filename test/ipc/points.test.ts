/** Both ends of acknowledged points against each other, without a socket. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  type Frame,
  FrameError,
  FrameReader,
  FrameType,
  POINTS_FRAME_BYTES_MAX,
} from '../../src/ipc/frame-format.ts'
import { PointsBlock } from '../../src/ipc/points-block.ts'
import {
  decodeNames,
  openingLine,
  parseOpening,
  PointsColumns,
  pointsSequence,
  queryOpeningLine,
  REFUSED_ID,
} from '../../src/ipc/points-format.ts'
import { PointsReceiver, type PointsSink } from '../../src/ipc/points-receiver.ts'
import { NameTable, type OutgoingFrame, PointsSender } from '../../src/ipc/points-sender.ts'
import { ByteWriter, fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'

const SENDER = '0123456789abcdef'
const NONCE = new Uint8Array(16).fill(7)

/** Remembers what it is given; refuses names that start with `bad`. */
class MemorySink implements PointsSink {
  names: string[] = []
  readonly taken: [name: string, timestamp: number, value: number][] = []
  readonly last = { written: 0, synced: 0 }

  resolve(name: Uint8Array): number {
    const text = fromUtf8(name)
    return text.startsWith('bad') ? -1 : this.names.push(text) - 1
  }

  forget(): void {
    this.names = []
  }

  points(_sender: string, columns: PointsColumns): void {
    for (let i = 0; i < columns.count; i++) {
      const id = columns.ids[i]!
      if (id === REFUSED_ID) continue
      this.taken.push([this.names[id]!, columns.timestamps[i]!, columns.values[i]!])
    }
    this.last.written = columns.sequence
  }

  lastSequences(): { written: number; synced: number } {
    return this.last
  }
}

interface Link {
  readonly sender: PointsSender
  readonly receiver: PointsReceiver
  readonly acks: { written: number; synced: number }[]
  readonly helloWritten: () => number
  deliver(bytes: Uint8Array): void
}

/** A new connection of one sender to one sink, past the opening line. */
function connect(sink: MemorySink, tokens: { sender?: string; receiver?: string } = {}): Link {
  const acks: Link['acks'] = []
  const backlog: Uint8Array[] = []
  let helloWritten = -1
  const sender = new PointsSender({
    sender: SENDER,
    token: tokens.sender,
    compress: true,
    send: (bytes) => backlog.push(bytes.slice()),
    onHello: (hello) => (helloWritten = hello.written),
    onAck: (ack) => acks.push(ack),
    onError: ({ text }) => {
      throw new Error(text)
    },
  })
  sender.open()
  const opening = parseOpening(fromUtf8(backlog.shift()!).trimEnd())
  expect(opening).toEqual({ sender: SENDER, version: 1 })
  const toSender = reader((frame) => sender.receive(frame))
  const receiver = new PointsReceiver({
    sender: SENDER,
    version: 1,
    nonce: NONCE,
    sink,
    token: tokens.receiver,
    send: (bytes) => toSender.feed(bytes),
  })
  const toReceiver = reader((frame) => receiver.receive(frame))
  for (const bytes of backlog.splice(0)) toReceiver.feed(bytes)
  return {
    sender,
    receiver,
    acks,
    helloWritten: () => helloWritten,
    deliver: (bytes) => toReceiver.feed(bytes),
  }
}

function reader(onFrame: (frame: Frame) => void): FrameReader {
  return new FrameReader({ bytesMax: POINTS_FRAME_BYTES_MAX, onFrame })
}

function frameOf(
  names: NameTable,
  sequence: number,
  points: readonly (readonly [id: number, timestamp: number, value: number])[],
): OutgoingFrame {
  const block = new PointsBlock(points.length)
  for (const [id, timestamp, value] of points) block.push(id, timestamp, value)
  return { sequence, payload: block.close(sequence), names, nameCount: names.count }
}

function send(link: Link, frame: OutgoingFrame): void {
  const out = new ByteWriter()
  link.sender.append(out, frame)
  link.deliver(out.written())
}

describe('opening lines', () => {
  test('are told apart', () => {
    expect(parseOpening(openingLine(SENDER).trimEnd())).toEqual({ sender: SENDER, version: 1 })
    expect(parseOpening(queryOpeningLine().trimEnd())).toEqual({ sender: undefined, version: 1 })
    expect(parseOpening(`emon/1-9,sender=${SENDER}`)?.version).toBe(1)
    expect(parseOpening(`emon/2-9,sender=${SENDER}`)?.version).toBeUndefined()
    for (const line of [
      '',
      'a.b 1 2',
      'emon/1-1',
      'emon/1-1,sender=xyz',
      `emon/1,sender=${SENDER}`,
    ]) {
      expect(parseOpening(line)).toBeUndefined()
    }
  })
})

describe('PointsSender and PointsReceiver', () => {
  test('carry points, each name once', () => {
    const sink = new MemorySink()
    const link = connect(sink)
    const names = new NameTable()
    const a = names.add(toUtf8('a'))
    send(link, frameOf(names, 1, [[a, 10, 1.5]]))
    const b = names.add(toUtf8('b'))
    const points = [
      [b, 11, -Infinity],
      [a, 11, 2],
    ] as const
    send(link, frameOf(names, 2, points))
    expect(sink.names).toEqual(['a', 'b'])
    expect(sink.taken).toEqual([
      ['a', 10, 1.5],
      ['b', 11, -Infinity],
      ['a', 11, 2],
    ])
  })

  test('a frame that was applied before is acknowledged and skipped', () => {
    const sink = new MemorySink()
    const names = new NameTable()
    const frame = frameOf(names, 1, [[names.add(toUtf8('a')), 10, 1]])
    frameWithNames(frame, names)
    send(connect(sink), frameWithNames(frame, names))
    const again = connect(sink)
    expect(again.helloWritten()).toBe(1)
    send(again, frameWithNames(frame, names))
    expect(sink.taken).toHaveLength(1)
    expect(again.acks).toEqual([{ written: 1, synced: 0 }])
  })

  test('a new table of names empties the old one', () => {
    const sink = new MemorySink()
    const link = connect(sink)
    for (const [sequence, name] of ['first', 'second'].entries()) {
      const names = new NameTable()
      const id = names.add(toUtf8(name))
      send(link, frameOf(names, sequence + 1, [[id, 10, sequence]]))
    }
    expect(sink.taken.map(([name]) => name)).toEqual(['first', 'second'])
  })

  test('refused names and unknown ids leave the rest alone', () => {
    const sink = new MemorySink()
    const link = connect(sink)
    const names = new NameTable()
    const bad = names.add(toUtf8('bad name'))
    const good = names.add(toUtf8('good'))
    const points = [
      [bad, 1, 1],
      [good, 1, 2],
      [12_345, 1, 3],
    ] as const
    send(link, frameOf(names, 1, points))
    expect(sink.taken).toEqual([['good', 1, 2]])
  })

  test('the window closes on what is not yet written and opens with ACK', () => {
    const sink = new MemorySink()
    const link = connect(sink)
    const names = new NameTable()
    const id = names.add(toUtf8('a'))
    send(link, frameOf(names, 1, [[id, 10, 1]]))
    expect(link.sender.hasRoom(4 * 1024 * 1024)).toBe(false)
    expect(link.sender.hasRoom(1_000)).toBe(true)
    link.receiver.ack({ written: 1, synced: 0 })
    expect(link.acks).toEqual([{ written: 1, synced: 0 }])
    expect(link.sender.hasRoom(4 * 1024 * 1024)).toBe(true)
  })

  test('a token is proven, not sent; a wrong or missing one ends the connection', () => {
    const frame = (names: NameTable) => frameOf(names, 1, [[names.add(toUtf8('a')), 10, 1]])
    const sink = new MemorySink()
    send(connect(sink, { sender: 'secret', receiver: 'secret' }), frame(new NameTable()))
    expect(sink.taken).toHaveLength(1)
    expect(() => connect(new MemorySink(), { sender: 'wrong', receiver: 'secret' })).toThrow(
      FrameError,
    )
    const without = connect(new MemorySink(), { receiver: 'secret' })
    expect(() => send(without, frame(new NameTable()))).toThrow('a token is needed here')
  })

  test('frames that lie about their length end the connection', () => {
    const link = connect(new MemorySink())
    const wrong = new Uint8Array(12 + 16)
    wrong[8] = 2
    expect(() =>
      link.receiver.receive({ type: FrameType.points, flags: 0, payload: wrong }),
    ).toThrow(FrameError)
    const cut = new Uint8Array(5)
    expect(() => link.receiver.receive({ type: FrameType.names, flags: 0, payload: cut })).toThrow(
      FrameError,
    )
    expect(() => link.receiver.receive({ type: 99, flags: 0, payload: cut })).toThrow(FrameError)
    link.receiver.receive({ type: 99, flags: 2, payload: cut })
  })

  test('random payloads never do anything but throw FrameError', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 3, 4, 6),
        fc.uint8Array({ maxLength: 200 }),
        (type, payload) => {
          const link = connect(new MemorySink())
          try {
            link.receiver.receive({ type, flags: 0, payload })
          } catch (error) {
            expect(error).toBeInstanceOf(FrameError)
          }
        },
      ),
    )
  })
})

/** The frame with all names that its table has by now. */
function frameWithNames(frame: OutgoingFrame, names: NameTable): OutgoingFrame {
  return { ...frame, nameCount: names.count }
}

test('PointsColumns keeps every bit, also of unaligned payloads', () => {
  const point = fc.tuple(fc.nat(0xffff), fc.nat(0xffff_ffff), fc.double())
  fc.assert(
    fc.property(
      fc.array(point, { maxLength: 50 }),
      fc.nat(7),
      fc.maxSafeNat(),
      (points, shift, sequence) => {
        const { payload } = frameOf(new NameTable(), sequence, points)
        const shifted = new Uint8Array(payload.length + shift)
        shifted.set(payload, shift)
        const columns = new PointsColumns()
        columns.decode(shifted.subarray(shift))
        expect(columns.sequence).toBe(sequence)
        expect(pointsSequence(payload)).toBe(sequence)
        const read = points.map((_, i) => [
          columns.ids[i],
          columns.timestamps[i],
          columns.values[i],
        ])
        expect(read).toEqual(points.map((point) => [...point]))
      },
    ),
  )
})

test('a table of many names crosses in frames under the limit', () => {
  const names = new NameTable()
  const long = 'n'.repeat(1_000)
  for (let i = 0; i < 3_000; i++) names.add(toUtf8(`${long}${i}`))
  const seen: string[] = []
  const sink = new MemorySink()
  const link = connect(sink)
  const out = new ByteWriter()
  link.sender.append(out, frameOf(names, 1, [[2_999, 1, 1]]))
  reader(({ type, payload }) => {
    if (type === FrameType.names) decodeNames(payload, (_, name) => seen.push(fromUtf8(name)))
  }).feed(out.written())
  expect(seen).toHaveLength(3_000)
  link.deliver(out.written())
  expect(sink.taken).toEqual([[`${long}2999`, 1, 1]])
})
