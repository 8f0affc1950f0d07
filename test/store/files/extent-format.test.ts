/** Extents with the right checksum that no encoder made: each gives values or a `CorruptionError`, in bounded memory. */
import { describe, expect, test } from 'bun:test'
import { ByteWriter, crc32 } from '../../../src/lib/bytes.ts'
import { CorruptionError } from '../../../src/lib/corruption.ts'
import {
  type Columns,
  EXTENT_HEADER_BYTES,
  ExtentEncoder,
  ExtentReader,
  isExtent,
  parseExtentHeader,
  readExtentIds,
} from '../../../src/store/files/extent-format.ts'
import { seededRandom } from '../../bench/bench.ts'

const SLOTS = 300
const random = seededRandom(17)
const below = (count: number): number => Math.floor(random() * count)

/** Something for every codec and every presence. */
function columns(): Columns {
  let walk = 5_000_000
  const used = Float64Array.from({ length: SLOTS }, () => (walk += below(9_000) - 4_500) * 4_096)
  const rate = (perSecond: number): number =>
    Number((perSecond / (1 + below(1_000) / 2 ** 30)).toFixed(6))
  const isHole = Float64Array.from({ length: SLOTS }, () => (random() < 0.15 ? NaN : 0))
  const makers: ((i: number) => number)[] = [
    () => 7,
    (i) => i * i,
    (i) => 1e9 + 1_234 * i,
    (i) => used[i]!,
    (i) => 2 ** 34 - used[i]!,
    (i) => used[i]! + isHole[i]!,
    (i) => 2 ** 34 - used[i]! + isHole[i]!,
    () => rate(40 + below(5)),
    () => rate(4_000 + below(500)),
    (i) => rate(400 + below(50)) + isHole[i]!,
    (i) => rate(90 + below(50)) + isHole[i]!,
    () => random() * 1e6,
    () => (100 * below(40)) / 101,
    () => Math.round(random() * 1e9) / 1e3,
    (i) => (i > 200 ? NaN : below(30) / 10),
    () => (10_000 + below(6_000)) / 10 / 6,
    (i) => (10_000 + below(6_000)) / 10 / 6 + isHole[i]!,
    () => NaN,
  ]
  return {
    ids: Uint32Array.from(makers, (_, k) => 3 * k + (k > 4 ? 1_000 : 0)),
    count: makers.length,
    firstSlot: 1_000,
    slots: SLOTS,
    values: Float64Array.from({ length: makers.length * SLOTS }, (_, i) =>
      makers[Math.floor(i / SLOTS)]!(i % SLOTS),
    ),
    averagedOf: (k) => (k === 15 || k === 16 ? 6 : 1),
    collectedStep: 1,
  }
}

const source = columns()

function encode(dense: boolean): Uint8Array {
  const encoder = new ExtentEncoder()
  const dst = new ByteWriter()
  encoder.begin(source, dense)
  for (let k = 0; k < source.count; k++) encoder.add(source, k)
  encoder.finish(dst, source)
  return dst.copy()
}

/** The same header and ids, other columns; length and checksum are right. */
function withColumns(extent: Uint8Array, raw: Uint8Array, packing: 'plain' | 'zstd' = 'plain') {
  const { idBytes } = parseExtentHeader(extent)!
  const head = extent.slice(0, EXTENT_HEADER_BYTES + idBytes)
  head[26] = packing === 'plain' ? 0 : 1
  return signed(Buffer.concat([head, raw]))
}

function signed(extent: Uint8Array): Uint8Array {
  const view = new DataView(extent.buffer, extent.byteOffset, extent.length)
  view.setUint32(0, extent.length - 8, true)
  view.setUint32(4, crc32(extent.subarray(8)), true)
  return extent
}

function rawOf(extent: Uint8Array): Uint8Array {
  const { idBytes } = parseExtentHeader(extent)!
  return new Uint8Array(Bun.zstdDecompressSync(extent.subarray(EXTENT_HEADER_BYTES + idBytes)))
}

/** How many columns gave values; what is around a column's place in memory stays as it was. */
function decodeAll(extent: Uint8Array): number {
  const reader = new ExtentReader()
  try {
    reader.open(extent, 'test', 0)
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptionError)
    return 0
  }
  const { slots, count } = reader
  const guarded = new Float64Array(slots + 2).fill(-1)
  let good = 0
  for (let k = count - 1; k >= 0; k--) {
    try {
      reader.decode(k, guarded, 1)
      good++
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      if (!guarded.subarray(1, slots + 1).every(Number.isNaN))
        throw new Error('values of half a column', { cause: error })
    }
    if (guarded[0] !== -1 || guarded[slots + 1] !== -1) throw new Error('written past a column')
  }
  // All that it unpacked, and two arrays a column at most.
  expect(reader.bytes).toBeLessThan(1_000_000)
  return good
}

