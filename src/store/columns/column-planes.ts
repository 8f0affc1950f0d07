/**
 * Bodies of columns that are planes of bytes: first the lowest byte of every number, then the next … Bytes of
 * one weight lie side by side, so the compressor can make something of the high ones although the low ones
 * are noise.
 */

import { writeFloat, writeVarint, writeZigzag } from './column-bytes.ts'
import type { Dictionary } from './dictionary.ts'
import { typical } from './typical.ts'

const COUNT_MIN = 32
const floats = new Float64Array(1)
const words = new Int32Array(floats.buffer)

/** Whether whole numbers take fewer bits as distances from a typical one than as differences of several bytes each. */
export function prefersOffsets(whole: Float64Array, count: number): boolean {
  if (count < COUNT_MIN) return false
  let differenceBits = 0
  for (let i = 1; i < count; i++) differenceBits += bitsOf(whole[i]! - whole[i - 1]!)
  if (differenceBits <= 8 * count) return false
  const center = typical(whole, count)
  let offsetBits = 0
  for (let i = 1; i < count; i++) offsetBits += bitsOf(whole[i]! - center)
  return offsetBits < differenceBits + 3 * count
}

function bitsOf(value: number): number {
  const size = Math.abs(value)
  return size < 2_147_483_648 ? 32 - Math.clz32(size) : 32 + Math.log2(size / 2_147_483_648)
}

/** Lowest number, bytes a number, planes. */
export function writeOffsets(
  whole: Float64Array,
  count: number,
  dst: Uint8Array,
  at: number,
): number {
  let low = whole[0]!
  let high = low
  for (let i = 1; i < count; i++) {
    if (whole[i]! < low) low = whole[i]!
    if (whole[i]! > high) high = whole[i]!
  }
  const end = writeZigzag(low, dst, at)
  const width = bytesFor(high - low)
  dst[end] = width
  for (let i = 0; i < count; i++) {
    let rest = whole[i]! - low
    for (let plane = end + 1 + i, left = width; left > 0; left--, plane += count) {
      if (rest < 4_294_967_296) {
        dst[plane] = rest
        rest = rest >>> 8
      } else {
        dst[plane] = rest % 256
        rest = Math.floor(rest / 256)
      }
    }
  }
  return end + 1 + width * count
}

/** The distinct values, then the position of each of the column's `count` values among them. */
export function writeDictionary(
  { values, positions }: Dictionary,
  count: number,
  dst: Uint8Array,
  at: number,
): number {
  let end = writeVarint(values.length, dst, at)
  for (let i = 0; i < values.length; i++) end = writeFloat(values[i]!, dst, end)
  const width = bytesFor(values.length - 1)
  for (let i = 0; i < count; i++) {
    const position = positions[i]!
    dst[end + i] = position
    if (width > 1) dst[end + count + i] = position >> 8
  }
  return end + width * count
}

/** How many bytes hold every number up to `highest`; at least one. */
export function bytesFor(highest: number): number {
  let width = 1
  for (let rest = Math.floor(highest / 256); rest > 0; rest = Math.floor(rest / 256)) width++
  return width
}

/** Puts the `count` numbers that lie in planes at `at` to `dst[to …]`. */
export function readPlanes(
  bytes: Uint8Array,
  at: number,
  { width, count }: { width: number; count: number },
  dst: Float64Array,
  to: number,
): void {
  for (let i = 0; i < count; i++) dst[to + i] = bytes[at + i]!
  let scale = 256
  for (let plane = 1; plane < width; plane++, scale *= 256) {
    const from = at + plane * count
    for (let i = 0; i < count; i++) dst[to + i] = dst[to + i]! + bytes[from + i]! * scale
  }
}

/** The same of values whose bits were XORed with those of the one before; eight planes, the highest byte first. */
export function readXorPlanes(
  bytes: Uint8Array,
  at: number,
  count: number,
  dst: Float64Array,
  to: number,
): void {
  let low = 0
  let high = 0
  for (let i = 0; i < count; i++) {
    const k = at + i
    high ^=
      (bytes[k]! << 24) |
      (bytes[k + count]! << 16) |
      (bytes[k + 2 * count]! << 8) |
      bytes[k + 3 * count]!
    low ^=
      (bytes[k + 4 * count]! << 24) |
      (bytes[k + 5 * count]! << 16) |
      (bytes[k + 6 * count]! << 8) |
      bytes[k + 7 * count]!
    words[1] = high
    words[0] = low
    dst[to + i] = floats[0]!
  }
}
