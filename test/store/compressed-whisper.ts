/** Writes go-whisper's compressed format, one block an archive: the reader's twin, for tests. */

class BitWriter {
  private readonly bits: number[] = []

  put(width: number, low: number, high = 0): void {
    for (let shift = 0; shift < width; shift += 8) {
      const word = shift < 32 ? low >>> shift : high >>> (shift - 32)
      const part = Math.min(8, width - shift)
      for (let bit = part - 1; bit >= 0; bit--) this.bits.push((word >>> bit) & 1)
    }
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(this.bits.length / 8))
    this.bits.forEach((bit, i) => (bytes[i >> 3]! |= bit << (7 - (i & 7))))
    return bytes
  }
}

type Point = readonly [timestamp: number, value: number]

export interface TestArchive {
  readonly step: number
  readonly count: number
  readonly points: readonly Point[]
  /** Points that wait, at most 2 × next step ÷ step. */
  readonly buffer?: readonly Point[]
}

export function encodeCompressed(
  archives: readonly TestArchive[],
  { method = 1, xFilesFactor = 0.5 } = {},
): Uint8Array {
  const blocks = archives.map(({ points, step }) => packBlock(points, step))
  const buffers = archives.map(({ step }, i) => {
    const next = archives[i + 1]
    return next ? (2 * next.step) / step : 0
  })
  const ranges = archives.length * 16 + buffers.reduce((sum, count) => sum + count * 12, 0)
  let offset = 63 + archives.length * 128 + ranges
  const total = offset + blocks.reduce((sum, block) => sum + block.length, 0)
  const bytes = new Uint8Array(total)
  const view = new DataView(bytes.buffer)
  bytes.set(new TextEncoder().encode('whisper_compressed'))
  bytes[18] = 1
  view.setUint32(19, method)
  view.setUint32(23, Math.max(...archives.map(({ step, count }) => step * count)))
  view.setFloat32(27, xFilesFactor)
  view.setUint32(31, 7200)
  view.setUint32(35, archives.length)
  let at = 63 + archives.length * 128
  archives.forEach(({ step, count, points, buffer = [] }, i) => {
    const info = 63 + i * 128
    for (const [field, number] of [offset, step, count, blocks[i]!.length, 1].entries()) {
      view.setUint32(info + field * 4, number)
    }
    view.setUint32(at, points[0]?.[0] ?? 0)
    view.setUint32(at + 4, points.at(-1)?.[0] ?? 0)
    view.setUint32(at + 8, points.length)
    at += 16
    buffer.forEach(([timestamp, value], k) => {
      view.setUint32(at + k * 12, timestamp)
      view.setFloat64(at + k * 12 + 4, value)
    })
    at += buffers[i]! * 12
    bytes.set(blocks[i]!, offset)
    offset += blocks[i]!.length
  })
  return bytes
}

function packBlock(points: readonly Point[], step: number): Uint8Array {
  const head = new Uint8Array(12)
  if (points.length === 0) return head
  const view = new DataView(head.buffer)
  view.setUint32(0, points[0]![0])
  view.setFloat64(4, points[0]![1])
  const bits = new BitWriter()
  let [before, last] = [points[0]!, points[0]!]
  for (const point of points.slice(1)) {
    putTime(bits, (point[0] - last[0] - (last[0] - before[0])) / step, point[0])
    putValue(bits, xor(last[1], point[1]), xor(before[1], last[1]))
    before = last
    last = point
  }
  bits.put(4, 15)
  bits.put(32, 0)
  const packed = bits.bytes()
  const block = new Uint8Array(12 + packed.length)
  block.set(head)
  block.set(packed, 12)
  return block
}

function putTime(bits: BitWriter, delta: number, timestamp: number): void {
  const size = Math.abs(delta)
  if (delta === 0) return bits.put(1, 0)
  for (const [prefix, ones, width] of [
    [2, 2, 7],
    [3, 6, 9],
    [4, 14, 12],
  ] as const) {
    const sign = 1 << (width - 1)
    if (size >= sign - 1) continue
    bits.put(prefix, ones)
    return bits.put(width, delta < 0 ? size | sign : size)
  }
  bits.put(4, 15)
  bits.put(32, timestamp)
}

function putValue(bits: BitWriter, change: bigint, changeBefore: bigint): void {
  if (change === 0n) return bits.put(1, 0)
  const [leading, trailing] = zeros(change)
  const [leadingBefore, trailingBefore] = zeros(changeBefore)
  if (changeBefore !== 0n && leadingBefore <= leading && trailingBefore <= trailing) {
    bits.put(2, 2)
    return putBig(bits, 64 - leadingBefore - trailingBefore, change >> BigInt(trailingBefore))
  }
  const stated = Math.min(leading, 31)
  const length = 64 - stated - trailing
  bits.put(2, 3)
  bits.put(5, stated)
  bits.put(6, Math.min(length, 63))
  putBig(bits, length >= 63 ? 64 : length, length >= 63 ? change : change >> BigInt(trailing))
}

function putBig(bits: BitWriter, width: number, value: bigint): void {
  bits.put(width, Number(value & 0xffffffffn), Number(value >> 32n))
}

function xor(a: number, b: number): bigint {
  const view = new DataView(new ArrayBuffer(16))
  view.setFloat64(0, a)
  view.setFloat64(8, b)
  return view.getBigUint64(0) ^ view.getBigUint64(8)
}

function zeros(word: bigint): [leading: number, trailing: number] {
  const text = word.toString(2).padStart(64, '0')
  return [text.indexOf('1'), 63 - text.lastIndexOf('1')]
}
