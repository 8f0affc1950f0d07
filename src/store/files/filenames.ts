/**
 * Every name in the store's folder.
 *
 * ```
 * MANIFEST                        which files make up the store (manifest.ts)
 * wal/0000000042.wal              log segments, replayed from the one that the manifest names
 * series/0000000003.series        definitions of all series up to the manifest (series-log.ts)
 * series/seen                     when each series was last seen (last-seen.ts)
 * data/L/retentions               the lane's archives, in case the manifest is lost (salvage.ts)
 * data/L/S/START.GEN.ext          extents: what came since the last fold (extent-file.ts)
 * data/L/S/START.GEN.blk          a window's sealed block (block-format.ts)
 * corrupt/NAME.N                  damaged files, moved out of the way
 * whisper-import.journal          files of Whisper trees that are in this store (whisper-import.ts)
 * reserve                         ballast: given up when the disk is full, so that a manifest can be written
 * ```
 *
 * L: the lane's number; S: seconds a slot; START: Unix time at which the window starts; GEN: a number that
 * grows with every file and is never used twice. What the manifest does not name is removed at start.
 */

const DIGITS = 10

export function manifestPath(dir: string): string {
  return `${dir}/MANIFEST`
}

/** Written and removed, to see whether the disk takes it. */
export function probePath(dir: string): string {
  return `${dir}/probe`
}

export function whisperJournalPath(dir: string): string {
  return `${dir}/whisper-import.journal`
}

export function reservePath(dir: string): string {
  return `${dir}/reserve`
}

export function walDir(dir: string): string {
  return `${dir}/wal`
}

export function segmentPath(dir: string, segment: number): string {
  return `${dir}/wal/${String(segment).padStart(DIGITS, '0')}.wal`
}

/** The segment's number, or undefined for another file. */
export function parseSegmentName(name: string): number | undefined {
  const parts = /^(\d{10})\.wal$/.exec(name)
  return parts ? Number(parts[1]) : undefined
}

export function seriesDir(dir: string): string {
  return `${dir}/series`
}

export function seriesLogPath(dir: string, generation: number): string {
  return `${dir}/series/${String(generation).padStart(DIGITS, '0')}.series`
}

export function lastSeenPath(dir: string): string {
  return `${dir}/series/seen`
}

export function parseSeriesLogName(name: string): number | undefined {
  const parts = /^(\d{10})\.series$/.exec(name)
  return parts ? Number(parts[1]) : undefined
}

export function dataDir(dir: string): string {
  return `${dir}/data`
}

export function laneDir(dir: string, lane: number): string {
  return `${dir}/data/${lane}`
}

/** The folder of one archive's windows. */
export function levelDir(dir: string, lane: number, step: number): string {
  return `${laneDir(dir, lane)}/${step}`
}

export function laneFile(dir: string, lane: number): string {
  return `${laneDir(dir, lane)}/retentions`
}

export function parseWindowFileName(
  name: string,
): { start: number; generation: number; kind: 'ext' | 'blk' } | undefined {
  const parts = /^(\d+)\.(\d+)\.(ext|blk)$/.exec(name)
  if (!parts) return undefined
  const kind = parts[3] === 'ext' ? 'ext' : 'blk'
  return { start: Number(parts[1]), generation: Number(parts[2]), kind }
}

export function extentFileName(start: number, generation: number): string {
  return `${start}.${generation}.ext`
}

export function blockFileName(start: number, generation: number): string {
  return `${start}.${generation}.blk`
}

export function corruptDir(dir: string): string {
  return `${dir}/corrupt`
}
