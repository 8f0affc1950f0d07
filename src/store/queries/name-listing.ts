/**
 * All names in code point order, page by page. A listing is made at its first page and kept for a minute, so
 * that the pages that follow cost no sort; names that go meanwhile are left out, names that come show in the
 * next listing, whose first page looks anew.
 */

import type { Clock } from '../../lib/clock.ts'
import type { IndexReply } from '../../ipc/store-protocol.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import { inSlices, type Patience } from '../../lib/slices.ts'
import type { WhisperTree } from '../whisper/whisper-tree.ts'

const KEPT_MS = 60_000

interface Listing {
  readonly generation: number
  readonly madeMs: number
  readonly ids: Uint32Array
  /** Names that only the Whisper tree has, sorted. */
  readonly treeNames: readonly string[]
}

export class NameListing {
  private readonly index: SeriesIndex
  private readonly clock: Clock
  private readonly tree: WhisperTree | undefined
  private listing: Listing | undefined

  constructor(parts: { index: SeriesIndex; clock: Clock; tree: WhisperTree | undefined }) {
    this.index = parts.index
    this.clock = parts.clock
    this.tree = parts.tree
    this.listing = undefined
  }

  /** At most `namesMax` names after `after`. */
  async page(after: string, namesMax: number, patience: Patience): Promise<IndexReply> {
    const { ids, treeNames } = await this.current(after === '', patience)
    const { names } = this.index
    let at = firstAfter(ids.length, (i) => comparePaths(names.text(ids[i]!), after) > 0)
    let below = firstAfter(treeNames.length, (i) => comparePaths(treeNames[i]!, after) > 0)
    const paths: string[] = []
    while (paths.length < namesMax && (at < ids.length || below < treeNames.length)) {
      const own = at < ids.length ? names.text(ids[at]!) : undefined
      const other = treeNames[below]
      if (own !== undefined && (other === undefined || comparePaths(own, other) < 0)) {
        if (names.has(ids[at]!)) paths.push(own)
        at++
      } else {
        paths.push(other!)
        below++
      }
    }
    return { paths, more: at < ids.length || below < treeNames.length }
  }

  private async current(isFirstPage: boolean, patience: Patience): Promise<Listing> {
    const { generation } = this.index
    const nowMs = this.clock.monotonicMs()
    const kept = this.listing
    const isFresh = kept && nowMs - kept.madeMs < KEPT_MS
    if (isFresh && (!isFirstPage || (kept.generation === generation && !this.tree))) return kept
    const ids = await inSlices(this.index.sorted(), patience)
    const treeNames = this.tree ? await inSlices(this.tree.names(), patience) : []
    const onlyInTree = treeNames.filter((name) => this.index.findText(name) === ABSENT)
    this.listing = { generation, madeMs: nowMs, ids, treeNames: onlyInTree.sort(comparePaths) }
    return this.listing
  }
}

/** The first index for which `isAfter` holds; it holds for all that follow. */
function firstAfter(length: number, isAfter: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isAfter(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Code point order: UTF-16 order but for surrogates. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i)
    const unitB = b.charCodeAt(i)
    if (unitA !== unitB) return codePointRank(unitA) - codePointRank(unitB)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above all other units. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x2000 : unit
}
