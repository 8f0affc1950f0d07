import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { PointsColumns } from '../../../src/ipc/points-format.ts'
import { PART_POINTS, partSequence } from '../../../src/ipc/sources-format.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Gatherer } from '../../../src/relay/delivery/gatherer.ts'
import { Outbox } from '../../../src/relay/delivery/outbox.ts'
import { SenderId } from '../../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import type { Batch } from '../../../src/relay/delivery/spool-format.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const DIR = '/spool'
/** More than half of a block, so that blocks are used again. */
const POINTS = 6_000

function rig() {
  const [clock, disk] = [new SimClock(), new SimDisk()]
  const counter = () => ({ value: 0 })
  const spool = new Spool({
    dir: DIR,
    disk,
    clock,
    log: silentLog,
    limits: () => ({ bytesMax: 1e9, ageMsMax: 1e9 }),
    dropped: counter(),
    damaged: counter(),
  })
  spool.open()
  const outbox = new Outbox({
    spool,
    window: undefined,
    maySpool: () => true,
    memoryBytesMax: 1e9,
    dropped: counter(),
    spooled: counter(),
  })
  const senderId = new SenderId(disk, clock, DIR)
  const gatherer = new Gatherer({
    clock,
    senderId,
    outbox,
    prefix: undefined,
    onSealed() {},
  })
  return { gatherer, outbox }
}

test('a block is filled again when its points are synced, and not before', () => {
  const { gatherer, outbox } = rig()
  const id = gatherer.defineName(toUtf8('a.b'))
  const seal = (value: number): void => {
    for (let i = 0; i < POINTS; i++) gatherer.appendPoint(id, 1_700_000_000, value)
    gatherer.seal()
  }
  const sent: { sequence: number; bytes: Uint8Array; value: number }[] = []
  const send = (value: number): void => {
    const batch = outbox.next()!
    outbox.sent(batch)
    sent.push({ ...batch, value })
  }
  for (let value = 0; value < 3; value++) {
    seal(value)
    send(value)
  }
  // The first is synced, the second only written.
  outbox.acknowledge(sent[1]!.sequence, sent[0]!.sequence)
  for (let value = 3; value < 5; value++) {
    seal(value)
    send(value)
  }
  const columns = new PointsColumns()
  for (const { bytes, value } of sent.slice(1)) {
    columns.decode(bytes)
    expect(columns.count).toBe(POINTS)
    expect(columns.values.every((one) => one === value)).toBe(true)
  }
  expect(sent[3]!.bytes.buffer).toBe(sent[0]!.bytes.buffer)
  expect(new Set(sent.slice(1).map(({ bytes }) => bytes.buffer)).size).toBe(4)
})

