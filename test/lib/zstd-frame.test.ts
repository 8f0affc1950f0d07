import { describe, expect, test } from 'bun:test'
import { createZstdCompress } from 'node:zlib'
import { unpackZstd } from '../../src/lib/zstd-frame.ts'

const LENGTHS = [0, 1, 255, 256, 257, 65_791, 65_792, 1_000_000]

describe('unpackZstd()', () => {
  test.each(LENGTHS)(
    'unpacks %i bytes, and no frame that holds one more than is wanted',
    (length) => {
      const content = new Uint8Array(length).map((_, i) => i * i)
      const frame = Bun.zstdCompressSync(content)
      expect(Buffer.compare(unpackZstd(frame, length), content)).toBe(0)
      expect(() => unpackZstd(frame, length - 1)).toThrow(`zstd frame of ${length} bytes`)
    },
  )

  test('refuses what is no frame, is cut short, or does not say how long it is', async () => {
    expect(() => unpackZstd(Uint8Array.of(1, 2, 3, 4, 5, 6), 100)).toThrow('no zstd frame')
    const frame = Bun.zstdCompressSync(new Uint8Array(300))
    for (let length = 0; length < 7; length++)
      expect(() => unpackZstd(frame.subarray(0, length), 1_000)).toThrow(RangeError)
    const stream = createZstdCompress()
    stream.write('abc')
    stream.end('def')
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    expect(() => unpackZstd(Buffer.concat(chunks), 100)).toThrow('unknown length')
  })
})
