/** A column that could not be decoded, though its extent's checksum was right, failed every fetch and every fold of it. */
import { expect, test } from 'bun:test'
import { crc32 } from '../../src/lib/bytes.ts'
import { EXTENT_HEADER_BYTES, parseExtentHeader } from '../../src/store/files/extent-format.ts'
import { EngineBed } from '../store/engine-bed.ts'

const value = (id: number, i: number): number => ((id + 3) * 7_919 * i * i) % 977

test('a column that cannot be decoded is left out, the others are answered and folded', async () => {
  const bed = new EngineBed()
  await bed.open()
  const ids = ['a', 'b', 'c'].map((path) => bed.define(path))
  const start = bed.now
  for (let i = 0; i < 60; i++) bed.write(ids.map((id) => [id, start + i, value(id, i)]))
  await bed.engine.snapshot('/copy')
  const folder = '/store/data/0/1'
  const [name] = bed.disk.list(folder).filter((file) => file.endsWith('.ext'))
  const path = `${folder}/${name}`
  await bed.engine.close()
  damage(bed, path)
  await bed.open()
  await bed.clock.advance(60_000)
  const range = { from: start - 1, until: start + 59 }
  expect((await bed.read(ids[0]!, range))?.values[7]).toBe(value(ids[0]!, 7))
  expect((await bed.read(ids[2]!, range))?.values[7]).toBe(value(ids[2]!, 7))
  expect(await bed.valueAt(ids[1]!, start + 7)).toBeNaN()
  expect(bed.counter('damaged')).toBe(1)
  await bed.engine.flush()
  expect((await bed.read(ids[2]!, range))?.values[7]).toBe(value(ids[2]!, 7))
  expect(bed.disk.list('/store/corrupt').length).toBe(1)
})

/** Turns the second column's codec into one that does not exist, under a right checksum. */
function damage(bed: EngineBed, path: string): void {
  const bytes = bed.disk.readFile(path)
  const extent = bytes.subarray(8)
  const header = parseExtentHeader(extent)!
  const at = EXTENT_HEADER_BYTES + header.idBytes
  const raw = new Uint8Array(Bun.zstdDecompressSync(extent.subarray(at)))
  // Behind the lengths of three columns and the first of them.
  raw[3 + raw[0]!] = 15
  const packed = Bun.zstdCompressSync(raw, { level: 19 })
  const made = Buffer.concat([bytes.subarray(0, 8), extent.subarray(0, at), packed])
  // The manifest counts on that many.
  expect(made.length).toBeLessThanOrEqual(bytes.length)
  made.writeUInt32LE(made.length - 16, 8)
  made.writeUInt32LE(crc32(made.subarray(16)), 12)
  const file = bed.disk.open(path, 'append')
  file.truncate(0)
  file.append(made)
  file.close()
}