const extents = [encode(true), encode(false)]

test('everything comes back', () => {
  for (const extent of extents) {
    expect(decodeAll(extent)).toBe(source.count)
    const reader = new ExtentReader()
    reader.open(extent, 'test', 0)
    const back = new Float64Array(source.values.length)
    for (let k = 0; k < source.count; k++) reader.decode(k, back, k * SLOTS)
    expect([...back]).toEqual([...source.values])
    expect(readExtentIds(extent, 'test', 0)).toEqual(source.ids)
  }
})

describe('an extent that no encoder made', () => {
  test('with one of its packed bytes changed', () => {
    let [good, all] = [0, 0]
    for (const extent of extents) {
      const raw = rawOf(extent)
      for (let at = 0; at < raw.length; at += 1 + below(6)) {
        const changed = raw.slice()
        changed[at] = changed[at]! ^ (1 << below(8))
        good += decodeAll(withColumns(extent, changed))
        all += source.count
      }
    }
    // A change costs a column or two.
    expect(good).toBeGreaterThan(all * 0.8)
  })

  test('with many of them changed, cut out or put in', () => {
    for (let run = 0; run < 2_000; run++) {
      const extent = extents[run % 2]!
      const raw = rawOf(extent)
      const at = below(raw.length)
      const count = 1 + below(40)
      const noise = Uint8Array.from({ length: count }, () =>
        random() < 0.3 ? 255 : random() < 0.3 ? 0 : below(256),
      )
      const rest = raw.subarray(run % 3 === 0 ? at : Math.min(raw.length, at + below(60)))
      decodeAll(withColumns(extent, Buffer.concat([raw.subarray(0, at), noise, rest])))
    }
  })

  test('with any bit of its header and its ids changed', () => {
    for (const extent of extents) {
      const { idBytes } = parseExtentHeader(extent)!
      for (let bit = 8 * 8; bit < 8 * (EXTENT_HEADER_BYTES + idBytes); bit++) {
        // Slots: columns that say nothing of their length are good for any number.
        if (bit >= 8 * 12 && bit < 8 * 16) continue
        const changed = extent.slice()
        changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7))
        decodeAll(signed(changed))
        try {
          const ids = readExtentIds(changed, 'test', 0)
          for (let k = 1; k < ids.length; k++) expect(ids[k]).toBeGreaterThan(ids[k - 1]!)
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError)
        }
      }
    }
  })

  test('that would take a gigabyte', () => {
    const [extent] = extents
    const bomb = Bun.zstdCompressSync(new Uint8Array(1 << 26))
    expect(bomb.length).toBeLessThan(10_000)
    const open = (bytes: Uint8Array) => new ExtentReader().open(bytes, 'test', 0)
    expect(() => open(withColumns(extent!, bomb, 'zstd'))).toThrow('zstd frame of 67108864 bytes')
    const wide = extent!.slice()
    new DataView(wide.buffer).setUint32(12, 0x0400_0000, true)
    expect(parseExtentHeader(signed(wide))).toBeUndefined()
    expect(isExtent(wide)).toBe(false)
    expect(() => open(wide)).toThrow(CorruptionError)
  })

  test('whose columns do not make up the whole', () => {
    const raw = rawOf(extents[1]!)
    const open = (bytes: Uint8Array) => () =>
      new ExtentReader().open(withColumns(extents[1]!, bytes), 'test', 7)
    expect(open(Buffer.concat([raw, Uint8Array.of(0)]))).toThrow(
      'test at byte 7: extent that cannot',
    )
    expect(open(raw.subarray(0, -1))).toThrow('bytes of columns expected')
    expect(open(raw.subarray(0, 3))).toThrow(CorruptionError)
  })
})

test('what is larger than the limits is not written', () => {
  const encoder = new ExtentEncoder()
  const columnsOf = (count: number, slots: number): Columns => ({ ...source, count, slots })
  const finish = (count: number, slots: number) => () => {
    encoder.begin(columnsOf(count, slots), false)
    encoder.finish(new ByteWriter(), columnsOf(count, slots))
  }
  expect(finish(4_097, 1)).toThrow('extent of 4097 series, 1 slots each')
  expect(finish(1, 2 ** 25 + 1)).toThrow('extent of 1 series')
  expect(finish(4_096, 2 ** 16 + 1)).toThrow('extent of 4096 series')
  expect(finish(0, 60)).toThrow('extent of 0 series')
})
