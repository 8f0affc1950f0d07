/** Frames of sealed blocks: every value of every column comes back, and no shape of data grows by what helps another. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import {
  BLOCK_VERSION,
  blockHeader,
  checkBlockHeader,
} from '../../../src/store/files/block-format.ts'
import { Codec, columnBytesMax } from '../../../src/store/columns/column-codec.ts'
import { ColumnDecoder } from '../../../src/store/columns/column-decoder.ts'
import { DenseEncoder } from '../../../src/store/columns/dense-encoder.ts'
import {
  type Columns,
  ExtentEncoder,
  ExtentReader,
} from '../../../src/store/files/extent-format.ts'
import { seededRandom } from '../../bench/bench.ts'

const SLOTS = 3_600

interface Frame {
  readonly bytes: Uint8Array
  readonly offsets: Uint32Array
  readonly codecs: number[]
}

function encode(columns: readonly (readonly number[])[], averagedOf = 1, step = 1): Frame {
  const slots = columns[0]!.length
  const encoder = new DenseEncoder()
  const bytes = new Uint8Array(columns.length * columnBytesMax(slots))
  const offsets = new Uint32Array(columns.length)
  let at = 0
  encoder.begin()
  for (const [k, column] of columns.entries()) {
    offsets[k] = at
    const traits = { averagedOf, collectedStep: step }
    at = encoder.encode(Float64Array.from(column), 0, slots, bytes, at, traits)
  }
  const codecs = Array.from(offsets, (offset) => bytes[offset]! & 15)
  return { bytes: bytes.slice(0, at), offsets, codecs }
}

/** Decodes from the last to the first: columns find what they need of others whatever the order. */
function same(columns: readonly (readonly number[])[], averagedOf = 1, step = 1): Frame {
  const frame = encode(columns, averagedOf, step)
  const slots = columns[0]!.length
  const decoder = new ColumnDecoder()
  decoder.open(frame.bytes, frame.offsets, columns.length, slots)
  const back = new Float64Array(slots)
  for (let k = columns.length - 1; k >= 0; k--) {
    decoder.decode(k, back, 0)
    for (let i = 0; i < slots; i++) {
      if (!Object.is(back[i], columns[k]![i]))
        throw new Error(`column ${k}, slot ${i}: ${columns[k]![i]} became ${back[i]}`)
    }
  }
  return frame
}

const random = seededRandom(7)
const noise = (size: number): number => Math.floor((random() + random() + random() - 1.5) * size)
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))

/**
 * What collectd sends of counters that it reads one after the other: the naive twin of rate-clock.ts. Every second
 * the agent is a little late; between two counters some microseconds pass.
 */
function collectdRates(
  counters: number,
  slots: number,
  perSecond: (k: number) => number,
): number[][] {
  const rates = times(counters, () => times(slots, () => 0))
  const before = new Float64Array(counters)
  for (let slot = 0; slot < slots; slot++) {
    let time =
      (slot + 0.0001 + random() * 0.0003 + (random() < 0.02 ? random() * 0.01 : 0)) * 2 ** 30
    for (let k = 0; k < counters; k++) {
      time += 1_500 + random() * 2_000
      const read = Math.floor(time)
      const seconds = (read - (slot === 0 ? read - 2 ** 30 : before[k]!)) / 2 ** 30
      rates[k]![slot] = Number((perSecond(k) / seconds).toFixed(6))
      before[k] = read
    }
  }
  return rates
}

describe('columns of rates', () => {
  test('are told by their differences and the time of their neighbours', () => {
    const sizes = [12, 400, 3_000, 60_000, 2_000_000]
    const rates = collectdRates(5, SLOTS, (k) => sizes[k]! + noise(sizes[k]! / 10))
    const { codecs, bytes } = same(rates)
    expect(codecs).toEqual(times(5, () => Codec.rate))
    // The differences alone are about 2, 6, 9, 13 and 18 bits, the time of the first 19 or 20.
    expect((bytes.length * 8) / (5 * SLOTS)).toBeLessThan(23)
  })

  test('of the same counter cost nothing twice', () => {
    const [rates] = collectdRates(1, SLOTS, () => 900 + noise(200))
    const once = same([rates!])
    const twice = same([rates!, rates!.slice()])
    expect(twice.bytes.length).toBeLessThan(once.bytes.length + 60)
  })

  test('come back with holes, zeros and slots of ten seconds', () => {
    const some = collectdRates(3, 900, (k) => (random() < 0.4 ? 0 : 10 ** (k * 2) + noise(9)))
    const isHole = times(900, () => random() < 0.1)
    const holed = some.map((column) => column.map((rate, i) => (isHole[i] ? NaN : rate)))
    same([...some, ...holed])
    same([...some, ...holed], 1, 10)
  })

  test('that are none are found out', () => {
    const prices = times(SLOTS, () => Math.floor(random() * 1e9) / 1e6)
    expect(same([prices]).codecs).not.toContain(Codec.rate)
  })
})

describe('columns that tell of one another', () => {
  test('free and used, received and delivered', () => {
    let n = 5_000_000
    const used = times(SLOTS, () => (n += noise(40_000)) * 4_096)
    const free = used.map((bytes) => 16 * 2 ** 30 - bytes)
    const delivered = used.map((bytes, i) => bytes - (i % 500 === 0 ? 4_096 : 0))
    const alone = same([used])
    const together = same([used, free, delivered])
    expect(together.bytes.length).toBeLessThan(alone.bytes.length + 150)
    expect(together.codecs).toEqual(times(3, () => Codec.sequence))
  })

  test('only when they know the same slots', () => {
    const walk = times(600, (i) => i * 7 + noise(90))
    const holed = walk.map((value, i) => (i % 97 === 3 ? NaN : value))
    same([walk, holed, walk, holed.slice()])
  })
})

