/**
 * The manifest says which files, and how many bytes of each, make up the store. It is replaced whole
 * (written aside, synced, renamed), so a crash leaves the old state or the new one.
 *
 * ```
 * magic u32 "EMAN", u16 version, u16 0
 * u32 next generation, u32 first log segment, u32 series log generation, u64 its bytes
 * u64 newest time, u64 trusted time
 * u16 lanes, each: u8 archives, each: u32 step, u32 count
 *                  u32 first slot of the head
 *                  for each archive: u32 windows, each: u32 start, u8 state (0 open, 1 settled, 2 rolling),
 *                      u32 block generation (0: none), u64 its bytes,
 *                      u32 extent files, each: u32 generation, u64 committed bytes
 * u32 crc32 of all before it
 * ```
 */

import { ByteReader, ByteWriter, crc32 } from '../../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../lib/corruption.ts'
import type { Archive } from '../../metric/retention.ts'

/** How far its slots are rolled up: not at all, some of them may be, all of them. */
export type WindowState = 'open' | 'rolling' | 'settled'

const MAGIC = 0x4e414d45
/**
 * Before version 4 extent files were counted in a u8; before version 3 there was no trusted time: it was the newest; in
 * version 1 no window was `rolling`.
 */
const VERSION = 4
/** On disk: never change the order. */
const STATES: readonly WindowState[] = ['open', 'settled', 'rolling']

export interface ManifestFile {
  readonly generation: number
  readonly bytes: number
}

export interface ManifestWindow {
  readonly start: number
  readonly state: WindowState
  readonly block: ManifestFile | undefined
  readonly extents: readonly ManifestFile[]
}

export interface ManifestLane {
  readonly archives: readonly Archive[]
  readonly headFrom: number
  /** One list an archive. */
  readonly levels: readonly (readonly ManifestWindow[])[]
}

export interface Manifest {
  readonly nextGeneration: number
  /** The log is replayed from this segment on. */
  readonly firstSegment: number
  readonly series: ManifestFile
  /** The newest point's time; retention goes by it when the clock runs ahead. */
  readonly newest: number
  /** What the clock is held against at the next start (clock-guard.ts). */
  readonly trusted: number
  readonly lanes: readonly ManifestLane[]
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const dst = new ByteWriter(4096)
  dst.u32(MAGIC)
  dst.u16(VERSION)
  dst.u16(0)
  dst.u32(manifest.nextGeneration)
  dst.u32(manifest.firstSegment)
  dst.u32(manifest.series.generation)
  dst.u64(manifest.series.bytes)
  dst.u64(manifest.newest)
  dst.u64(manifest.trusted)
  dst.u16(manifest.lanes.length)
  for (const lane of manifest.lanes) appendLane(dst, lane)
  dst.u32(crc32(dst.written()))
  return dst.copy()
}

function appendLane(dst: ByteWriter, lane: ManifestLane): void {
  dst.u8(lane.archives.length)
  for (const { step, count } of lane.archives) {
    dst.u32(step)
    dst.u32(count)
  }
  dst.u32(lane.headFrom)
  for (const windows of lane.levels) {
    dst.u32(windows.length)
    for (const window of windows) {
      dst.u32(window.start)
      dst.u8(STATES.indexOf(window.state))
      dst.u32(window.block?.generation ?? 0)
      dst.u64(window.block?.bytes ?? 0)
      dst.u32(window.extents.length)
      for (const { generation, bytes } of window.extents) {
        dst.u32(generation)
        dst.u64(bytes)
      }
    }
  }
}

/** Throws `CorruptionError` or `NewerVersionError`. */
export function decodeManifest(bytes: Uint8Array, file: string): Manifest {
  try {
    const reader = new ByteReader(bytes)
    if (reader.u32() !== MAGIC) throw new CorruptionError(file, 0, 'wrong magic number')
    const version = reader.u16()
    if (version > VERSION) throw new NewerVersionError(file, version, VERSION)
    const body = bytes.subarray(0, bytes.length - 4)
    if (crc32(body) !== new ByteReader(bytes, bytes.length - 4).u32())
      throw new CorruptionError(file, 0, 'wrong checksum')
    reader.u16()
    const manifest = readBody(reader, version)
    if (reader.offset !== body.length) throw new CorruptionError(file, 0, 'it is too long')
    return manifest
  } catch (error) {
    if (error instanceof RangeError) throw new CorruptionError(file, 0, 'it is cut short')
    throw error
  }
}

function readBody(reader: ByteReader, version: number): Manifest {
  const nextGeneration = reader.u32()
  const firstSegment = reader.u32()
  const series = { generation: reader.u32(), bytes: reader.u64() }
  const newest = reader.u64()
  const trusted = version < 3 ? newest : reader.u64()
  const lanes = Array.from({ length: reader.u16() }, () => readLane(reader, version))
  return { nextGeneration, firstSegment, series, newest, trusted, lanes }
}

function readLane(reader: ByteReader, version: number): ManifestLane {
  const archives = Array.from({ length: reader.u8() }, () => ({
    step: reader.u32(),
    count: reader.u32(),
  }))
  const headFrom = reader.u32()
  const levels = archives.map(() =>
    Array.from({ length: reader.u32() }, () => readWindow(reader, version)),
  )
  return { archives, headFrom, levels }
}

function readWindow(reader: ByteReader, version: number): ManifestWindow {
  const start = reader.u32()
  const state = STATES[reader.u8()]
  if (!state) throw new RangeError('unknown state of a window')
  const block = { generation: reader.u32(), bytes: reader.u64() }
  const extents = Array.from({ length: version < 4 ? reader.u8() : reader.u32() }, () => ({
    generation: reader.u32(),
    bytes: reader.u64(),
  }))
  return { start, state, block: block.generation === 0 ? undefined : block, extents }
}
