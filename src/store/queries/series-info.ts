/** What is known of series by name: their rule, and when they were last seen; of the store's own, else of the tree. */

import { longest } from '../../ipc/go-graphite-messages.ts'
import type { FindMatch, SeriesInfo } from '../../ipc/store-protocol.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { Engine } from '../engine.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import type { SlicedWork } from '../../lib/slices.ts'
import type { WhisperTree } from '../whisper/whisper-tree.ts'

/** Series between two looks at the clock. */
const SERIES_A_LOOK = 64

export interface InfoSources {
  readonly index: SeriesIndex
  readonly engine: Engine
  readonly tree: WhisperTree | undefined
}

/** Of the paths that are series. */
export function* infosOf(
  sources: InfoSources,
  paths: readonly string[],
  now: number,
): SlicedWork<SeriesInfo[]> {
  const series: SeriesInfo[] = []
  for (let i = 0; i < paths.length; i++) {
    const found = infoOf(sources, paths[i]!, now)
    if (found) series.push(found)
    if (i % SERIES_A_LOOK === 0) yield
  }
  return series
}

/** The matches, those of series with their span. */
export function* withSpans(
  sources: InfoSources,
  matches: readonly FindMatch[],
  now: number,
): SlicedWork<FindMatch[]> {
  const dated: FindMatch[] = []
  for (let i = 0; i < matches.length; i++) {
    const match = matches[i]!
    const info = match.isLeaf ? infoOf(sources, match.path, now) : undefined
    const span = info && { seconds: longest(info), lastSeen: info.lastSeen }
    dated.push(span ? { ...match, span } : match)
    if (i % SERIES_A_LOOK === 0) yield
  }
  return dated
}

function infoOf(
  { index, engine, tree }: InfoSources,
  path: string,
  now: number,
): SeriesInfo | undefined {
  const id = index.findText(path)
  const range = { from: now, until: now, now }
  const rule = id === ABSENT ? tree?.fetch(path, range)?.rule : engine.ruleOf(id)
  if (!rule) return undefined
  const { archives, method, xFilesFactor } = rule
  const lastSeen = id === ABSENT ? (tree?.lastWritten(path) ?? 0) : engine.lastSeen(id)
  return { path, archives, method, xFilesFactor, lastSeen }
}
