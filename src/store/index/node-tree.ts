/**
 * The tree of dotted names, in columns: no object per node.
 *
 * ```
 * node n: parent[n], text[n] ──▶ texts (each node text once), firstChild[n], next[n] ⇄ previous[n]
 *         (siblings), series[n] (its series id + 1, 0 when it is only a branch)
 * slots[hash(parent, text) & mask] = n          finds a child by its text
 * ```
 *
 * Node 0 is the root and has no text. A node lives as long as it is a series or has children; freed nodes
 * and texts are used again. About 24 bytes a node, 6 to 12 for its slot, and its text once with 12 more.
 */

import { assert } from '../../lib/assert.ts'
import { ABSENT, ByteTable, grownUint32, hashPair } from './byte-table.ts'
import { markText } from './text-marks.ts'

export const ROOT = 0
const DOT = 0x2e

/** The name that was added last, with its nodes: the next one mostly has the same branches. */
class LastName {
  /** By depth: the node, and where its text ends in the name, counted from its start. */
  readonly nodes: number[] = []
  readonly ends: number[] = []
  private depth = 0
  private readonly bytes = new Uint8Array(1024)

  /** Its nodes are those up to `depth`. */
  set(name: Uint8Array, start: number, end: number, depth: number): void {
    const { bytes } = this
    const length = end - start
    this.depth = length <= bytes.length ? depth : 0
    for (let i = 0; this.depth > 0 && i < length; i++) bytes[i] = name[start + i]!
  }

  forget(): void {
    this.depth = 0
  }

  /** How many branches another name has in common with it. */
  sharedDepth(name: Uint8Array, start: number, end: number): number {
    const { bytes, ends } = this
    let at = 0
    for (let depth = 0; depth < this.depth; depth++) {
      const nodeEnd = ends[depth]!
      if (start + nodeEnd >= end || name[start + nodeEnd] !== DOT) return depth
      while (at < nodeEnd && bytes[at] === name[start + at]) at++
      if (at < nodeEnd) return depth
      at = nodeEnd + 1
    }
    return this.depth
  }
}

export class NodeTree {
  readonly texts: ByteTable
  /** By text: the two words of text-marks.ts. */
  marks: Int32Array
  parent: Uint32Array
  text: Uint32Array
  firstChild: Uint32Array
  next: Uint32Array
  previous: Uint32Array
  series: Uint32Array
  /** Nodes that are there, without the root. */
  size: number
  /** Grows with every node that goes, so that a walk notices that its place may be gone. */
  removals: number
  private readonly last = new LastName()
  private textUses: Uint32Array
  private textsFree: number[]
  private slots: Uint32Array
  private nodeLimit: number
  private firstFree: number

  constructor(seed = 0) {
    this.texts = new ByteTable(seed)
    const capacity = 64
    this.parent = new Uint32Array(capacity)
    this.text = new Uint32Array(capacity)
    this.firstChild = new Uint32Array(capacity)
    this.next = new Uint32Array(capacity)
    this.previous = new Uint32Array(capacity)
    this.series = new Uint32Array(capacity)
    this.size = 0
    this.removals = 0
    this.textUses = new Uint32Array(capacity)
    this.marks = new Int32Array(2 * capacity)
    this.textsFree = []
    this.slots = new Uint32Array(128)
    this.nodeLimit = 1
    this.firstFree = 0
  }

  /** Makes room for so many nodes. */
  reserve(nodes: number): void {
    if (nodes > this.parent.length) this.growNodes(nodes)
    let capacity = this.slots.length
    while (nodes * 3 > capacity * 2) capacity *= 2
    if (capacity > this.slots.length) this.rehash(capacity)
  }

  /** Makes the node of the dotted name `bytes[start, end)` the series `id`; it is not one yet. */
  add(id: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    const { last } = this
    let depth = last.sharedDepth(bytes, start, end)
    let node = depth === 0 ? ROOT : last.nodes[depth - 1]!
    let from = depth === 0 ? start : start + last.ends[depth - 1]! + 1
    for (let at = from; at <= end; at++) {
      if (at < end && bytes[at] !== DOT) continue
      node = this.childOrNew(node, bytes, from, at)
      last.ends[depth] = at - start
      last.nodes[depth++] = node
      from = at + 1
    }
    last.set(bytes, start, end, depth)
    if (this.series[node] !== 0)
      assert(false, `series ${id} has the name of ${this.series[node]! - 1}`)
    this.series[node] = id + 1
  }

  /** Forgets the series of that name, and the branches that only led to it. */
  remove(name: Uint8Array): void {
    let node = this.find(name)
    assert(node !== ABSENT && this.series[node] !== 0, 'remove() of a name that is no series')
    this.series[node] = 0
    while (node !== ROOT && this.series[node] === 0 && this.firstChild[node] === 0) {
      const parent = this.parent[node]!
      this.free(node)
      node = parent
    }
  }

