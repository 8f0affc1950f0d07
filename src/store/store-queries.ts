/**
 * What can be asked of the store, whoever asks (query.sock, carbonserver): each function answers one kind
 * of request of ipc/store-protocol.ts, in slices, and stops when nobody waits any more. `QueryError` is
 * what the asker is told.
 */

import { toUtf8 } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type {
  DeleteReply,
  DeleteRequest,
  FetchedSeries,
  FetchEnd,
  FetchRequest,
  FindMatch,
  FindReply,
  FindRequest,
  IndexReply,
  IndexRequest,
  InfoReply,
  InfoRequest,
  RegisterReply,
  RegisterRequest,
  RenameReply,
  RenameRequest,
  Selector,
  SeriesInfo,
  TagsReply,
  TagsRequest,
} from '../ipc/store-protocol.ts'
import { compileGlob, isGlob } from '../metric/glob.ts'
import { canonicalPath, isValidPath } from '../metric/path.ts'
import { ABSENT } from './byte-table.ts'
import type { Engine } from './engine.ts'
import { QueryError } from './query-error.ts'
import { type GlobMatches, type SeriesIndex, TooManyNames } from './series-index.ts'
import type { SeriesRegistry } from './series-registry.ts'
import { inSlices, type Patience } from './slices.ts'
import { answerTags, findTagged } from './tag-queries.ts'

/** Series fetched between two looks at whether the asker keeps up. */
const FETCH_BATCH = 64

export interface StoreQueriesParts {
  readonly index: SeriesIndex
  readonly engine: Engine
  readonly registry: SeriesRegistry
  readonly clock: Clock
}

/** Who asks: patience, and for fetch the signal that stops it and where the series go. */
export interface SeriesReceiver {
  readonly signal: AbortSignal
  take(series: FetchedSeries): void
  /** Resolves when what was taken is on its way. */
  drained(): Promise<void>
}

export class StoreQueries {
  private readonly index: SeriesIndex
  private readonly engine: Engine
  private readonly registry: SeriesRegistry
  private readonly clock: Clock
  private listing: { readonly generation: number; readonly ids: Uint32Array } | undefined

  constructor({ index, engine, registry, clock }: StoreQueriesParts) {
    this.index = index
    this.engine = engine
    this.registry = registry
    this.clock = clock
    this.listing = undefined
  }

  async find(request: FindRequest, patience: Patience): Promise<FindReply> {
    const matches: FindMatch[][] = []
    let left = request.namesMax
    for (const pattern of request.patterns) {
      const found = await this.findPattern(pattern, { ...request, namesMax: left }, patience)
      left -= found.length
      matches.push(found)
    }
    return { matches }
  }

  async fetch(
    request: FetchRequest,
    receiver: SeriesReceiver,
    patience: Patience,
  ): Promise<FetchEnd> {
    const { from, until, now, selectors, seriesMax, pointsMax } = request
    if (until < from)
      throw new QueryError('bad', `the range ends (${until}) before it begins (${from})`)
    let series = 0
    let points = 0
    for (let selector = 0; selector < selectors.length; selector++) {
      const ids = await this.select(selectors[selector]!, seriesMax - series, patience)
      for (let start = 0; start < ids.length; start += FETCH_BATCH) {
        const batch = ids.subarray(start, start + FETCH_BATCH)
        await this.engine.fetch(
          batch,
          { from, until, now },
          (i, slots) => {
            const rule = this.engine.ruleOf(batch[i]!)
            if (!slots || !rule || !this.index.has(batch[i]!)) return
            series++
            points += slots.values.length
            if (points > pointsMax) throw new QueryError('limit', `more than ${pointsMax} points`)
            const { method, xFilesFactor } = rule
            receiver.take({
              ...slots,
              name: this.index.name(batch[i]!),
              selector,
              method,
              xFilesFactor,
            })
          },
          receiver.signal,
        )
        await receiver.drained()
      }
    }
    return { series, points }
  }

  async listNames(request: IndexRequest, patience: Patience): Promise<IndexReply> {
    const ids = await this.sortedIds(request.after === '', patience)
    const { names } = this.index
    const after = toUtf8(request.after)
    let low = 0
    for (let high = ids.length; low < high;) {
      const middle = (low + high) >>> 1
      if (isAfter(names.bytes(ids[middle]!), after)) high = middle
      else low = middle + 1
    }
    const paths: string[] = []
    for (; low < ids.length && paths.length < request.namesMax; low++) {
      if (names.has(ids[low]!)) paths.push(names.text(ids[low]!))
    }
    return { paths, more: low < ids.length }
  }

  tags(request: TagsRequest, patience: Patience): Promise<TagsReply> {
    return answerTags(this.index, request, patience)
  }

  async register(request: RegisterRequest): Promise<RegisterReply> {
    const paths = request.paths.map(goodPath)
    for (const path of paths) {
      if (this.registry.resolveOnce(toUtf8(path)) === ABSENT) {
        throw new QueryError('unavailable', `no new series are taken now: ${path}`)
      }
    }
    await this.engine.sync()
    return { paths }
  }

