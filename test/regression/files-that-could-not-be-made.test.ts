/**
 * A file that was opened and could not be begun stayed open and on the disk, and each new attempt, ten seconds later,
 * made another one of another name.
 */
import { expect, test } from 'bun:test'
import { TimeSlice } from '../../src/lib/time-slice.ts'
import { BlockWriter } from '../../src/store/files/block-writer.ts'
import { ExtentFile } from '../../src/store/files/extent-file.ts'
import { seriesDir } from '../../src/store/files/filenames.ts'
import { SeriesLog } from '../../src/store/files/series-log.ts'
import { RecordType } from '../../src/store/files/wal-format.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

function make(): SimDisk {
  const disk = new SimDisk()
  disk.makeDir('/d')
  return disk
}

test('a file of extents on a full disk', () => {
  const disk = make()
  disk.capacityBytes = 5
  const file = new ExtentFile(disk, '/d/0.1.ext', { generation: 1 })
  expect(() => file.create()).toThrow('ENOSPC')
  expect([disk.list('/d'), disk.openFiles]).toEqual([[], 0])
})

test('a block on a full disk', () => {
  const disk = make()
  disk.capacityBytes = 5
  expect(() => new BlockWriter(disk, '/d/0.1.blk', 1)).toThrow('ENOSPC')
  expect([disk.list('/d'), disk.openFiles]).toEqual([[], 0])
})

test('a block whose name could not be synced', async () => {
  const disk = make()
  const writer = new BlockWriter(disk, '/d/0.1.blk', 1)
  disk.beforeSync = () => {
    // The file's sync is done by then.
    if (disk.stat('/d/0.1.blk')) disk.failSyncs(1)
    return Promise.resolve()
  }
  const failure = await writer.finish().catch((error: unknown) => error)
  expect(String(failure)).toContain('EIO')
  writer.abandon()
  expect([disk.list('/d'), disk.openFiles]).toEqual([[], 0])
})

test('a series log that is to take the place of a damaged one', async () => {
  const disk = make()
  disk.makeDir(seriesDir('/d'))
  const first = new SeriesLog(disk, '/d', 1)
  for (let id = 0; id < 3; id++) first.add(RecordType.remove, Uint8Array.of(id, 0, 0, 0))
  await first.save(0, () => 2)
  first.close()
  disk.corrupt(`${seriesDir('/d')}/0000000001.series`, 20)
  const slice = new TimeSlice(new SimClock())
  const at = { generation: 1, bytes: first.bytes }
  const log = await SeriesLog.load(disk, '/d', at, { each() {}, slice, onRead() {} })
  let generation = 1
  disk.capacityBytes = first.bytes + 10
  for (let i = 0; i < 3; i++)
    await log
      .save(0, () => ++generation)
      .then(
        () => expect.unreachable(),
        (error: unknown) => expect(String(error)).toContain('ENOSPC'),
      )
  expect(disk.list(seriesDir('/d'))).toEqual(['0000000001.series'])
  expect(disk.openFiles).toBe(0)
  disk.capacityBytes = Infinity
  expect(await log.save(0, () => ++generation)).toEndWith('0000000001.series')
  expect(disk.openFiles).toBe(1)
})
