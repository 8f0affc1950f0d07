/**
 * Reads go-whisper's compressed files (go-whisper compress.go), which go-carbon writes with `compressed`.
 *
 * ```
 * "whisper_compressed" │ u8 version │ u32 method │ u32 longest retention │ f32 xFilesFactor │ u32 points a
 * block │ u32 archives │ f32 │ u32 crc │ 16 free                                       all big endian
 * per archive, 128 bytes: u32 offset │ u32 step │ u32 slots │ u32 block bytes │ u32 blocks │ the open block …
 * per archive: blocks × (u32 first │ u32 last │ u32 count │ u32 crc), then, in all but the coarsest, a buffer
 *   of 2 × (next step ÷ step) plain points that have not been packed or rolled up yet
 * ```
 *
 * A block begins with one plain point; then, bit by bit, the difference of the differences of times
 * in steps (`0`, `10`+7, `110`+9, `1110`+12 with the top bit as sign, `1111`+32: the time itself, 0 ends the block)
 * and the value XOR its predecessor (`0` same, `10` in the window of the last XOR, `11`+5 leading zeros +6 length).
 * Fields of more than 8 bits come with their low byte first. What waits in a buffer is rolled up as it is read.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import { aggregate, type AggregationMethod, meetsXFilesFactor } from '../../metric/consolidation.ts'
import type { Archive } from '../../metric/retention.ts'
import { BitReader } from './whisper-bits.ts'
import { ARCHIVES_MAX, POINT_BYTES, slotsOf, type WhisperSeries } from './whisper-format.ts'

const MAGIC = 'whisper_compressed'
const HEADER_BYTES = MAGIC.length + 1 + 28 + 16
const ARCHIVE_BYTES = 128
const BLOCK_RANGE_BYTES = 16
const BUFFER_UNITS = 2
const VERSION_MAX = 2

/** Methods that both implementations number alike; the others cannot be kept here. */
const METHODS: readonly AggregationMethod[] = ['average', 'sum', 'last', 'max', 'min']

interface PackedArchive extends Archive {
  readonly offset: number
  readonly blockBytes: number
  readonly blocks: number
}

/** Time → value. */
type Points = Map<number, number>

export function isCompressedWhisper(bytes: Uint8Array): boolean {
  if (bytes.length < MAGIC.length) return false
  for (let i = 0; i < MAGIC.length; i++) if (bytes[i] !== MAGIC.charCodeAt(i)) return false
  return true
}

export function readCompressedWhisper(bytes: Uint8Array, file: string): WhisperSeries {
  try {
    return new CompressedReader(bytes, file).read()
  } catch (error) {
    if (error instanceof RangeError) throw new CorruptionError(file, bytes.length, 'cut short')
    throw error
  }
}

class CompressedReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly file: string

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.file = file
  }

  read(): WhisperSeries {
    const method = this.method()
    const xFilesFactor = this.view.getFloat32(MAGIC.length + 9)
    const archives = this.archives()
    let at = HEADER_BYTES + archives.length * ARCHIVE_BYTES
    const stored: Points[] = []
    const buffered: Points[] = []
    for (let i = 0; i < archives.length; i++) {
      const archive = archives[i]!
      stored.push(this.blocks(archive, at))
      at += archive.blocks * BLOCK_RANGE_BYTES
      const next = archives[i + 1]
      const units = next ? BUFFER_UNITS * Math.floor(next.step / archive.step) : 0
      buffered.push(this.buffer(at, units, archive.step))
      at += units * POINT_BYTES
    }
    rollUpBuffers(archives, stored, buffered, { method, xFilesFactor })
    const newest = Math.max(0, ...stored.map(newestOf))
    return {
      archives: archives.map(({ step, count }) => ({ step, count })),
      method,
      xFilesFactor,
      slots: archives.map((archive, i) => {
        const oldest = newest - archive.step * archive.count
        const kept = [...stored[i]!].filter(([timestamp]) => timestamp > oldest)
        return slotsOf(
          {
            timestamps: Float64Array.from(kept, ([timestamp]) => timestamp),
            values: Float64Array.from(kept, ([, value]) => value),
          },
          archive.step,
        )
      }),
    }
  }

  private method(): AggregationMethod {
    const version = this.bytes[MAGIC.length]!
    if (version === 0 || version > VERSION_MAX) {
      throw new CorruptionError(this.file, MAGIC.length, `version ${version} is not known`)
    }
    const code = this.view.getUint32(MAGIC.length + 1)
    const method = METHODS[code - 1]
    if (method) return method
    throw new CorruptionError(this.file, MAGIC.length + 1, `aggregation method ${code} is not kept`)
  }

  private archives(): PackedArchive[] {
    const count = this.view.getUint32(MAGIC.length + 17)
    if (count === 0 || count > ARCHIVES_MAX) {
      throw new CorruptionError(this.file, MAGIC.length + 17, `it cannot have ${count} archives`)
    }
    const archives: PackedArchive[] = []
    for (let i = 0; i < count; i++) {
      const at = HEADER_BYTES + i * ARCHIVE_BYTES
      const [offset, step, slots, blockBytes, blocks] = [0, 4, 8, 12, 16].map((field) =>
        this.view.getUint32(at + field),
      ) as [number, number, number, number, number]
      if (step === 0 || slots === 0 || offset + blockBytes * blocks > this.bytes.length) {
        throw new CorruptionError(this.file, at, 'an archive lies outside the file')
      }
      archives.push({ offset, step, count: slots, blockBytes, blocks })
    }
    return archives
  }

  /** All blocks of an archive; `ranges` is where it is said which are in use. */
  private blocks(archive: PackedArchive, ranges: number): Points {
    const points: Points = new Map()
    for (let i = 0; i < archive.blocks; i++) {
      const first = this.view.getUint32(ranges + i * BLOCK_RANGE_BYTES)
      const last = this.view.getUint32(ranges + i * BLOCK_RANGE_BYTES + 4)
      if (first === 0) continue
      const start = archive.offset + i * archive.blockBytes
      const block = this.bytes.subarray(start, start + archive.blockBytes)
      unpackBlock(block, { step: archive.step, last }, points)
    }
    return points
  }

  private buffer(from: number, count: number, step: number): Points {
    const points: Points = new Map()
    for (let i = 0; i < count; i++) {
      const timestamp = this.view.getUint32(from + i * POINT_BYTES)
      const value = this.view.getFloat64(from + i * POINT_BYTES + 4)
      if (timestamp !== 0 && timestamp % step === 0) keep(points, timestamp, value)
    }
    return points
  }
}

