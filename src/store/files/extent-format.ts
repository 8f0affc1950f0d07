/**
 * An extent: the same slots of up to 4,096 series, their columns side by side in one zstd frame. Open
 * windows, overlays and sealed blocks are all made of extents; they differ in size and in where the index is.
 *
 * ```
 *  0 u32 length of what follows the checksum     16 u32 lowest id
 *  4 u32 crc32 of what follows                   20 u32 highest id
 *  8 u32 first slot (Unix time / step)           24 u16 series
 * 12 u32 slots                                   26 u8 packing (0 plain, 1 zstd), u8 0
 *                                                28 u32 bytes of ids
 * 32 ids: varint gaps between neighbours less one; none when the ids have no gaps
 *    columns, packed: varint length of each column, then the columns (column-codec.ts)
 * ```
 *
 * Ids rise. A frame is verified every time it is read; what fails throws `CorruptionError`, and so does what has the
 * right checksum and was made by no encoder, before it takes more memory than the limits below allow.
 *
 * Limits: 4,096 series, 2^25 slots (those of a second in a slot of a year), 2^28 values, 256 MiB, 512 MiB unpacked.
 */

import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, crc32, u32At } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import { unpackZstd } from '../../lib/zstd-frame.ts'
import { columnBytesMax } from '../columns/column-codec.ts'
import { ColumnDecoder } from '../columns/column-decoder.ts'
import { ColumnEncoder } from '../columns/column-encoder.ts'
import { DenseEncoder } from '../columns/dense-encoder.ts'

export const EXTENT_HEADER_BYTES = 32
/** Behind length and checksum. */
export const EXTENT_PREFIX_BYTES = 8
export const EXTENT_SERIES_MAX = 4096
const EXTENT_SLOTS_MAX = 2 ** 25
const EXTENT_VALUES_MAX = 2 ** 28
const EXTENT_BYTES_MAX = 256 * 1024 * 1024
/** Of lengths and columns: places in it are counted in bits, as u32. */
const RAW_BYTES_MAX = 512 * 1024 * 1024 - 1

const Packing = { plain: 0, zstd: 1 } as const

export interface ExtentHeader {
  /** Of the whole extent, prefix included. */
  readonly bytes: number
  readonly checksum: number
  readonly firstSlot: number
  readonly slots: number
  readonly firstId: number
  readonly lastId: number
  readonly series: number
  readonly packing: number
  readonly idBytes: number
}

/** Undefined when these bytes cannot start an extent: few others look like one, so it can be searched for. */
export function parseExtentHeader(bytes: Uint8Array): ExtentHeader | undefined {
  if (bytes.length < EXTENT_HEADER_BYTES) return undefined
  const extentBytes = u32At(bytes, 0) + EXTENT_PREFIX_BYTES
  if (extentBytes < EXTENT_HEADER_BYTES || extentBytes > EXTENT_BYTES_MAX) return undefined
  const slots = u32At(bytes, 12)
  const series = bytes[24]! | (bytes[25]! << 8)
  const packing = bytes[26]!
  if (!isOfLegalSize(series, slots) || packing > Packing.zstd || bytes[27] !== 0) return undefined
  const firstId = u32At(bytes, 16)
  const lastId = u32At(bytes, 20)
  const idBytes = u32At(bytes, 28)
  if (lastId - firstId < series - 1 || idBytes > extentBytes - EXTENT_HEADER_BYTES) return undefined
  return {
    bytes: extentBytes,
    checksum: u32At(bytes, 4),
    firstSlot: u32At(bytes, 8),
    slots,
    firstId,
    lastId,
    series,
    packing,
    idBytes,
  }
}

function isOfLegalSize(series: number, slots: number): boolean {
  return (
    series >= 1 &&
    series <= EXTENT_SERIES_MAX &&
    slots >= 1 &&
    slots <= EXTENT_SLOTS_MAX &&
    series * slots <= EXTENT_VALUES_MAX
  )
}

