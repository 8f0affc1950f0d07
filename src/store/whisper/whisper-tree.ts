/**
 * An existing tree of Whisper files, read only: what it holds shows under the store's own data, so that one
 * can switch first and import later (EMON_WHISPER_DIR). Nothing is kept in memory: a glob lists the folders
 * that it goes through, a fetch reads the header and the slots of one archive. Files may be written meanwhile by
 * another program; one that cannot be read is counted and answers nothing.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import { type Disk, errorCode } from '../../lib/disk.ts'
import type { Counter, Stats } from '../../lib/stats.ts'
import { matchesNode, type NodeGlob } from '../../metric/glob.ts'
import type { Archive } from '../../metric/retention.ts'
import { compileByteWildcards } from '../index/byte-wildcard.ts'
import type { FetchedSlots, FetchRange, SeriesRule } from '../engine.ts'
import type { SlicedWork } from '../../lib/slices.ts'
import { isCompressedWhisper } from './whisper-compressed-reader.ts'
import {
  ARCHIVE_INFO_BYTES,
  ARCHIVES_MAX,
  HEADER_BYTES,
  modulo,
  POINT_BYTES,
} from './whisper-format.ts'
import { filesOfName } from './whisper-names.ts'
import { readWhisper, readWhisperHeader } from './whisper-reader.ts'
import { walkWhisperTree } from './whisper-walk.ts'

const SUFFIX = '.wsp'
const TAGGED = '_tagged'

/** Folders and files that a slice looks at. */
const SLICE = 256

export interface TreeMatches {
  readonly leaves: readonly string[]
  readonly branches: readonly string[]
}

export interface TreeSeries {
  readonly rule: SeriesRule
  /** Undefined when the range lies outside what the file keeps. */
  readonly slots: FetchedSlots | undefined
}

export class WhisperTree {
  private readonly disk: Disk
  private readonly root: string
  private readonly failures: Counter

  constructor(disk: Disk, root: string, stats: Stats) {
    this.disk = disk
    this.root = root
    this.failures = stats.counter('whisper.unreadable')
  }

  /** Names that match, in no order and without repetitions; stops when there are more than `namesMax`. */
  *glob(
    pattern: readonly NodeGlob[],
    options: { readonly leavesOnly: boolean; readonly namesMax: number },
  ): SlicedWork<TreeMatches> {
    const leaves = new Set<string>()
    const branches = new Set<string>()
    const open: [folder: string, level: number][] = [['', 0]]
    const fits = pattern.map(nodeTest)
    for (let looked = 0; open.length > 0; looked++) {
      if (looked % SLICE === SLICE - 1) yield
      const [folder, level] = open.pop()!
      const glob = pattern[level]!
      const isLast = level === pattern.length - 1
      const isWalk = glob.kind === 'walk'
      if (isWalk && !isLast) open.push([folder, level + 1])
      for (const { node, isFile, path } of this.entries(folder)) {
        if (!isWalk && !fits[level]!(node)) continue
        if (isFile) {
          if (isLast) leaves.add(dotted(path))
          continue
        }
        if (isLast && !options.leavesOnly) branches.add(dotted(path))
        if (isWalk) open.push([path, level])
        else if (!isLast) open.push([path, level + 1])
      }
      if (leaves.size + branches.size > options.namesMax) break
    }
    return { leaves: [...leaves], branches: [...branches] }
  }

  /** All names, in no order. */
  *names(): SlicedWork<string[]> {
    const names: string[] = []
    for (const { name } of walkWhisperTree(this.disk, this.root)) {
      if (name !== undefined) names.push(name)
      if (names.length % SLICE === SLICE - 1) yield
    }
    return names
  }

  /** The series as its file has it, undefined when there is none that can be read. */
  fetch(name: string, range: FetchRange): TreeSeries | undefined {
    const path = this.path(name)
    try {
      return fetchFromFile(this.disk, path, range)
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
      if (!(error instanceof CorruptionError) && errorCode(error) === '') throw error
      this.failures.value++
      return undefined
    }
  }

  /** When the file was last written, Unix seconds; 0 when there is none. */
  lastWritten(name: string): number {
    const stat = this.disk.stat(this.path(name))
    return stat?.isFile ? Math.floor(stat.modifiedMs / 1000) : 0
  }

  private path(name: string): string {
    const [first, other] = filesOfName(name).map((file) => `${this.root}/${file}`)
    return other !== undefined && !this.disk.stat(first!) ? other : first!
  }

