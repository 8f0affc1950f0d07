/**
 * All names in code point order, page by page. A listing is made at its first page and kept for a minute, so
 * that the pages that follow cost no sort; names that go meanwhile are left out, names that come show in the
 * next listing, whose first page looks anew.
 *
 * The next page goes on from where the last one ended: a place cannot be looked for by a name in a listing of which
 * some names have gone. Limit: the ends of 1,024 pages are known; after another name the listing is made anew.
 */

import type { Clock } from '../../lib/clock.ts'
import type { IndexReply } from '../../ipc/store-protocol.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import { inSlices, type Patience } from '../../lib/slices.ts'
import type { WhisperTree } from '../whisper/whisper-tree.ts'

const KEPT_MS = 60_000
const ENDS_MAX = 1_024

/** How many of both lists were looked at. */
interface Place {
  readonly own: number
  readonly below: number
}

interface Listing {
  readonly generation: number
  readonly madeMs: number
  readonly ids: Uint32Array
  /** Names that only the Whisper tree has, sorted. */
  readonly treeNames: readonly string[]
  /** The last name of a page → where it ended, oldest first. */
  readonly ends: Map<string, Place>
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
    const listing = await this.current(after, patience)
    const { ids, treeNames, ends } = listing
    const { names } = this.index
    let { own, below } = ends.get(after) ?? this.placeAfter(listing, after)
    const paths: string[] = []
    while (paths.length < namesMax && (own < ids.length || below < treeNames.length)) {
      const id = ids[own]
      if (id !== undefined && !names.has(id)) {
        own++
        continue
      }
      const name = id === undefined ? undefined : names.text(id)
      const other = treeNames[below]
      if (name !== undefined && (other === undefined || comparePaths(name, other) < 0)) {
        paths.push(name)
        own++
      } else {
        paths.push(other!)
        below++
      }
    }
    if (paths.length > 0) ends.set(paths.at(-1)!, { own, below })
    if (ends.size > ENDS_MAX) ends.delete(ends.keys().next().value!)
    return { paths, more: own < ids.length || below < treeNames.length }
  }

  /** Of a listing that was just made. */
  private placeAfter({ ids, treeNames }: Listing, after: string): Place {
    const { names } = this.index
    return {
      own: firstAfter(ids.length, (i) => comparePaths(names.text(ids[i]!), after) > 0),
      below: firstAfter(treeNames.length, (i) => comparePaths(treeNames[i]!, after) > 0),
    }
  }

  private async current(after: string, patience: Patience): Promise<Listing> {
    const { generation } = this.index
    const nowMs = this.clock.monotonicMs()
    const kept = this.listing
    const isKept = kept && nowMs - kept.madeMs < KEPT_MS
    const isSame = isKept && kept.generation === generation && !this.tree
    if (isSame || (isKept && kept.ends.has(after))) return kept
    const ids = await inSlices(this.index.sorted(), patience)
    const treeNames = this.tree ? await inSlices(this.tree.names(), patience) : []
    const onlyInTree = treeNames.filter((name) => this.index.findText(name) === ABSENT)
    const treeNamesSorted = onlyInTree.sort(comparePaths)
    const ends = new Map<string, Place>()
    this.listing = { generation, madeMs: nowMs, ids, treeNames: treeNamesSorted, ends }
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
