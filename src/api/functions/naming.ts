/**
 * Names and keys that functions make of series (graphite-web formatPathExpressions, aggKey, getNodeOrTag).
 */

import { pythonFloat } from '../python-format.ts'
import { firstPath } from '../target-parser.ts'
import type { RenderSeries, Tags } from '../render-series.ts'
import { showValue, type Value } from './arguments.ts'

/** The distinct path expressions, in order: what an aggregate is called after. */
export function joinPathExpressions(list: readonly RenderSeries[]): string {
  const distinct = new Set<string>()
  for (const { pathExpression } of list) distinct.add(pathExpression)
  return [...distinct].join(',')
}

/** Tags with the same value in all series. */
export function commonTags(list: readonly RenderSeries[]): Map<string, string> {
  const common = new Map(list[0]?.tags)
  for (let i = 1; i < list.length && common.size > 0; i++) {
    const { tags } = list[i]!
    for (const [key, value] of common) if (tags.get(key) !== value) common.delete(key)
  }
  return common
}

/** Nodes of the series' path and values of its tags, joined by dots; what is not there is empty. */
export function nodeKey(series: RenderSeries, nodes: readonly Value[]): string {
  const { name } = series
  const path = (name.endsWith(')') ? firstPath(name) : undefined) ?? name
  const parts = path.split(';', 1)[0]!.split('.')
  return nodes.map((node) => nodeOrTag(parts, series.tags, node)).join('.')
}

function nodeOrTag(parts: readonly string[], tags: Tags, node: Value): string {
  if (node.kind === 'number') {
    const found = parts.at(node.value)
    if (found !== undefined) return found
  }
  return tags.get(showValue(node)) ?? ''
}

/** Series by key, keys in order of first appearance. */
export function groupBy(
  list: readonly RenderSeries[],
  keyOf: (series: RenderSeries) => string,
): Map<string, RenderSeries[]> {
  const groups = new Map<string, RenderSeries[]>()
  for (let i = 0; i < list.length; i++) {
    const series = list[i]!
    const key = keyOf(series)
    const group = groups.get(key)
    if (group) group.push(series)
    else groups.set(key, [series])
  }
  return groups
}

/** A number as carbonapi's names show it: without a fraction where there is none. */
export function shortNumber(value: number): string {
  return pythonFloat(value).replace(/\.0$/, '')
}
