/** A destination's queue on disk, and the outbox in front of it: order, crashes, damage, limits. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { NameTable } from '../../../src/ipc/points-sender.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Outbox, SPILL_AFTER_MS } from '../../../src/relay/delivery/outbox.ts'
import { SenderId } from '../../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import type { Batch } from '../../../src/relay/delivery/spool-format.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const DIR = '/spool/one'

function setUp(
  disk = new SimDisk(),
  options: { segmentBytes?: number; bytesMax?: number; ageMsMax?: number } = {},
) {
  const clock = new SimClock()
  disk.nowMs = () => clock.nowMs()
  const dropped = { value: 0 }
  const damaged = { value: 0 }
  const spool = new Spool({
    dir: DIR,
    disk,
    clock,
    log: silentLog,
    limits: () => ({ bytesMax: options.bytesMax ?? 1e9, ageMsMax: options.ageMsMax ?? 1e9 }),
    segmentBytes: options.segmentBytes ?? 1_000,
    dropped,
    damaged,
  })
  spool.open()
  return { disk, clock, spool, dropped, damaged }
}

function lines(sequence: number, text = `a.b ${sequence} 1\n`, bornMs = 0): Batch {
  return { sequence, count: 1, bytes: toUtf8(text), names: undefined, nameCount: 0, bornMs }
}

function points(sequence: number, names: NameTable): Batch {
  const bytes = new Uint8Array(12 + 16)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, sequence, true)
  view.setUint32(8, 1, true)
  view.setUint32(12, names.count - 1, true)
  return { sequence, count: 1, bytes, names, nameCount: names.count, bornMs: 0 }
}

function drain(spool: Spool, after = 0): number[] {
  const sequences: number[] = []
  let sequence = after
  for (let batch = spool.read(sequence); batch; batch = spool.read(sequence)) {
    sequence = batch.sequence
    sequences.push(sequence)
  }
  return sequences
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('Spool', () => {
  test('gives back in order over many segments, also to the next process', () => {
    const { disk, spool } = setUp()
    for (let i = 1; i <= 200; i++) spool.append(lines(i))
    expect(drain(spool)).toEqual(range(1, 200))
    expect(disk.list(DIR).length).toBeGreaterThan(5)
    expect(drain(setUp(disk).spool, 150)).toEqual(range(151, 200))
  })

  test('keeps where points come from, for the next process too', () => {
    const { disk, spool } = setUp()
    const names = new NameTable()
    names.add(toUtf8('a.b'))
    const source = '0123456789abcdef'
    const sources = [{ source, sequence: 7, start: 0, count: 1, isLast: true }]
    spool.append({ ...points(1, names), sources })
    spool.append(points(2, names))
    const next = setUp(disk).spool
    expect([next.read(0)?.sources, next.read(1)?.sources]).toEqual([sources, []])
    expect([next.points, next.lastSequence]).toEqual([2, 2])
  })

  test('gives the same batch until the sequence has reached it', () => {
    const { spool } = setUp()
    for (let i = 1; i <= 100; i++) spool.append(lines(i))
    for (let i = 0; i < 100; i++) {
      expect(spool.read(i)?.sequence).toBe(i + 1)
      expect(spool.read(i)?.sequence).toBe(i + 1)
    }
    expect(spool.read(100)).toBeUndefined()
  })

  test('a reader sees what is appended behind it', () => {
    const { spool } = setUp()
    spool.append(lines(1))
    expect(drain(spool)).toEqual([1])
    spool.append(lines(2))
    expect(drain(spool, 1)).toEqual([2])
  })

  test('deletes segments when they are delivered', () => {
    const { disk, spool } = setUp()
    for (let i = 1; i <= 200; i++) spool.append(lines(i))
    spool.release(100)
    expect(drain(spool, 100)).toEqual(range(101, 200))
    spool.release(200)
    expect(spool.isEmpty).toBe(true)
    expect([spool.bytes, spool.points]).toEqual([0, 0])
    expect(disk.list(DIR)).toEqual([])
  })

  test('frames bring the names that they use, whatever segment they are in', () => {
    const { disk, spool } = setUp()
    const names = new NameTable()
    for (let i = 0; i < 10_000; i++) names.add(toUtf8(`unused.${i}`))
    for (let i = 1; i <= 100; i++) {
      names.add(toUtf8(`name.${i}`))
      spool.append(points(i, names))
    }
    expect(spool.bytes).toBeLessThan(10_000)
    const again = setUp(disk).spool
    for (let i = 1; i <= 100; i++) {
      const { bytes, names: table } = again.read(i - 1)!
      const id = new DataView(bytes.buffer, bytes.byteOffset).getUint32(12, true)
      expect(Buffer.from(table!.name(id)).toString()).toBe(`name.${i}`)
    }
  })

  test('a power cut leaves what was synced, and no more than a torn end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.nat(60), fc.nat(200), async (synced, more, tornBytes) => {
        const { disk, spool } = setUp()
        for (let i = 1; i <= synced; i++) spool.append(lines(i))
        await spool.sync()
        for (let i = synced + 1; i <= synced + more; i++) spool.append(lines(i))
        disk.powerCut({ tornBytes })
        const { spool: after, damaged } = setUp(disk)
        const found = drain(after)
        expect(found.slice(0, synced)).toEqual(range(1, synced))
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b))
        expect(damaged.value).toBe(0)
      }),
      { numRuns: 50 },
    )
  })

  test('a damaged segment is delivered up to the damage, moved away and counted', () => {
    const { disk, spool } = setUp(new SimDisk(), { segmentBytes: 400 })
    for (let i = 1; i <= 40; i++) spool.append(lines(i))
    const second = disk.list(DIR)[1]!
    disk.corrupt(`${DIR}/${second}`, 300)
    const { spool: after, damaged, dropped } = setUp(disk)
    const found = drain(after)
    expect(damaged.value).toBe(1)
    expect(found.length + dropped.value).toBe(40)
    expect(found).toEqual([...found].sort((a, b) => a - b))
    expect(found.at(-1)).toBe(40)
    expect(disk.list(`${DIR}/corrupt`)).toEqual([second])
  })

  test('beyond its bytes or its age the oldest goes, counted', () => {
    const { spool, dropped } = setUp(new SimDisk(), { bytesMax: 3_000 })
    for (let i = 1; i <= 300; i++) spool.append(lines(i))
    const kept = drain(spool)
    expect(kept.at(-1)).toBe(300)
    expect(kept.length + dropped.value).toBe(300)
    expect(spool.bytes).toBeLessThanOrEqual(3_000)
    const aged = setUp(new SimDisk(), { ageMsMax: 1_000 })
    aged.spool.append(lines(1))
    aged.clock.step(2_000)
    aged.spool.enforceLimits()
    expect([aged.spool.isEmpty, aged.dropped.value]).toEqual([true, 1])
  })
})

describe('Outbox', () => {
  function outbox(disk = new SimDisk(), memoryBytesMax = 1e6) {
    const parts = setUp(disk)
    const counters = { dropped: { value: 0 }, spooled: { value: 0 } }
    const box = new Outbox({
      window: undefined,
      spool: parts.spool,
      maySpool: () => true,
      memoryBytesMax,
      ...counters,
    })
    return { ...parts, ...counters, box }
  }

  test('next() gives the same batch until it is sent, from disk too', () => {
    const { box } = outbox()
    for (let i = 1; i <= 50; i++) box.push(lines(i))
    box.spillOverdue(SPILL_AFTER_MS)
    for (let i = 51; i <= 60; i++) box.push(lines(i, 'x\n', 1_000))
    for (let i = 1; i <= 60; i++) {
      expect(box.next()?.sequence).toBe(i)
      box.sent(box.next()!)
    }
    expect(box.next()).toBeUndefined()
  })

  test('a connection that starts anew gets what the peer has not written', () => {
    const { box } = outbox()
    for (let i = 1; i <= 20; i++) box.push(lines(i))
    for (let i = 1; i <= 15; i++) box.sent(box.next()!)
    box.acknowledge(10, 5)
    box.rewind(8)
    expect(box.next()?.sequence).toBe(9)
    box.acknowledge(20, 20)
    expect(box.isEmpty).toBe(true)
  })

  test('any mix of pushing, spilling, sending, acknowledging and reconnecting loses nothing', () => {
    const step = fc.constantFrom('push', 'spill', 'send', 'ack', 'reconnect')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { box } = outbox()
        const got = new Set<number>()
        let pushed = 0
        let peer = 0
        for (const what of steps) {
          if (what === 'push') box.push(lines(++pushed))
          else if (what === 'spill') box.spillOverdue(1e9)
          else if (what === 'ack') box.acknowledge(peer, peer)
          else if (what === 'reconnect') box.rewind(peer)
          else {
            const batch = box.next()
            if (!batch) continue
            expect(batch.sequence).toBe(peer + 1)
            got.add((peer = batch.sequence))
            box.sent(batch)
          }
        }
        for (let batch = box.next(); batch; batch = box.next()) {
          got.add(batch.sequence)
          box.sent(batch)
        }
        expect([...got]).toEqual(range(1, pushed))
      }),
    )
  })

  test('with a full disk memory holds what it may, then the oldest goes, counted', () => {
    const disk = new SimDisk()
    const { box, dropped } = outbox(disk, 1_000)
    disk.capacityBytes = 0
    for (let i = 1; i <= 200; i++) box.push(lines(i))
    box.spillOverdue(1e9)
    const kept: number[] = []
    for (let batch = box.next(); batch; batch = box.next()) {
      kept.push(batch.sequence)
      box.sent(batch)
    }
    expect(dropped.value).toBeGreaterThan(0)
    expect(kept).toEqual(range(dropped.value + 1, 200))
  })
})

describe('SenderId', () => {
  test('never gives a sequence twice, whenever it is killed', () => {
    const disk = new SimDisk()
    const clock = new SimClock()
    disk.makeDir(DIR)
    let last = 0
    let id = ''
    for (let life = 0; life < 5; life++) {
      const sender = new SenderId(disk, clock, DIR)
      if (life > 0) expect(sender.id).toBe(id)
      id = sender.id
      for (let i = 0; i < 70_000; i += 1 + life) {
        const next = sender.next()
        expect(next).toBeGreaterThan(last)
        last = next
      }
      disk.powerCut()
    }
  })
})
