/**
 * From patterns and tag expressions to series: globs over the index, with a Whisper tree under it, in slices; too many
 * names, or a bad pattern, is a `QueryError`.
 */

import type { FindMatch, FindRequest, Selector } from '../../ipc/store-protocol.ts'
import { inSlices, type Patience, type SlicedWork } from '../../lib/slices.ts'
import { compileGlob, isGlob, type NodeGlob } from '../../metric/glob.ts'
import { canonicalPath } from '../../metric/path.ts'
import type { Engine } from '../engine.ts'
import { ABSENT } from '../index/byte-table.ts'
import { type GlobMatches, type SeriesIndex, TooManyNames } from '../index/series-index.ts'
import { QueryError } from '../query-error.ts'
import type { TreeMatches, WhisperTree } from '../whisper/whisper-tree.ts'
import { comparePaths } from './name-listing.ts'
import { findTagged } from './tag-queries.ts'

/** Names between two looks at the clock. */
const SLICE = 1_024

export interface NameSearchParts {
  readonly index: SeriesIndex
  readonly engine: Engine
  /** Shows under the store's own series. */
  readonly tree?: WhisperTree | undefined
}

export class NameSearch {
  private readonly index: SeriesIndex
  private readonly engine: Engine
  private readonly tree: WhisperTree | undefined

  constructor({ index, engine, tree }: NameSearchParts) {
    this.index = index
    this.engine = engine
    this.tree = tree
  }

  /** What a pattern matches, in the order of the names. */
  async find(pattern: string, request: FindRequest, patience: Patience): Promise<FindMatch[]> {
    const { tree } = this
    const { leavesOnly, namesMax, from } = request
    const isShown = this.shown(from)
    if (pattern.includes(';')) return this.findTagged(pattern, from)
    const matches = await this.walk(pattern, { leavesOnly, isShown, namesMax }, patience)
    const ids = await inSlices(this.index.sorted(matches.leaves), patience)
    let leaves = await inSlices(namesOf(this.index, ids), patience)
    let branches = matches.branches.toSorted(comparePaths)
    if (tree) {
      const below = await this.walkTree(tree, pattern, { leavesOnly, namesMax }, patience)
      const isFresh = (path: string): boolean =>
        from === undefined || tree.lastWritten(path) >= from
      leaves = withAlso(leaves, below.leaves.filter(isFresh))
      branches = withAlso(branches, below.branches)
    }
    const found = await inSlices(inOneOrder(leaves, branches), patience)
    if (found.length > namesMax) throw new QueryError('limit', `more than ${namesMax} names match`)
    return found
  }

  private findTagged(pattern: string, from = 0): FindMatch[] {
    const path = spelling(pattern)
    const id = this.index.findText(path)
    const ownSeen = id === ABSENT ? -1 : this.engine.lastSeen(id)
    // What is not there was last written in 1970.
    const seen = Math.max(ownSeen, this.tree?.lastWritten(path) || -1)
    return seen >= from ? [{ path, isLeaf: true }] : []
  }

  /** Ids of the series that a selector means: rising, or in the order of their names. */
  async select(
    selector: Selector,
    { seriesMax, byName }: { seriesMax: number; byName: boolean },
    patience: Patience,
  ): Promise<Uint32Array> {
    const ids = await this.selectAny(selector, seriesMax, patience)
    if (ids.length > seriesMax) throw new QueryError('limit', 'too many series: ask for fewer')
    return byName ? await inSlices(this.index.sorted(ids), patience) : ids.sort()
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
    try {
      return await inSlices(this.index.glob(compiled(pattern), options), patience)
    } catch (error) {
      if (error instanceof TooManyNames) throw new QueryError('limit', error.message)
      throw error
    }
  }

  /** What a pattern, or the whole name of a tagged series, matches in the tree. */
  async walkTree(
    tree: WhisperTree,
    pattern: string,
    options: Parameters<WhisperTree['glob']>[1],
    patience: Patience,
  ): Promise<TreeMatches> {
    if (pattern.includes(';')) {
      const name = spelling(pattern)
      return { leaves: tree.lastWritten(name) > 0 ? [name] : [], branches: [] }
    }
    return await inSlices(tree.glob(compiled(pattern), options), patience)
  }

  /** Hides series whose newest point is older than `from`. */
  private shown(from: number | undefined): ((series: number) => boolean) | undefined {
    if (from === undefined) return undefined
    return (series) => this.engine.lastSeen(series) >= from
  }
}

function compiled(pattern: string): NodeGlob[] {
  const glob = compileGlob(pattern)
  if (!glob.ok) throw new QueryError('bad', glob.error)
  return glob.value
}

/** The canonical form of what may name a series that is there. */
export function spelling(path: string): string {
  const canonical = canonicalPath(path)
  return canonical.ok ? canonical.value : path
}

/** Both, sorted, each once. */
function withAlso(paths: readonly string[], more: readonly string[]): string[] {
  return [...new Set([...paths, ...more])].sort(comparePaths)
}

function* namesOf(index: SeriesIndex, ids: Uint32Array): SlicedWork<string[]> {
  const names: string[] = []
  for (const id of ids) {
    if (names.length % SLICE === SLICE - 1) yield
    names.push(index.name(id))
  }
  return names
}

/** Two sorted lists as one; a branch before the leaf of the same name. */
function* inOneOrder(
  leaves: readonly string[],
  branches: readonly string[],
): SlicedWork<FindMatch[]> {
  const found: FindMatch[] = []
  let branch = 0
  for (const path of leaves) {
    if (found.length % SLICE === SLICE - 1) yield
    while (branch < branches.length && comparePaths(branches[branch]!, path) <= 0) {
      found.push({ path: branches[branch++]!, isLeaf: false })
    }
    found.push({ path, isLeaf: true })
  }
  while (branch < branches.length) found.push({ path: branches[branch++]!, isLeaf: false })
  return found
}