describe('parts of sources', () => {
  const SOURCE = '00000000000000aa'

  /** Starts of spans, and counts, by batch. */
  function batchesOf(outbox: Outbox): [number, number, number, boolean][][] {
    const batches: [number, number, number, boolean][][] = []
    for (let batch = outbox.next(); batch; batch = outbox.next()) {
      outbox.sent(batch)
      batches.push(
        batch.sources!.map(({ sequence, start, count, isLast }) => [
          sequence,
          start,
          count,
          isLast,
        ]),
      )
    }
    return batches
  }

  test('a part is in one batch, and noted with it', () => {
    const { gatherer, outbox } = rig()
    const id = gatherer.defineName(toUtf8('a.b'))
    const append = (count: number): void => {
      for (let i = 0; i < count; i++) gatherer.appendPoint(id, 1_700_000_000, i)
    }
    const from = (sequence: number, count: number): void => {
      gatherer.beginPart(SOURCE, sequence)
      append(count)
      gatherer.endPart(true)
    }
    append(1_000)
    from(1, 5_000)
    append(1_000)
    from(2, 5_000)
    from(3, 3_192)
    from(4, 10_000)
    gatherer.seal()
    expect(batchesOf(outbox)).toEqual([
      [[1, 1_000, 5_000, true]],
      [
        [2, 0, 5_000, true],
        [3, 5_000, 3_192, true],
      ],
      [[4, 0, 8_192, false]],
      [[4, 0, 1_808, true]],
    ])
  })

  test('a part that goes to the next batch takes its points along', () => {
    const { gatherer, outbox } = rig()
    const id = gatherer.defineName(toUtf8('a.b'))
    for (let i = 0; i < 8_000; i++) gatherer.appendPoint(id, 1_700_000_000, i)
    gatherer.beginPart(SOURCE, 1)
    for (let i = 8_000; i < 8_500; i++) gatherer.appendPoint(id, 1_700_000_000, i)
    gatherer.endPart(true)
    gatherer.seal()
    const columns = new PointsColumns()
    const values: number[] = []
    const counts: number[] = []
    for (let batch = outbox.next(); batch; batch = outbox.next()) {
      outbox.sent(batch)
      columns.decode(batch.bytes)
      counts.push(columns.count)
      values.push(...columns.values)
    }
    expect(counts).toEqual([8_000, 500])
    expect(values).toEqual(Array.from({ length: 8_500 }, (_, i) => i))
  })

  test('whatever had left before a kill, what is sent again counts once', () => {
    const frames = fc.array(fc.record({ points: fc.nat(3_000), others: fc.nat(2_000) }), {
      maxLength: 8,
    })
    const run = fc.record({ frames, copies: fc.integer({ min: 1, max: 16 }), kept: fc.nat(100) })
    fc.assert(
      fc.property(run, ({ frames, copies, kept }) => {
        const counted = new Map<number, number>()
        const receiver = new Receiver((point) => counted.set(point, (counted.get(point) ?? 0) + 1))
        const first = sent(frames, copies, 0)
        for (const batch of first.slice(0, kept % (first.length + 1))) receiver.take(batch)
        for (const batch of sent(frames, copies, 3_000)) receiver.take(batch)
        let total = 0
        for (const { points } of frames) total += points
        expect(counted.size).toBe(total)
        expect([...counted.values()].every((count) => count === copies)).toBe(true)
      }),
      { numRuns: 20 },
    )
  })

  /** Batches of a process that passes on frames, each point so many times, and has points of its own in between. */
  function sent(
    frames: readonly { points: number; others: number }[],
    copies: number,
    ownBefore: number,
  ): Batch[] {
    const { gatherer, outbox } = rig()
    const id = gatherer.defineName(toUtf8('a.b'))
    const own = (count: number): void => {
      for (let i = 0; i < count; i++) gatherer.appendPoint(id, 1, -1)
    }
    own(ownBefore)
    let next = 0
    for (const [frame, { points, others }] of frames.entries()) {
      for (let at = 0; at < points; at += PART_POINTS) {
        gatherer.beginPart(SOURCE, partSequence(frame + 1, at))
        for (let i = at; i < Math.min(at + PART_POINTS, points); i++, next++) {
          for (let copy = 0; copy < copies; copy++) gatherer.appendPoint(id, 1, next)
        }
        gatherer.endPart(true)
      }
      own(ownBefore === 0 ? others : 0)
    }
    gatherer.seal()
    const batches: Batch[] = []
    for (let batch = outbox.next(); batch; batch = outbox.next()) {
      outbox.sent(batch)
      batches.push(batch)
    }
    return batches
  }

  /** The rule of ipc/sources-format.ts, by itself. */
  class Receiver {
    private readonly onPoint: (point: number) => void
    private last = 0

    constructor(onPoint: (point: number) => void) {
      this.onPoint = onPoint
    }

    take({ bytes, sources }: Batch): void {
      const columns = new PointsColumns()
      columns.decode(bytes)
      for (const { sequence, start, count, isLast } of sources!) {
        if (sequence <= this.last) continue
        for (let i = start; i < start + count; i++) this.onPoint(columns.values[i]!)
        if (isLast) this.last = sequence
      }
    }
  }
})
