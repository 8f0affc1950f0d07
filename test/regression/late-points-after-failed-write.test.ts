/**
 * Late points that could not be written were written by the next checkpoint, but not those that had come since,
 * whose log it then removed: a kill after that lost them.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { EngineBed, START } from '../store/engine-bed.ts'

/** More than 4 MiB of late points, so that they are written before a checkpoint is due. */
const LATE = 300_000

// A machine that does other things too.
setDefaultTimeout(60_000)

test('late points that came after a failed write of others survive a kill', async () => {
  const bed = new EngineBed(START)
  await bed.open()
  bed.define('a')
  bed.write([[0, bed.now, 1]])
  await bed.clock.advance(50_500)
  const from = bed.now - 80_000
  const { disk } = bed
  const open = disk.open.bind(disk)
  let failures = 0
  disk.open = (path, ...mode) => {
    if (!path.includes('/data/')) return open(path, ...mode)
    failures++
    // It comes while the others are being written.
    expect(bed.write([[0, from + 71_000, 42]])).toBe(true)
    throw Object.assign(new Error('EIO'), { code: 'EIO' })
  }
  bed.write(Array.from({ length: LATE }, (_, i) => [0, from + (i % 70_000), i] as const))
  await bed.clock.advance(2_000)
  expect(failures).toBe(1)
  disk.open = open
  // The space is looked at again, and a checkpoint is due.
  await bed.clock.advance(20_000)
  expect(await bed.valueAt(0, from + 71_000)).toBe(42)
  await bed.open()
  expect(await bed.valueAt(0, from + 71_000)).toBe(42)
})