const decimal = fc
  .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 9 }))
  .map(([n, e]) => n / 10 ** e)
const anyValue = fc.oneof(
  { weight: 6, arbitrary: decimal },
  { weight: 1, arbitrary: fc.double() },
  fc.constantFrom(NaN, 0, -0, Infinity, 5e-324, 2 ** 53, 2 ** 51, -(2 ** 51), 1e308),
)

describe('any columns', () => {
  test('come back, bit for bit', () => {
    const frame = fc.integer({ min: 1, max: 300 }).chain((slots) =>
      fc.array(fc.array(anyValue, { minLength: slots, maxLength: slots }), {
        minLength: 1,
        maxLength: 5,
      }),
    )
    fc.assert(fc.property(frame, fc.constantFrom(1, 6), (columns, of) => void same(columns, of)))
  })

  test('large whole numbers come back, alone and beside others', () => {
    const large = times(200, (i) => (i % 2 === 0 ? 1 : -1) * (2 ** 51 - i * 3))
    same([large, large.map((n) => -n), times(200, (i) => i)])
  })

  test('few values of any size fit in the room that is made for a column', () => {
    for (let slots = 40; slots < 80; slots++) {
      const wild = (): number =>
        Math.floor(random() * 2 ** (random() * 51)) * (random() < 0.5 ? 1 : -1)
      const rates = times(slots, () => Math.round(random() * 1e12) / 1e6)
      same([
        times(slots, wild),
        times(slots, wild),
        rates,
        times(slots, () => Math.abs(wild()) / 1e6),
      ])
    }
  })

  test('averages of decimals come back', () => {
    const average = (i: number): number => {
      let sum = 0
      // Not near zero, where a sum's rounding is many ulps of it.
      for (let k = 0; k < 10; k++) sum += (10_000 + i * 7 + noise(1_000)) / 1_000
      return sum / 10
    }
    expect(same([times(360, average), times(360, average)], 10).codecs).toContain(Codec.average)
  })
})

/** Bytes of an extent, as for a sealed block and as for an open window. */
function bytesOf(columns: readonly (readonly number[])[]): { dense: number; plain: number } {
  const slots = columns[0]!.length
  const extent: Columns = {
    ids: Uint32Array.from(columns, (_, k) => k),
    count: columns.length,
    firstSlot: 0,
    slots,
    values: Float64Array.from(columns.flat()),
    averagedOf: () => 1,
    collectedStep: 1,
  }
  const encoder = new ExtentEncoder()
  const dense = new ByteWriter()
  encoder.begin(extent, true)
  for (let k = 0; k < extent.count; k++) encoder.add(extent, k)
  encoder.finish(dense, extent)
  const plain = new ByteWriter()
  encoder.encode(plain, extent)
  const reader = new ExtentReader()
  reader.open(dense.copy(), 'test', 0)
  expect(reader.count).toBe(columns.length)
  return { dense: dense.length, plain: plain.length }
}

describe('no shape grows', () => {
  const walk = (size: number, decimals: number): number[] => {
    let n = 1_000 * size
    return times(SLOTS, () => (n += noise(size)) / 10 ** decimals)
  }
  test.each([
    ['counters', () => times(SLOTS, (i) => 1e9 + i * 1_234)],
    ['counters with noise', () => walk(900, 0)],
    ['gauges with two decimals', () => walk(30, 2)],
    ['gauges with six decimals', () => times(SLOTS, () => Math.round(random() * 1e8) / 1e6)],
    ['random doubles', () => times(SLOTS, () => random() * 1e6)],
    ['sparse data', () => times(SLOTS, (i) => (i % 61 === 5 ? noise(5_000) : NaN))],
    ['a few values', () => times(SLOTS, () => Math.floor(random() * 3))],
    ['timers of statsd', () => times(SLOTS, () => Math.round(random() ** 4 * 1e6) / 1e3)],
    ['quantiles of statsd', () => times(SLOTS, (i) => (i % 10 === 0 ? random() ** 3 * 1e3 : NaN))],
    ['shares', () => times(SLOTS, () => (100 * (50 + noise(30))) / (99 + noise(4)))],
    ['a saw', () => times(SLOTS, (i) => ((i % 60) * (i % 60) * 7_919) % 65_536)],
    ['nothing but now and then', () => times(SLOTS, (i) => (i % 700 === 0 ? 1 : 0))],
  ])('%s', (_, make) => {
    const { dense, plain } = bytesOf(times(4, make))
    expect(dense).toBeLessThanOrEqual(plain)
  })
})

test('damaged frames are refused or decoded to other values, never read past', () => {
  const rates = collectdRates(3, 300, (k) => 10 ** (k + 1) + noise(5))
  const { bytes, offsets } = encode([...rates, times(300, (i) => i * i)])
  const decoder = new ColumnDecoder()
  const back = new Float64Array(300)
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice()
    damaged[at] = damaged[at]! ^ (1 + Math.floor(random() * 255))
    decoder.open(damaged, offsets, offsets.length, 300)
    for (let k = 0; k < offsets.length; k++) {
      try {
        decoder.decode(k, back, 0)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }
  }
})

test('blocks of the version before are read, those of the next refused', () => {
  const header = blockHeader()
  for (const version of [BLOCK_VERSION - 1, BLOCK_VERSION]) {
    header[4] = version
    expect(() => checkBlockHeader(header, 'test')).not.toThrow()
  }
  header[4] = BLOCK_VERSION + 1
  expect(() => checkBlockHeader(header, 'test')).toThrow(`version ${BLOCK_VERSION + 1}`)
})
