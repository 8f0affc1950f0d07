/**
 * /metrics/find's answers (graphite-web metrics/views.py). Matches come sorted by their last node.
 *
 * One departure: a name that is both a series and a branch is listed as both; graphite-web shows one of them.
 */

import type { FindMatch } from '../ipc/store-protocol.ts'

export interface NamedMatch extends FindMatch {
  /** The last node. */
  readonly name: string
}

export function byName(matches: readonly FindMatch[]): NamedMatch[] {
  return matches
    .map((match) => ({ ...match, name: match.path.slice(lastDot(match.path) + 1) }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

interface TreeNode {
  readonly text: string
  readonly id: string
  readonly allowChildren: 0 | 1
  readonly expandable: 0 | 1
  readonly leaf: 0 | 1
}

/** Branches before leaves; ids keep the globs of the query, as the tree that asks opens them level by level. */
export function treeJson(
  matches: readonly NamedMatch[],
  query: { pattern: string; wildcards: boolean },
): TreeNode[] {
  const base = query.pattern.slice(0, lastDot(query.pattern) + 1)
  const branches = new Map<string, TreeNode>()
  const leaves = new Map<string, TreeNode>()
  for (const { name, isLeaf } of matches) {
    const node = treeNode(unquotePlus(name), base + name, isLeaf)
    const nodes = isLeaf ? leaves : branches
    if (!nodes.has(name)) nodes.set(name, node)
  }
  const nodes = [...branches.values(), ...leaves.values()]
  if (query.wildcards && matches.length > 1) {
    nodes.unshift(treeNode('*', `${base}*`, branches.size === 0))
  }
  return nodes
}

function treeNode(text: string, id: string, isLeaf: boolean): TreeNode {
  const branch = isLeaf ? 0 : 1
  return { text, id, allowChildren: branch, expandable: branch, leaf: isLeaf ? 1 : 0 }
}

export function completer(
  matches: readonly NamedMatch[],
  wildcards: boolean,
): { metrics: Record<string, string>[] } {
  const metrics: Record<string, string>[] = matches.map(({ path, name, isLeaf }) => ({
    path: isLeaf ? path : `${path}.`,
    name,
    is_leaf: isLeaf ? '1' : '0',
  }))
  if (wildcards && metrics.length > 1) metrics.push({ name: '*' })
  return { metrics }
}

/** What the completer's query becomes: `a..b` → `a*.b*`; a node `a,b` may stand for `{a,b}`. */
export function completerPattern(query: string, automaticVariants: boolean): string {
  const dotted = query.replaceAll('..', '*.')
  const pattern = dotted.endsWith('*') ? dotted : `${dotted}*`
  if (!automaticVariants) return pattern
  return pattern
    .split('.')
    .map((node) => (node.includes(',') && !node.includes('{') ? `{${node}}` : node))
    .join('.')
}

/** The distinct nodes at `position` (negative: from the end), sorted. */
export function nodeList(matches: readonly NamedMatch[], position: number): { nodes: string[] } {
  const nodes = new Set<string>()
  for (const { path } of matches) {
    const node = path.split('.').at(position)
    if (node !== undefined) nodes.add(node)
  }
  return { nodes: [...nodes].sort() }
}

function lastDot(path: string): number {
  return path.lastIndexOf('.')
}

function unquotePlus(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
