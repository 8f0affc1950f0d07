/**
 * An append that went in only in part is cut off when the file is opened again. When that failed too, the next append
 * went behind what was left, and the index said it was before it.
 */
import { expect, test } from 'bun:test'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { ExtentFile } from '../../src/store/files/extent-file.ts'
import { ExtentEncoder, isExtent } from '../../src/store/files/extent-format.ts'
import { SimDisk } from '../sim/disk.ts'

function extent(value: number): ByteWriter {
  const dst = new ByteWriter()
  new ExtentEncoder().encode(dst, {
    ids: Uint32Array.of(1, 2),
    count: 2,
    firstSlot: 0,
    slots: 60,
    values: Float64Array.from({ length: 120 }, (_, i) => i * value),
    averagedOf: () => 1,
    collectedStep: 1,
  })
  return dst
}

test('an append behind a cut-off that failed is where the index says', () => {
  const disk = new SimDisk()
  disk.makeDir('/d')
  const file = new ExtentFile(disk, '/d/0.1.ext', { generation: 1 })
  file.create()
  file.append(extent(3))
  disk.capacityBytes = file.length + 9
  expect(() => file.append(extent(7))).toThrow('ENOSPC')
  disk.capacityBytes = Infinity
  disk.readOnly = true
  expect(() => file.append(extent(7))).toThrow('EROFS')
  disk.readOnly = false
  file.append(extent(7))
  expect(isExtent(file.read(1))).toBe(true)
  expect(disk.stat('/d/0.1.ext')?.bytes).toBe(file.length)
})
