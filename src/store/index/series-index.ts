/**
 * Which series there are: name → id, id → name, the tree of dotted names for globs, and tags.
 *
 * Names are bytes in their canonical form (metric/path.ts); the index does not check them. Tagged series
 * are no part of the tree: they are found by their whole name or by tag expressions, as in graphite-web.
 * A new series is visible to the next question. Memory: 60 to 90 bytes a series beside the name itself.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import type { NodeGlob } from '../../metric/glob.ts'
import { ByteTable } from './byte-table.ts'
import { GlobWalk, type GlobWalkOptions } from './glob-walk.ts'
import { NodeTree } from './node-tree.ts'
import type { SlicedWork } from '../../lib/slices.ts'
import { nodesOf } from './series-limits.ts'
import { inTextOrder } from './sorted-names.ts'
import { TagIndex } from './tag-index.ts'

const SEMICOLON = 0x3b

/** Nodes of the tree that a slice looks at. */
const SLICE_NODES = 20_000
const SLICE_NAMES = 4_096
/** With branches; what is reserved and not needed takes no memory. */
const NODES_A_SERIES = 1.25

export interface PrefixCount {
  readonly prefix: string
  readonly series: number
}

export interface GlobMatches {
  /** Series ids. */
  readonly leaves: readonly number[]
  /** Dotted names of branches. */
  readonly branches: readonly string[]
}

export class TooManyNames extends Error {
  override readonly name = 'TooManyNames'
}

export class SeriesIndex {
  readonly names: ByteTable
  readonly tree: NodeTree
  readonly tags: TagIndex
  /** Grows with every change. */
  generation: number

  constructor(seed = 0) {
    this.names = new ByteTable(seed)
    this.tree = new NodeTree(seed)
    this.tags = new TagIndex(this.names, seed)
    this.generation = 0
  }

  get size(): number {
    return this.names.size
  }

  get memoryBytes(): number {
    return this.names.memoryBytes + this.tree.memoryBytes + this.tags.memoryBytes
  }

  /** The series of that name, given as it is written in `bytes[start, end)`, or ABSENT. */
  find(bytes: Uint8Array, start = 0, end = bytes.length): number {
    return this.names.find(bytes, start, end)
  }

  findText(name: string): number {
    return this.names.find(toUtf8(name))
  }

  has(id: number): boolean {
    return this.names.has(id)
  }

  name(id: number): string {
    return this.names.text(id)
  }

  /** So many series are going to be added: the columns are made for them, and their branches, at once. */
  reserve(count: number): void {
    this.names.reserve(count)
    this.tree.reserve(Math.ceil(count * NODES_A_SERIES))
  }

  /** The name is `bytes[start, end)`. */
  add(id: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.names.set(id, bytes, start, end)
    if (hasTags(bytes, start, end)) this.tags.add(id, bytes, start, end)
    else this.tree.add(id, bytes, start, end)
    this.generation++
  }

  remove(id: number): void {
    const name = this.names.bytes(id)
    if (hasTags(name, 0, name.length)) this.tags.remove(id, name)
    else this.tree.remove(name)
    this.names.remove(id)
    this.generation++
  }

  rename(id: number, name: Uint8Array): void {
    this.remove(id)
    this.add(id, name)
  }

  /** Everything that a pattern matches; more than `namesMax` throws `TooManyNames`. */
  *glob(
    pattern: readonly NodeGlob[],
    options: GlobWalkOptions & { readonly namesMax: number },
  ): SlicedWork<GlobMatches> {
    const walk = new GlobWalk(this.tree, pattern, options)
    while (!walk.step(SLICE_NODES)) {
      if (walk.found > options.namesMax) break
      yield
    }
    if (walk.found > options.namesMax) {
      throw new TooManyNames(`more than ${options.namesMax} names match`)
    }
    const branches = walk.branches.map((node) => this.tree.path(node))
    return { leaves: walk.leaves, branches }
  }

  /** Ids, all that there are when none are given, in the code point order of their names. */
  sorted(ids?: Iterable<number>): SlicedWork<Uint32Array> {
    return inTextOrder(this.names, ids && Uint32Array.from(ids))
  }

  /** The prefixes of so many nodes that have the most series below them, biggest first. */
  *biggestPrefixes(asked: { nodes: number; limit: number }): SlicedWork<PrefixCount[]> {
    const counts = new Map<string, number>()
    for (let id = 0; id < this.names.idLimit; id++) {
      if (id % SLICE_NAMES === SLICE_NAMES - 1) yield
      if (!this.names.has(id)) continue
      const prefix = nodesOf(this.names.text(id)).split('.', asked.nodes).join('.')
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    }
    const all = [...counts].map(([prefix, series]) => ({ prefix, series }))
    return all.sort((a, b) => b.series - a.series).slice(0, asked.limit)
  }
}

function hasTags(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === SEMICOLON) return true
  return false
}