/** The ids of an extent without looking at its columns. Throws `CorruptionError`. */
export function readExtentIds(bytes: Uint8Array, file: string, offset: number): Uint32Array {
  const header = verifyExtent(bytes, file, offset)
  const ids = new Uint32Array(header.series)
  try {
    readIds(bytes, header, ids)
  } catch (error) {
    throw undecodable(file, offset, error)
  }
  return ids
}

/** Whether these bytes are one whole extent. */
export function isExtent(bytes: Uint8Array): boolean {
  const header = parseExtentHeader(bytes)
  if (header?.bytes !== bytes.length) return false
  return crc32(bytes.subarray(EXTENT_PREFIX_BYTES)) === header.checksum
}

function verifyExtent(bytes: Uint8Array, file: string, offset: number): ExtentHeader {
  const header = parseExtentHeader(bytes)
  if (!header || header.bytes !== bytes.length)
    throw new CorruptionError(file, offset, 'extent with a wrong length')
  if (crc32(bytes.subarray(EXTENT_PREFIX_BYTES)) !== header.checksum)
    throw new CorruptionError(file, offset, 'extent with a wrong checksum')
  return header
}

function readIds(
  bytes: Uint8Array,
  { firstId, lastId, series, idBytes }: ExtentHeader,
  ids: Uint32Array,
): void {
  const reader = new ByteReader(bytes, EXTENT_HEADER_BYTES)
  let id = firstId
  ids[0] = id
  for (let k = 1; k < series; k++) {
    id += 1 + (idBytes === 0 ? 0 : reader.varint())
    ids[k] = id
  }
  if (id !== lastId || reader.offset !== EXTENT_HEADER_BYTES + idBytes)
    throw new RangeError('ids do not end with the last one')
}

/** The checksum is right, but no encoder made this. */
function undecodable(file: string, offset: number, error: unknown): CorruptionError {
  return new CorruptionError(file, offset, `extent that cannot be decoded: ${String(error)}`)
}

/** Series side by side: series k has `values[k × slots, (k + 1) × slots)`, NaN where nothing is known. */
export interface Columns {
  readonly ids: Uint32Array
  /** Of `ids`, rising. */
  readonly count: number
  readonly firstSlot: number
  readonly slots: number
  readonly values: Float64Array
  /** Of how many finer slots each series' values are averages; 1 for none. By position in `ids`. */
  readonly averagedOf: (position: number) => number
  /** Seconds a slot, where values are as they came; 0 where they are rolled up. */
  readonly collectedStep: number
}

const LEVEL = { level: 3 } as const
/** A column of one value that is always known. */
const CONSTANT_BYTES = 9
/** A column's length as a varint. */
const LENGTH_BYTES_MAX = 4
const LEVEL_FAST = { level: 1 } as const

/** Makes extents; scratch space is kept between calls. */
export class ExtentEncoder {
  private readonly plain = new ColumnEncoder()
  private readonly dense = new DenseEncoder()
  private readonly lengths = new ByteWriter(1024)
  private readonly ids = new ByteWriter(1024)
  private raw = new Uint8Array(64 * 1024)
  /** Where the columns start, behind room for their lengths. */
  private columnsAt = 0
  private rawLength = 0
  private isDense = false
  /** Columns that have more to tell than one value. */
  busyColumns = 0

  /** Appends one extent to `dst`. */
  encode(dst: ByteWriter, columns: Columns): void {
    this.begin(columns, false)
    for (let k = 0; k < columns.count; k++) this.add(columns, k)
    this.finish(dst, columns)
  }

  /** Starts an extent, whose columns are then added one by one. `dense`: for years, worth more work. */
  begin(columns: Columns, dense: boolean): void {
    const { count } = columns
    this.isDense = dense
    this.columnsAt = count * LENGTH_BYTES_MAX
    this.rawLength = this.columnsAt
    this.busyColumns = 0
    this.lengths.reset()
    if (dense) this.dense.begin()
  }

