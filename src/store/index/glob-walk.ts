/**
 * A glob over the tree of names, in steps: the walk keeps its place on a stack of its own, so that a
 * search over a million names can be done in slices, and be given up.
 *
 * Literal nodes are one look-up in the tree; for wildcards each sibling is tried, and what a wildcard says
 * of a node text is kept, because few texts make many names. `**` stands for any number of nodes: the
 * walk tries "none" and "this one, and more". Results come in no order and without repetitions.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import type { NodeGlob } from '../../metric/glob.ts'
import { ABSENT } from './byte-table.ts'
import { type ByteTest, compileByteWildcards } from './byte-wildcard.ts'
import { type NodeTree, ROOT } from './node-tree.ts'

export interface GlobWalkOptions {
  readonly leavesOnly: boolean
  /** Leaves for which this is false are hidden, and branches with hidden leaves only. */
  readonly isShown?: ((series: number) => boolean) | undefined
}

/** One level of the pattern, made ready for one tree. */
type Level =
  | { readonly kind: 'texts'; readonly texts: readonly number[] }
  | { readonly kind: 'any' }
  | { readonly kind: 'walk' }
  | {
      readonly kind: 'match'
      readonly test: ByteTest
      readonly known: Uint8Array
    }

/** Children that are looked at before the walk may pause. */
const CHILDREN_MAX = 8_192

const UNMARKED = { byteMarks: 0, pairMarks: 0 }

const YES = 1
const NO = 2

export class GlobWalk {
  /** Series that match, and branches (as nodes of the tree). */
  readonly leaves: number[]
  readonly branches: number[]
  private readonly tree: NodeTree
  private readonly glob: readonly NodeGlob[]
  private readonly options: GlobWalkOptions
  /** Three numbers a place: node, level, and the child to go on from (0: the first). */
  private readonly stack: number[]
  /** With more than one `**` a node can be reached at one level in several ways. */
  private readonly seen: Set<number> | undefined
  private levels: readonly Level[]
  private removals: number

  constructor(tree: NodeTree, glob: readonly NodeGlob[], options: GlobWalkOptions) {
    this.tree = tree
    this.glob = glob
    this.options = options
    this.leaves = []
    this.branches = []
    this.stack = []
    const walks = glob.filter((node) => node.kind === 'walk').length
    this.seen = walks > 1 ? new Set() : undefined
    this.levels = []
    this.removals = -1
  }

  /** Looks at about `budget` nodes more; true when the walk is over. Starts again when nodes were removed. */
  step(budget: number): boolean {
    const { stack } = this
    if (this.removals !== this.tree.removals) this.restart()
    let left = budget
    while (stack.length > 0) {
      if (left <= 0) return false
      const from = stack.pop()!
      const level = stack.pop()!
      const node = stack.pop()!
      left -= this.visit(node, level, from)
    }
    return true
  }

  get found(): number {
    return this.leaves.length + this.branches.length
  }

  private restart(): void {
    this.removals = this.tree.removals
    this.levels = this.glob.map((node) => prepare(this.tree, node))
    this.leaves.length = 0
    this.branches.length = 0
    this.seen?.clear()
    this.stack.length = 0
    this.stack.push(ROOT, 0, 0)
  }

  /** Children of `node` against the pattern's level; how many nodes were looked at. */
  private visit(node: number, at: number, from: number): number {
    if (this.seen && from === 0) {
      const place = node * this.levels.length + at
      if (this.seen.has(place)) return 1
      this.seen.add(place)
    }
    const level = this.levels[at]!
    switch (level.kind) {
      case 'texts':
        return this.visitTexts(node, at, level.texts)
      case 'walk':
        return this.visitWalk(node, at, from)
      default:
        return this.visitChildren(node, at, { level, from })
    }
  }

  private visitTexts(node: number, at: number, texts: readonly number[]): number {
    for (const text of texts) {
      const child = this.tree.child(node, text)
      if (child !== ABSENT) this.enter(child, at + 1)
    }
    return texts.length + 1
  }

