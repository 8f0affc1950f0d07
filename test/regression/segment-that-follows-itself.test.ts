/** A segment of the log under another number followed itself, and the start went round for ever, taking memory. */
import { expect, test } from 'bun:test'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { segmentPath, walDir } from '../../src/store/files/filenames.ts'
import { findChain } from '../../src/store/files/log-chain.ts'
import { appendFollow, fileHeader, WAL_MAGIC } from '../../src/store/files/wal-format.ts'
import { SimDisk } from '../sim/disk.ts'

/** Segments by number, each with the one that it says it follows. */
function chainOf(follows: Readonly<Record<number, number>>): {
  links: number[]
  lost: readonly string[]
} {
  const disk = new SimDisk()
  disk.makeDir(walDir('/d'))
  for (const [segment, before] of Object.entries(follows)) {
    const bytes = new ByteWriter()
    bytes.raw(fileHeader(WAL_MAGIC))
    appendFollow(bytes, { segment: before, bytes: 30 }, [])
    disk.open(segmentPath('/d', Number(segment)), 'create').append(bytes.written())
  }
  const { links, lost, dead } = findChain(disk, '/d', 1)
  expect(dead).toEqual([])
  return { links: links.map(({ segment }) => segment), lost }
}

test('a chain in order', () => {
  expect(chainOf({ 1: 0, 2: 1, 3: 2 })).toEqual({ links: [1, 2, 3], lost: [] })
})

test.each([2, 3])('segment 2 follows %i: it is lost, and what follows on it', (before) => {
  const lost = [2, 3].map((segment) => segmentPath('/d', segment))
  expect(chainOf({ 1: 0, 2: before, 3: 2 })).toEqual({ links: [1], lost })
})

test('the first segment follows itself', () => {
  expect(chainOf({ 1: 1 })).toEqual({ links: [], lost: [segmentPath('/d', 1)] })
})