  /** The node of a dotted name, or ABSENT. */
  find(name: Uint8Array): number {
    let node = ROOT
    let start = 0
    for (let at = 0; at <= name.length; at++) {
      if (at < name.length && name[at] !== DOT) continue
      const text = this.texts.find(name, start, at)
      node = text === ABSENT ? ABSENT : this.child(node, text)
      if (node === ABSENT) return ABSENT
      start = at + 1
    }
    return node
  }

  /** The child of `parent` that has this text, or ABSENT. */
  child(parent: number, text: number): number {
    return this.slots[this.slotOf(parent, text)]! || ABSENT
  }

  /** The dotted name that leads to `node`. */
  path(node: number): string {
    let path = this.texts.text(this.text[node]!)
    for (let at = this.parent[node]!; at !== ROOT; at = this.parent[at]!) {
      path = `${this.texts.text(this.text[at]!)}.${path}`
    }
    return path
  }

  get memoryBytes(): number {
    const texts = this.texts.memoryBytes + this.textUses.length * 12
    return texts + this.parent.length * 24 + this.slots.length * 4
  }

  private childOrNew(parent: number, name: Uint8Array, start: number, end: number): number {
    let text = this.texts.find(name, start, end)
    if (text === ABSENT) text = this.newText(name, start, end)
    if ((this.size + 1) * 3 > this.slots.length * 2) this.rehash(this.slots.length * 2)
    const slot = this.slotOf(parent, text)
    return this.slots[slot]! || this.newNode(parent, text, slot)
  }

  /** Where the child of `parent` that has this text is, or would be. */
  private slotOf(parent: number, text: number): number {
    const { slots } = this
    const mask = slots.length - 1
    let at = hashPair(parent, text) & mask
    for (let node = slots[at]!; node !== 0; node = slots[at]!) {
      if (this.parent[node] === parent && this.text[node] === text) break
      at = (at + 1) & mask
    }
    return at
  }

  private newText(name: Uint8Array, start: number, end: number): number {
    const text = this.textsFree.pop() ?? this.texts.idLimit
    this.texts.set(text, name, start, end)
    if (text >= this.textUses.length) {
      const capacity = Math.ceil(this.textUses.length * 1.5)
      this.textUses = grownUint32(this.textUses, capacity)
      const marks = new Int32Array(2 * capacity)
      marks.set(this.marks)
      this.marks = marks
    }
    this.textUses[text] = 0
    markText(this.marks, 2 * text, name, start, end)
    return text
  }

  private newNode(parent: number, text: number, slot: number): number {
    let node = this.firstFree
    if (node !== 0) this.firstFree = this.next[node]!
    else {
      node = this.nodeLimit++
      if (node >= this.parent.length) this.growNodes(Math.ceil(node * 1.5))
    }
    const sibling = this.firstChild[parent]!
    this.parent[node] = parent
    this.text[node] = text
    this.firstChild[node] = 0
    this.next[node] = sibling
    this.previous[node] = 0
    this.series[node] = 0
    if (sibling !== 0) this.previous[sibling] = node
    this.firstChild[parent] = node
    this.textUses[text] = this.textUses[text]! + 1
    this.size++
    this.slots[slot] = node
    return node
  }

  private free(node: number): void {
    this.last.forget()
    this.removeSlot(node)
    const next = this.next[node]!
    const previous = this.previous[node]!
    if (previous === 0) this.firstChild[this.parent[node]!] = next
    else this.next[previous] = next
    if (next !== 0) this.previous[next] = previous
    const text = this.text[node]!
    const uses = this.textUses[text]! - 1
    this.textUses[text] = uses
    if (uses === 0) {
      this.texts.remove(text)
      this.textsFree.push(text)
    }
    this.next[node] = this.firstFree
    this.firstFree = node
    this.removals++
    this.size--
  }

  private insertSlot(node: number): void {
    const mask = this.slots.length - 1
    let at = hashPair(this.parent[node]!, this.text[node]!) & mask
    while (this.slots[at] !== 0) at = (at + 1) & mask
    this.slots[at] = node
  }

  /** As ByteTable's: backward-shift removal. */
  private removeSlot(node: number): void {
    const { slots, parent, text } = this
    const mask = slots.length - 1
    let hole = hashPair(parent[node]!, text[node]!) & mask
    while (slots[hole] !== node) hole = (hole + 1) & mask
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = hashPair(parent[slots[at]!]!, text[slots[at]!]!) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      slots[hole] = slots[at]!
      hole = at
    }
    slots[hole] = 0
  }

  private rehash(capacity: number): void {
    const old = this.slots
    this.slots = new Uint32Array(capacity)
    for (let i = 0; i < old.length; i++) if (old[i] !== 0) this.insertSlot(old[i]!)
  }

  private growNodes(capacity: number): void {
    this.parent = grownUint32(this.parent, capacity)
    this.text = grownUint32(this.text, capacity)
    this.firstChild = grownUint32(this.firstChild, capacity)
    this.next = grownUint32(this.next, capacity)
    this.previous = grownUint32(this.previous, capacity)
    this.series = grownUint32(this.series, capacity)
  }
}