  async delete(request: DeleteRequest): Promise<DeleteReply> {
    this.mustWrite()
    const deleted = this.registry.remove(request.paths.map((path) => spelling(path)))
    await this.engine.sync()
    return { deleted }
  }

  async rename(request: RenameRequest): Promise<RenameReply> {
    this.mustWrite()
    const to = goodPath(request.to)
    if (this.index.findText(to) !== ABSENT) throw new QueryError('bad', `${to} exists already`)
    const renamed = this.registry.rename(spelling(request.from), to)
    await this.engine.sync()
    return { renamed }
  }

  info(request: InfoRequest): InfoReply {
    const series: SeriesInfo[] = []
    for (const path of request.paths) {
      const id = this.index.findText(spelling(path))
      const rule = id === ABSENT ? undefined : this.engine.ruleOf(id)
      if (!rule) continue
      const { archives, method, xFilesFactor } = rule
      const lastSeen = this.engine.lastSeen(id)
      series.push({ path: this.index.name(id), archives, method, xFilesFactor, lastSeen })
    }
    return { series }
  }

  private async findPattern(
    pattern: string,
    request: FindRequest,
    patience: Patience,
  ): Promise<FindMatch[]> {
    const isShown = this.shown(request.from)
    if (pattern.includes(';')) {
      const id = this.index.findText(spelling(pattern))
      if (id === ABSENT || isShown?.(id) === false) return []
      return [{ path: this.index.name(id), isLeaf: true }]
    }
    const { leavesOnly, namesMax } = request
    const matches = await this.walk(pattern, { leavesOnly, isShown, namesMax }, patience)
    const found: FindMatch[] = matches.branches.map((path) => ({ path, isLeaf: false }))
    for (const id of matches.leaves) found.push({ path: this.index.name(id), isLeaf: true })
    return found.sort(byPath)
  }

  /** Ids of the series that a selector means, in the order of their names. */
  private async select(
    selector: Selector,
    seriesMax: number,
    patience: Patience,
  ): Promise<Uint32Array> {
    const ids = await this.selectAny(selector, seriesMax, patience)
    if (ids.length > seriesMax) throw new QueryError('limit', 'too many series: ask for fewer')
    const { names } = this.index
    return ids.filter((id) => names.has(id)).sort((a, b) => names.compare(a, b))
  }

  private async selectAny(
    selector: Selector,
    namesMax: number,
    patience: Patience,
  ): Promise<Uint32Array> {
    if ('tagExpressions' in selector) {
      return findTagged(this.index, selector.tagExpressions, patience)
    }
    const { pattern } = selector
    if (!isGlob(pattern) || pattern.includes(';')) {
      const id = this.index.findText(spelling(pattern))
      return id === ABSENT ? new Uint32Array(0) : Uint32Array.of(id)
    }
    const options = { leavesOnly: true, namesMax, isShown: undefined }
    return Uint32Array.from((await this.walk(pattern, options, patience)).leaves)
  }

  private async walk(
    pattern: string,
    options: Parameters<SeriesIndex['glob']>[1],
    patience: Patience,
  ): Promise<GlobMatches> {
    const glob = compileGlob(pattern)
    if (!glob.ok) throw new QueryError('bad', glob.error)
    try {
      return await inSlices(this.index.glob(glob.value, options), patience)
    } catch (error) {
      if (error instanceof TooManyNames) throw new QueryError('limit', error.message)
      throw error
    }
  }

  /** Hides series whose newest point is older than `from`. */
  private shown(from: number | undefined): ((series: number) => boolean) | undefined {
    if (from === undefined) return undefined
    return (series) => this.engine.lastSeen(series) >= from
  }

  /** The sorted ids that a listing goes through; its first page takes new ones if names have changed. */
  private async sortedIds(isFirstPage: boolean, patience: Patience): Promise<Uint32Array> {
    const { generation } = this.index
    if (!this.listing || (isFirstPage && this.listing.generation !== generation)) {
      this.listing = { generation, ids: await inSlices(this.index.sorted(), patience) }
      this.clock.after(LISTING_KEPT_MS, () => (this.listing = undefined))
    }
    return this.listing.ids
  }

  private mustWrite(): void {
    if (!this.engine.acceptsPoints()) {
      throw new QueryError('unavailable', 'the store does not write now')
    }
  }
}

const LISTING_KEPT_MS = 60_000

/** A name for a new series, in its canonical form. */
function goodPath(path: string): string {
  const canonical = isValidPath(toUtf8(path)) ? canonicalPath(path) : undefined
  if (!canonical) throw new QueryError('bad', `${JSON.stringify(path)} is no name of a series`)
  if (!canonical.ok) throw new QueryError('bad', canonical.error)
  return canonical.value
}

/** The canonical form of what may name a series that is there. */
function spelling(path: string): string {
  const canonical = canonicalPath(path)
  return canonical.ok ? canonical.value : path
}

function isAfter(bytes: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(bytes, other) > 0
}

/** Code point order; a branch before the leaf of the same name. */
function byPath(a: FindMatch, b: FindMatch): number {
  if (a.path === b.path) return Number(a.isLeaf) - Number(b.isLeaf)
  return comparePaths(a.path, b.path)
}

/** Code point order of two different texts: UTF-16 order but for surrogates. */
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