  /** The column at position `k`, the next one. */
  add({ slots, values, averagedOf, collectedStep }: Columns, k: number): void {
    const at = this.rawLength
    this.reserve(at + columnBytesMax(slots))
    const end = this.isDense
      ? this.dense.encode(values, k * slots, slots, this.raw, at, {
          averagedOf: averagedOf(k),
          collectedStep,
        })
      : this.plain.encode(values, k * slots, slots, this.raw, at, averagedOf(k))
    if (end - at > CONSTANT_BYTES) this.busyColumns++
    this.lengths.varint(end - at)
    this.rawLength = end
  }

  /** Appends the extent of what was added to `dst`. */
  finish(dst: ByteWriter, { ids, count, firstSlot, slots }: Columns): void {
    assert(isOfLegalSize(count, slots), `extent of ${count} series, ${slots} slots each`)
    const raw = this.putLengths()
    assert(raw.length <= RAW_BYTES_MAX, `extent of ${raw.length} bytes, unpacked`)
    this.encodeIds(ids, count)
    const at = dst.skip(EXTENT_PREFIX_BYTES)
    dst.u32(firstSlot)
    dst.u32(slots)
    dst.u32(ids[0]!)
    dst.u32(ids[count - 1]!)
    dst.u16(count)
    const level = this.isDense ? LEVEL : LEVEL_FAST
    const packed = raw.length > 64 ? Bun.zstdCompressSync(raw, level) : raw
    const isPacked = packed.length < raw.length
    dst.u8(isPacked ? Packing.zstd : Packing.plain)
    dst.u8(0)
    dst.u32(this.ids.length)
    dst.raw(this.ids.written())
    dst.raw(isPacked ? packed : raw)
    assert(dst.length - at <= EXTENT_BYTES_MAX, `extent of ${dst.length - at} bytes`)
    dst.patchU32(at, dst.length - at - EXTENT_PREFIX_BYTES)
    dst.patchU32(at + 4, crc32(dst.bytes.subarray(at + EXTENT_PREFIX_BYTES, dst.length)))
  }

  /** The lengths are known last and stand first: moves them to right before the columns. */
  private putLengths(): Uint8Array {
    const { raw, lengths } = this
    const at = this.columnsAt - lengths.length
    raw.set(lengths.written(), at)
    return raw.subarray(at, this.rawLength)
  }

  private encodeIds(ids: Uint32Array, count: number): void {
    this.ids.reset()
    const span = ids[count - 1]! - ids[0]!
    if (span === count - 1) return
    for (let k = 1; k < count; k++) this.ids.varint(ids[k]! - ids[k - 1]! - 1)
  }

  private reserve(bytes: number): void {
    if (bytes <= this.raw.length) return
    const raw = new Uint8Array(bytes * 2)
    raw.set(this.raw)
    this.raw = raw
  }
}

/** One extent, verified and unpacked: find a series, decode its column. */
export class ExtentReader {
  private readonly decoder = new ColumnDecoder()
  private raw: Uint8Array = new Uint8Array(0)
  private offsets = new Uint32Array(0)
  private file = ''
  private offset = 0
  ids = new Uint32Array(0)
  count = 0
  firstSlot = 0
  slots = 0

  /** Takes the bytes of a whole extent; they may be reused afterwards. Throws `CorruptionError`. */
  open(bytes: Uint8Array, file: string, offset: number): void {
    const header = verifyExtent(bytes, file, offset)
    this.file = file
    this.offset = offset
    try {
      this.unpack(bytes, header)
    } catch (error) {
      throw undecodable(file, offset, error)
    }
  }

  /** What it takes, with what was decoded for other columns' sake and scratch space. */
  get bytes(): number {
    return this.raw.length + this.decoder.bytes
  }

  /** Lets scratch space go. */
  trim(): void {
    this.decoder.trim()
  }

