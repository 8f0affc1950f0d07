/** A damaged length that was no more than the file's cost all extents that it reached over, though they were whole. */
import { expect, test } from 'bun:test'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { ExtentFile } from '../../src/store/files/extent-file.ts'
import { ExtentEncoder } from '../../src/store/files/extent-format.ts'
import { SimDisk } from '../sim/disk.ts'

const PATH = '/d/0.1.ext'
const EXTENTS = 600

test('extents behind one with a damaged length are found', () => {
  const disk = new SimDisk()
  disk.makeDir('/d')
  const file = new ExtentFile(disk, PATH, { generation: 1 })
  file.create()
  const encoder = new ExtentEncoder()
  const dst = new ByteWriter()
  for (let k = 0; k < EXTENTS; k++) {
    encoder.encode(dst, {
      ids: Uint32Array.of(k),
      count: 1,
      firstSlot: 0,
      slots: 60,
      values: Float64Array.from({ length: 60 }, (_, i) => (i * i * (k + 7)) % 10_007),
      averagedOf: () => 1,
      collectedStep: 1,
    })
  }
  file.append(dst)
  expect(file.length).toBeGreaterThan(70_000)
  const offsets = file.index.offsets.slice(0, EXTENTS)
  // The second byte of the fourth extent's length.
  disk.corrupt(PATH, offsets[3]! + 1)
  const loaded = new ExtentFile(disk, PATH, { generation: 1 })
  loaded.load(file.length)
  expect(loaded.damage?.offset).toBe(offsets[3])
  const { index } = loaded
  const whole = offsets.filter((_, k) => k !== 3)
  expect(index.offsets.slice(0, index.length)).toEqual(whole)
})
