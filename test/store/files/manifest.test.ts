import { describe, expect, test } from 'bun:test'
import { ByteWriter, crc32 } from '../../../src/lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../../src/lib/corruption.ts'
import { decodeManifest, encodeManifest, type Manifest } from '../../../src/store/files/manifest.ts'

const manifest: Manifest = {
  nextGeneration: 20,
  firstSegment: 3,
  series: { generation: 19, bytes: 2 ** 33 },
  newest: 1_800_000_100,
  trusted: 1_800_000_050,
  lanes: [
    {
      archives: [
        { step: 1, count: 3_600 },
        { step: 60, count: 1_440 },
      ],
      headFrom: 1_800_000_000,
      levels: [
        [
          { start: 0, state: 'settled', block: { generation: 7, bytes: 2 ** 34 }, extents: [] },
          { start: 3_600, state: 'rolling', block: undefined, extents: [] },
        ],
        [{ start: 0, state: 'open', block: undefined, extents: [{ generation: 9, bytes: 77 }] }],
      ],
    },
  ],
}

function signed(bytes: Uint8Array): Uint8Array {
  const dst = new ByteWriter()
  dst.raw(bytes)
  dst.u32(crc32(bytes))
  return dst.copy()
}

function withVersion(bytes: Uint8Array, version: number): Uint8Array {
  const changed = bytes.slice()
  changed[4] = version
  return changed
}

describe('manifest', () => {
  const bytes = encodeManifest(manifest)
  const body = bytes.subarray(0, -4)

  test('comes back', () => {
    expect(decodeManifest(bytes, 'test')).toEqual(manifest)
  })

  test('of version 3, which counted files in a byte, is read', () => {
    const [lane] = manifest.lanes
    const archives = lane!.archives.slice(0, 1)
    const last = { ...manifest, lanes: [{ ...lane!, archives, levels: lane!.levels.slice(1) }] }
    const after = encodeManifest(last).subarray(0, -4)
    // Behind it come a generation and bytes.
    const count = after.length - 12 - 4
    const before = Buffer.concat([after.subarray(0, count + 1), after.subarray(count + 4)])
    expect(decodeManifest(signed(withVersion(before, 3)), 'test')).toEqual(last)
  })

  test('of a later version is refused', () => {
    expect(() => decodeManifest(withVersion(bytes, 99), 'test')).toThrow(NewerVersionError)
  })

  test('with a byte changed, or cut short or longer under a right checksum, is damaged', () => {
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice()
      changed[at] = changed[at]! ^ 0x10
      if (at !== 4 && at !== 5)
        expect(() => decodeManifest(changed, 'test')).toThrow(CorruptionError)
      expect(() => decodeManifest(bytes.subarray(0, at), 'test')).toThrow(CorruptionError)
      // Behind its version.
      if (at >= 6 && at < body.length)
        expect(() => decodeManifest(signed(body.slice(0, at)), 'test')).toThrow(CorruptionError)
    }
    const longer = signed(Buffer.concat([body, Uint8Array.of(0)]))
    expect(() => decodeManifest(longer, 'test')).toThrow(CorruptionError)
  })
})