/** Adds one block's points, up to its last time. */
function unpackBlock(
  block: Uint8Array,
  { step, last }: { step: number; last: number },
  points: Points,
): void {
  const bits = new BitReader(block, POINT_BYTES)
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  let time = view.getUint32(0)
  let timeBefore = time
  let [high, low] = [view.getUint32(4), view.getUint32(8)]
  let [highBefore, lowBefore] = [high, low]
  const value = new DataView(new ArrayBuffer(8))
  for (;;) {
    value.setUint32(0, high)
    value.setUint32(4, low)
    if (time % step === 0) keep(points, time, value.getFloat64(0))
    if (time >= last) return
    const next = nextTime(bits, { time, timeBefore, step })
    if (next <= time) return
    const change = bits.nextXor((high ^ highBefore) >>> 0, (low ^ lowBefore) >>> 0)
    if (bits.isPastEnd) return
    timeBefore = time
    time = next
    highBefore = high
    lowBefore = low
    high = (high ^ change.high) >>> 0
    low = (low ^ change.low) >>> 0
  }
}

/** Widths of the differences, by how many ones lead. */
const DELTA_BITS = [0, 7, 9, 12, 32] as const

/** 0 at the end of the block. */
function nextTime(
  bits: BitReader,
  { time, timeBefore, step }: { time: number; timeBefore: number; step: number },
): number {
  let ones = 0
  while (ones < 4 && bits.bit() === 1) ones++
  if (ones === 4) return bits.number(32)
  const width = DELTA_BITS[ones]!
  const field = width === 0 ? 0 : bits.number(width)
  const sign = 1 << (width - 1)
  const delta = width > 0 && (field & sign) !== 0 ? -(field & (sign - 1)) : field
  return 2 * time - timeBefore + delta * step
}

/** Puts what waits in buffers where it belongs, and rolls it up as the writer would have done later. */
function rollUpBuffers(
  archives: readonly Archive[],
  stored: readonly Points[],
  buffered: readonly Points[],
  rule: { method: AggregationMethod; xFilesFactor: number },
): void {
  let fresh: Points = new Map()
  for (let i = 0; i < archives.length; i++) {
    const points = stored[i]!
    for (const [timestamp, value] of buffered[i]!) fresh.set(timestamp, value)
    for (const [timestamp, value] of fresh) points.set(timestamp, value)
    const coarser = archives[i + 1]
    if (!coarser) return
    const { step } = archives[i]!
    const total = coarser.step / step
    const starts = new Set([...fresh.keys()].map((time) => time - (time % coarser.step)))
    fresh = new Map()
    for (const start of starts) {
      const window = Float64Array.from(
        { length: total },
        (_, k) => points.get(start + k * step) ?? NaN,
      )
      const known = window.reduce((count, value) => count + Number(value === value), 0)
      if (meetsXFilesFactor(known, total, rule.xFilesFactor)) {
        fresh.set(start, aggregate(rule.method, window, 0, total))
      }
    }
  }
}

function keep(points: Points, timestamp: number, value: number): void {
  if (timestamp !== 0 && !Number.isNaN(value)) points.set(timestamp, value)
}

function newestOf(points: Points): number {
  let newest = 0
  for (const timestamp of points.keys()) newest = Math.max(newest, timestamp)
  return newest
}