  /** What may be a node below a folder. */
  private *entries(folder: string): Generator<{ node: string; isFile: boolean; path: string }> {
    for (const entry of this.disk.list(folder === '' ? this.root : `${this.root}/${folder}`)) {
      const isFile = entry.endsWith(SUFFIX)
      const node = isFile ? entry.slice(0, -SUFFIX.length) : entry
      const path = folder === '' ? node : `${folder}/${node}`
      if (path === TAGGED) continue
      if (isFile || this.disk.stat(`${this.root}/${path}`)?.isDirectory)
        yield { node, isFile, path }
    }
  }
}

function nodeTest(glob: NodeGlob): (node: string) => boolean {
  if (glob.kind !== 'match') return (node) => matchesNode(glob, node)
  const { fits } = compileByteWildcards(glob.wildcards)
  return (node) => {
    const bytes = toUtf8(node)
    return fits(bytes, 0, bytes.length)
  }
}

function dotted(path: string): string {
  return path.replaceAll('/', '.')
}

function fetchFromFile(disk: Disk, path: string, range: FetchRange): TreeSeries {
  const file = disk.open(path, 'read')
  try {
    const head = file.read(0, HEADER_BYTES + ARCHIVES_MAX * ARCHIVE_INFO_BYTES)
    if (isCompressedWhisper(head)) return fetchCompressed(disk.readFile(path), path, range)
    const { archives, offsets, method, xFilesFactor } = readWhisperHeader(head, path)
    const rule = { archives, method, xFilesFactor, pinned: true }
    const asked = clampRange(archives, range)
    if (!asked) return { rule, slots: undefined }
    const { index, start, count } = asked
    const { step } = archives[index]!
    const values = new Float64Array(count).fill(NaN)
    const ring = { offset: offsets[index]!, step, count: archives[index]!.count }
    readRing((offset, length) => file.read(offset, length), ring, start, values)
    return { rule, slots: { start, step, values } }
  } finally {
    file.close()
  }
}

function fetchCompressed(bytes: Uint8Array, path: string, range: FetchRange): TreeSeries {
  const { archives, method, xFilesFactor, slots } = readWhisper(bytes, path)
  const rule = { archives, method, xFilesFactor, pinned: true }
  const asked = clampRange(archives, range)
  if (!asked) return { rule, slots: undefined }
  const { index, start, count } = asked
  const { step } = archives[index]!
  const row = slots[index]!
  const values = Float64Array.from({ length: count }, (_, i) => {
    return row.values[(start - row.start) / step + i] ?? NaN
  })
  return { rule, slots: { start, step, values } }
}

/** whisper.py fetch: which archive, and its slots in (from, until]. */
function clampRange(
  archives: readonly Archive[],
  { from, until, now }: FetchRange,
): { index: number; start: number; count: number } | undefined {
  const longest = Math.max(...archives.map(({ step, count }) => step * count))
  if (from > now || until < now - longest) return undefined
  const first = Math.max(from, now - longest)
  const last = Math.min(until, now)
  const reach = now - first
  const fits = archives.findIndex(({ step, count }) => step * count >= reach)
  const index = fits < 0 ? archives.length - 1 : fits
  const { step } = archives[index]!
  const start = first - (first % step) + step
  const end = last - (last % step) + step
  return { index, start, count: Math.max(1, (end - start) / step) }
}

/** The slots from `start` on that stand where the ring wants them. */
function readRing(
  read: (offset: number, length: number) => Uint8Array,
  ring: { offset: number; step: number; count: number },
  start: number,
  values: Float64Array,
): void {
  const { offset, step, count } = ring
  const base = read(offset, POINT_BYTES)
  if (base.length < POINT_BYTES) return
  const baseTime = new DataView(base.buffer, base.byteOffset).getUint32(0)
  if (baseTime === 0) return
  for (let done = 0; done < values.length;) {
    const slot = modulo((start - baseTime) / step + done, count)
    const length = Math.min(values.length - done, count - slot)
    const bytes = read(offset + slot * POINT_BYTES, length * POINT_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let i = 0; (i + 1) * POINT_BYTES <= bytes.length && i < length; i++) {
      const time = start + (done + i) * step
      if (view.getUint32(i * POINT_BYTES) === time) {
        values[done + i] = view.getFloat64(i * POINT_BYTES + 4)
      }
    }
    done += length
  }
}
