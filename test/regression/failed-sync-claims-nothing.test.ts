/**
 * After a failed sync the next one succeeded without what the first had lost, and the spool and the journal of
 * aggregations called all of it synced; so did a sync that began while another was still running, and one after
 * a segment that had ended with a full disk.
 */
import { expect, test } from 'bun:test'
import type { DiskFile } from '../../src/lib/disk.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Aggregator } from '../../src/relay/aggregation/aggregator.ts'
import { AggregatorJournal } from '../../src/relay/aggregation/aggregator-journal.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Router } from '../../src/relay/routing/router.ts'
import { Spool } from '../../src/relay/delivery/spool.ts'
import type { Batch } from '../../src/relay/delivery/spool-format.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

const DIR = '/spool/one'

function openSpool(disk: SimDisk): Spool {
  const spool = new Spool({
    dir: DIR,
    disk,
    clock: new SimClock(),
    log: silentLog,
    limits: () => ({ bytesMax: 1e9, ageMsMax: 1e13 }),
    segmentBytes: 200,
    dropped: { value: 0 },
    damaged: { value: 0 },
  })
  spool.open()
  return spool
}

function lines(sequence: number): Batch {
  const bytes = toUtf8(`a.b ${sequence} 1\n`)
  return { sequence, count: 1, bytes, names: undefined, nameCount: 0, bornMs: 0 }
}

function found(spool: Spool): number[] {
  const sequences: number[] = []
  for (let batch = spool.read(0); batch; batch = spool.read(batch.sequence)) {
    sequences.push(batch.sequence)
  }
  return sequences
}

/** Syncs wait until the test lets them. */
class SlowDisk extends SimDisk {
  readonly waiting: (() => void)[] = []

  override open(...args: Parameters<SimDisk['open']>): DiskFile {
    const file = super.open(...args)
    const { waiting } = this
    file.sync = () =>
      new Promise((resolve) =>
        waiting.push(() => {
          file.syncNow()
          resolve()
        }),
      )
    return file
  }
}

test('what a failed sync was to keep is kept when the next has succeeded', async () => {
  const disk = new SimDisk()
  const spool = openSpool(disk)
  for (let i = 1; i <= 5; i++) spool.append(lines(i))
  disk.failSyncs(1)
  await spool.sync()
  expect(spool.syncedSequence).toBe(5)
  spool.append(lines(6))
  await spool.sync()
  disk.powerCut()
  expect(found(openSpool(disk))).toEqual([1, 2, 3, 4, 5, 6])
})

test('as long as it cannot be written anew, nothing behind it counts as synced', async () => {
  const disk = new SimDisk()
  const spool = openSpool(disk)
  for (let i = 1; i <= 30; i++) spool.append(lines(i))
  disk.failSyncs(2)
  expect(spool.sync()).rejects.toThrow('EIO')
  await Promise.resolve()
  expect(spool.syncedSequence).toBe(0)
})

test('a sync that begins during another claims nothing for it', async () => {
  const disk = new SlowDisk()
  const spool = openSpool(disk)
  for (let i = 1; i <= 30; i++) spool.append(lines(i))
  const first = spool.sync()
  await spool.sync()
  expect(spool.syncedSequence).toBe(0)
  for (let left = 20; left > 0; left--) {
    disk.waiting.shift()?.()
    await Promise.resolve()
    await Promise.resolve()
  }
  await first
  expect(spool.syncedSequence).toBe(30)
})

test('a segment that is delivered during its sync is no trouble', async () => {
  const disk = new SlowDisk()
  const spool = openSpool(disk)
  spool.append(lines(1))
  const sync = spool.sync()
  spool.release(1)
  spool.append(lines(2))
  disk.waiting.shift()!()
  await sync
  expect(found(spool)).toEqual([2])
  expect(spool.syncedSequence).toBeLessThan(2)
})

test('a segment that ended with a full disk is synced too', async () => {
  const disk = new SimDisk()
  const spool = openSpool(disk)
  spool.append(lines(1))
  disk.capacityBytes = disk.space().totalBytes - disk.space().freeBytes + 10
  expect(() => spool.append(lines(2))).toThrow('ENOSPC')
  disk.capacityBytes = Infinity
  spool.append(lines(2))
  await spool.sync()
  disk.powerCut()
  expect(found(openSpool(disk))).toEqual([1, 2])
})

test('a journal of aggregations whose sync failed is followed by another', async () => {
  const disk = new SimDisk()
  disk.makeDir('/spool')
  const conf =
    'aggregate ^in\\.(.*)$ every 10 seconds expire after 25 seconds compute sum write to s.\\1;'
  const parsed = parseRelayText(realDisk, conf, 't')
  if (!parsed.ok) throw new Error(parsed.error)
  const router = new Router(parsed.value, 1)
  const open = () => {
    const aggregator = new Aggregator()
    const files = { disk, dir: '/spool', corruptDir: '/corrupt' }
    const journal = new AggregatorJournal({ ...files, aggregator, onDamage() {} })
    aggregator.configure(router.routing.aggregations)
    return { aggregator, journal }
  }
  const { aggregator, journal } = open()
  const step = router.plan(Buffer.from('in.x')).steps.find((one) => one.kind === 'aggregate')!
  aggregator.put(step, 7, 100, 100)
  journal.write(0)
  disk.failSyncs(1)
  await journal.sync().catch(() => undefined)
  await journal.sync()
  expect(journal.syncedVersion).toBeLessThan(journal.writtenVersion)
  journal.write(200)
  await journal.sync()
  expect(journal.syncedVersion).toBe(journal.writtenVersion)
  disk.powerCut()
  const values: number[] = []
  open().aggregator.due(200, (_sendTo, _name, value) => values.push(value))
  expect(values).toEqual([7])
})
