import { expect, test } from 'bun:test'
import { PointsColumns } from '../../../src/ipc/points-format.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Gatherer } from '../../../src/relay/delivery/gatherer.ts'
import { Outbox } from '../../../src/relay/delivery/outbox.ts'
import { SenderId } from '../../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
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

test('points of one source are in one batch where they fit, and noted with it', () => {
  const { gatherer, outbox } = rig()
  const id = gatherer.defineName(toUtf8('a.b'))
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) gatherer.appendPoint(id, 1_700_000_000, i)
  }
  const from = (sequence: number, count: number): void => {
    gatherer.beginSource('00000000000000aa', sequence, count)
    append(count)
    gatherer.endSource()
  }
  append(1_000)
  from(1, 5_000)
  append(1_000)
  from(2, 5_000)
  from(3, 3_192)
  from(4, 10_000)
  gatherer.seal()
  const batches: [number, number, number, boolean][][] = []
  for (let batch = outbox.next(); batch; batch = outbox.next()) {
    outbox.sent(batch)
    batches.push(
      batch.sources!.map(({ sequence, start, count, isLast }) => [sequence, start, count, isLast]),
    )
  }
  expect(batches).toEqual([
    [[1, 1_000, 5_000, true]],
    [
      [2, 0, 5_000, true],
      [3, 5_000, 3_192, true],
    ],
    [[4, 0, 8_192, false]],
    [[4, 0, 1_808, true]],
  ])
})
