/**
 * Over quota, or on a disk that fails, files can be made and not written. The store tried with a small file every five
 * seconds, and left it open each time; so did statsd's journal, which is tried five times a second.
 */
import { expect, test } from 'bun:test'
import { StatsdJournal } from '../../src/relay/inputs/statsd-journal.ts'
import { DiskSpace } from '../../src/store/engine/disk-space.ts'
import { SimDisk } from '../sim/disk.ts'
import { EngineBed, START } from '../store/engine-bed.ts'

test('DiskSpace closes what it tries a full disk with, and a reserve that finds no room', () => {
  const disk = new SimDisk()
  disk.makeDir('/store')
  overQuota(disk)
  const space = new DiskSpace(disk, '/store', 1024)
  expect(space.check()).toBeFalse()
  expect(space.acceptsPoints).toBeFalse()
  for (let i = 0; i < 100; i++) expect(space.check()).toBeFalse()
  expect(disk.openFiles).toBe(0)
})

test('a journal of statsd whose header finds no room is closed', () => {
  const disk = new SimDisk()
  disk.makeDir('/relay')
  overQuota(disk)
  const journal = new StatsdJournal(disk, '/relay/statsd', Uint8Array.of(1))
  const line = Buffer.from('a:1|c\n')
  for (let i = 0; i < 100; i++) {
    journal.note(line, 0, line.length - 1)
    journal.write()
  }
  expect(disk.openFiles).toBe(0)
})

test('a store that cannot write keeps no more files open than before', async () => {
  const bed = new EngineBed()
  await bed.open()
  const id = bed.define('full')
  for (let second = 0; second < 30; second++) bed.write([[id, START + second, second]])
  await bed.clock.advance(1_000)
  const before = bed.disk.openFiles
  overQuota(bed.disk)
  await bed.clock.advance(600_000)
  expect(bed.disk.openFiles).toBeLessThanOrEqual(before + 1)
})

/** Takes no byte more, while the file system has room. */
function overQuota(disk: SimDisk): void {
  disk.onChange = (append) => {
    if (append) throw Object.assign(new Error(`EDQUOT: ${append.path}`), { code: 'EDQUOT' })
  }
}