  /**
   * Decodes all slots of the series at `position` to `dst[to, to + slots)`. Throws `CorruptionError`; they are then
   * all missing.
   */
  decode(position: number, dst: Float64Array, to: number): void {
    try {
      this.decoder.decode(position, dst, to)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      dst.fill(NaN, to, to + this.slots)
      throw undecodable(this.file, this.offset, error)
    }
  }

  private unpack(bytes: Uint8Array, header: ExtentHeader): void {
    const { series: count, slots, packing, idBytes } = header
    if (this.ids.length < count) {
      this.ids = new Uint32Array(count)
      this.offsets = new Uint32Array(count)
    }
    this.count = count
    this.firstSlot = header.firstSlot
    this.slots = slots
    readIds(bytes, header, this.ids)
    const packed = bytes.subarray(EXTENT_HEADER_BYTES + idBytes)
    const rawMax = Math.min(RAW_BYTES_MAX, count * (LENGTH_BYTES_MAX + columnBytesMax(slots)))
    this.raw = packing === Packing.zstd ? unpackZstd(packed, rawMax) : packed.slice()
    const lengths = new ByteReader(this.raw)
    let at = 0
    for (let k = 0; k < count; k++) {
      this.offsets[k] = at
      at += lengths.varint()
    }
    if (at !== lengths.remaining) throw new RangeError(`${at} bytes of columns expected`)
    for (let k = 0; k < count; k++) this.offsets[k] = this.offsets[k]! + lengths.offset
    this.decoder.open(this.raw, this.offsets, count, slots)
  }
}

/** Where the extents of one file lie and what they cover, in columns. */
export class ExtentIndex {
  /** Files may be larger than 4 GiB. */
  offsets: Float64Array
  bytes: Uint32Array<ArrayBuffer>
  firstSlots: Uint32Array<ArrayBuffer>
  slots: Uint32Array<ArrayBuffer>
  firstIds: Uint32Array<ArrayBuffer>
  lastIds: Uint32Array<ArrayBuffer>
  length = 0

  constructor(capacity = 16) {
    this.offsets = new Float64Array(capacity)
    this.bytes = new Uint32Array(capacity)
    this.firstSlots = new Uint32Array(capacity)
    this.slots = new Uint32Array(capacity)
    this.firstIds = new Uint32Array(capacity)
    this.lastIds = new Uint32Array(capacity)
  }

  push(offset: number, header: ExtentHeader): void {
    if (this.length === this.offsets.length) this.grow()
    const at = this.length++
    this.offsets[at] = offset
    this.bytes[at] = header.bytes
    this.firstSlots[at] = header.firstSlot
    this.slots[at] = header.slots
    this.firstIds[at] = header.firstId
    this.lastIds[at] = header.lastId
  }

  /** Extents that lie one behind the other, the first at `offset` of the file. */
  pushAll(offset: number, extents: Uint8Array): void {
    for (let at = 0; at < extents.length;) {
      const header = parseExtentHeader(extents.subarray(at))!
      this.push(offset + at, header)
      at += header.bytes
    }
  }

  /** Whether extent `at` may hold any of the ids in [first, last] in slots [from, to). */
  overlaps(at: number, ids: { first: number; last: number }, from: number, to: number): boolean {
    const firstSlot = this.firstSlots[at]!
    return (
      firstSlot < to &&
      firstSlot + this.slots[at]! > from &&
      this.firstIds[at]! <= ids.last &&
      this.lastIds[at]! >= ids.first
    )
  }

  private grow(): void {
    const longer = (column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
      const grown = new Uint32Array(Math.max(16, column.length * 2))
      grown.set(column)
      return grown
    }
    const offsets = new Float64Array(Math.max(16, this.offsets.length * 2))
    offsets.set(this.offsets)
    this.offsets = offsets
    this.bytes = longer(this.bytes)
    this.firstSlots = longer(this.firstSlots)
    this.slots = longer(this.slots)
    this.firstIds = longer(this.firstIds)
    this.lastIds = longer(this.lastIds)
  }
}