  private visitChildren(
    node: number,
    at: number,
    { level, from }: { level: Extract<Level, { kind: 'any' | 'match' }>; from: number },
  ): number {
    const { next, text, firstChild, marks } = this.tree
    // What a text lacks of the pattern is seen without looking at its bytes.
    const { byteMarks, pairMarks } = level.kind === 'any' ? UNMARKED : level.test
    let looked = 0
    let child = from === 0 ? firstChild[node]! : from
    for (; child !== 0 && looked < CHILDREN_MAX; child = next[child]!) {
      looked++
      const childText = text[child]!
      if ((marks[2 * childText]! & byteMarks) !== byteMarks) continue
      if ((marks[2 * childText + 1]! & pairMarks) !== pairMarks) continue
      if (level.kind === 'any' || this.matches(level, childText)) this.enter(child, at + 1)
    }
    if (child !== 0) this.stack.push(node, at, child)
    return looked + 1
  }

  /** `**`: none of the nodes, or one node and `**` again. */
  private visitWalk(node: number, at: number, from: number): number {
    const { next, firstChild } = this.tree
    const isLast = at + 1 === this.levels.length
    if (!isLast && from === 0) this.stack.push(node, at + 1, 0)
    let looked = 0
    let child = from === 0 ? firstChild[node]! : from
    for (; child !== 0 && looked < CHILDREN_MAX; child = next[child]!) {
      looked++
      if (isLast) this.take(child)
      if (firstChild[child] !== 0) this.stack.push(child, at, 0)
    }
    if (child !== 0) this.stack.push(node, at, child)
    return looked + 1
  }

  private matches(level: Extract<Level, { kind: 'match' }>, text: number): boolean {
    const known = level.known[text]
    if (known === YES || known === NO) return known === YES
    const fits = this.tree.texts.test(text, level.test.fits)
    level.known[text] = fits ? YES : NO
    return fits
  }

  private enter(node: number, at: number): void {
    if (at === this.levels.length) this.take(node)
    else if (this.tree.firstChild[node] !== 0) this.stack.push(node, at, 0)
  }

  private take(node: number): void {
    const { series, firstChild } = this.tree
    const { isShown, leavesOnly } = this.options
    const leaf = series[node]!
    if (leaf !== 0 && (!isShown || isShown(leaf - 1))) this.leaves.push(leaf - 1)
    if (leavesOnly || firstChild[node] === 0) return
    if (!isShown || this.hasShown(node, isShown)) this.branches.push(node)
  }

  /** Depth first, up to the first leaf that is shown. */
  private hasShown(branch: number, isShown: (series: number) => boolean): boolean {
    const { series, firstChild, next } = this.tree
    const open = [firstChild[branch]!]
    while (open.length > 0) {
      const node = open.pop()!
      if (next[node] !== 0) open.push(next[node]!)
      if (series[node] !== 0 && isShown(series[node]! - 1)) return true
      if (firstChild[node] !== 0) open.push(firstChild[node]!)
    }
    return false
  }
}

function prepare(tree: NodeTree, glob: NodeGlob): Level {
  switch (glob.kind) {
    case 'literal':
      return { kind: 'texts', texts: textIds(tree, [glob.text]) }
    case 'oneOf':
      return { kind: 'texts', texts: textIds(tree, glob.texts) }
    case 'match':
      return {
        kind: 'match',
        test: compileByteWildcards(glob.wildcards),
        known: new Uint8Array(tree.texts.idLimit),
      }
    default:
      return glob
  }
}

/** The texts that any node has. */
function textIds(tree: NodeTree, texts: Iterable<string>): number[] {
  const ids: number[] = []
  for (const text of texts) {
    const id = tree.texts.find(toUtf8(text))
    if (id !== ABSENT) ids.push(id)
  }
  return ids
}
