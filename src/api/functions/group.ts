/**
 * Functions that put series into groups by nodes or tags, and combine each group.
 */

import { RenderError, type RenderSeries, tagsOfName } from '../render-series.ts'
import { AGGREGATION_NAMES, findAggregation } from './aggregation.ts'
import { combineGroup } from './aggregate-series.ts'
import type { Value } from './arguments.ts'
import type { FunctionCall, RenderFunction } from './function.ts'
import { optional, type Param, required, SERIES_LIST } from './param.ts'
import { groupBy, nodeKey } from './naming.ts'
import { TARGET_BYTES_MAX } from '../target-parser.ts'

/** Functions of graphite-web that may be callbacks, beside the aggregations. */
const CALLBACK_FUNCTIONS = [
  'asPercent',
  'averageSeries',
  'averageSeriesWithWildcards',
  'avg',
  'countSeries',
  'diffSeries',
  'diffSeriesLists',
  'maxSeries',
  'minSeries',
  'multiplySeries',
  'multiplySeriesLists',
  'multiplySeriesWithWildcards',
  'pct',
  'powSeries',
  'rangeOfSeries',
  'stddevSeries',
  'sum',
  'sumSeries',
  'sumSeriesLists',
  'sumSeriesWithWildcards',
]

const CALLBACK_OPTIONS = [...new Set([...AGGREGATION_NAMES, ...CALLBACK_FUNCTIONS])].sort()

function callbackParam(extras: Pick<Param, 'required' | 'default'>): Param {
  return { name: 'callback', type: 'aggOrSeriesFunc', ...extras, options: CALLBACK_OPTIONS }
}

function callbackOf(call: FunctionCall, position: number): string {
  const callback = call.args.text(position, 'average')
  if (!call.isAggregator(callback) && !findAggregation(callback)) {
    throw new RenderError(`unknown callback ${JSON.stringify(callback)}`)
  }
  return callback
}

async function combineByNodes(
  call: FunctionCall,
  callback: string,
  nodes: readonly Value[],
): Promise<RenderSeries[]> {
  const groups = groupBy(call.args.series(0), (series) => nodeKey(series, nodes))
  const result: RenderSeries[] = []
  for (const [name, list] of groups) {
    const combined = await combineGroup(call, callback, list)
    if (combined) result.push({ ...combined, name })
  }
  return result
}

const groupByNode: RenderFunction = {
  name: 'groupByNode',
  group: 'Combine',
  description:
    'Combines the series that have the same node at `nodeNum`, and names the result after it.',
  params: [SERIES_LIST, required('nodeOrTag', 'nodeNum'), callbackParam({ default: 'average' })],
  run: (call) => combineByNodes(call, callbackOf(call, 2), [call.args.at(1)]),
}

const groupByNodes: RenderFunction = {
  name: 'groupByNodes',
  group: 'Combine',
  description:
    'Combines the series that have the same nodes and tags, and names the results after them.',
  params: [
    SERIES_LIST,
    callbackParam({ required: true }),
    optional('nodeOrTag', 'nodes', { multiple: true }),
  ],
  run: (call) => combineByNodes(call, callbackOf(call, 1), call.args.valuesFrom(2)),
}

const groupByTags: RenderFunction = {
  name: 'groupByTags',
  group: 'Combine',
  description:
    'Combines the series that have the same values of the given tags; the result carries those tags.',
  params: [
    SERIES_LIST,
    callbackParam({ required: true }),
    required('tag', 'tags', { multiple: true }),
  ],
  async run(call) {
    const list = call.args.series(0)
    const callback = callbackOf(call, 1)
    const tags = call.args.textsFrom(2)
    const names = new Set(list.map((series) => series.tags.get('name') ?? ''))
    const [commonName = ''] = names
    const name = names.size === 1 ? commonName : callback
    const others = tags.filter((tag) => tag !== 'name')
    const groups = groupBy(list, (series) => {
      const first = tags.includes('name') ? (series.tags.get('name') ?? '') : name
      const pairs = others.map((tag) => `${tag}=${series.tags.get(tag) ?? ''}`).sort()
      return [first, ...pairs].join(';')
    })
    const result: RenderSeries[] = []
    for (const [key, group] of groups) {
      const combined = await combineGroup(call, callback, group)
      if (combined)
        result.push({ ...combined, name: key, pathExpression: key, tags: tagsOfName(key) })
    }
    return result
  },
}

const mapSeries: RenderFunction = {
  name: 'mapSeries',
  aliases: ['map'],
  group: 'Combine',
  description: 'Sorts the series into lists by the given nodes, for reduceSeries().',
  params: [SERIES_LIST, required('nodeOrTag', 'mapNodes', { multiple: true })],
  run: (call) => mapped(call).flat(),
  makesLists: mapped,
}

function mapped(call: FunctionCall): RenderSeries[][] {
  const nodes = call.args.valuesFrom(1)
  return [...groupBy(call.args.series(0), (series) => nodeKey(series, nodes)).values()]
}

const reduceSeries: RenderFunction = {
  name: 'reduceSeries',
  aliases: ['reduce'],
  group: 'Combine',
  description:
    'Calls `reduceFunction` for the series of each list from mapSeries() whose node at `reduceNode` is one ' +
    'of `reduceMatchers`, in the order of those.',
  params: [
    required('seriesLists', 'seriesLists'),
    required('string', 'reduceFunction'),
    required('node', 'reduceNode'),
    required('string', 'reduceMatchers', { multiple: true }),
  ],
  async run(call) {
    const func = call.args.text(1)
    const node = call.args.number(2)
    const matchers = call.args.textsFrom(3)
    const groups = new Map<string, (RenderSeries | undefined)[]>()
    for (const series of call.args.lists(0).flat()) {
      const nodes = series.name.split('.')
      const matcher = matchers.indexOf(nodes.at(node) ?? '')
      if (matcher < 0) continue
      const key = `${nodes.slice(0, node).join('.')}.reduce.${func}`
      const group = groups.get(key) ?? matchers.map(() => undefined)
      group[matcher] = series
      groups.set(key, group)
    }
    const result: RenderSeries[] = []
    for (const [name, group] of groups) {
      const lists = group.map((series) => (series ? [series] : []))
      const [reduced] = await call.apply(func, lists)
      if (reduced) result.push({ ...reduced, name })
    }
    return result
  },
}

const applyByNode: RenderFunction = {
  name: 'applyByNode',
  group: 'Combine',
  description:
    'Evaluates `templateFunction` for each different beginning of the names, up to the node `nodeNum`; % ' +
    'in it stands for that beginning.',
  params: [
    SERIES_LIST,
    required('node', 'nodeNum'),
    required('string', 'templateFunction'),
    optional('string', 'newName'),
  ],
  async run(call) {
    const { args } = call
    const list = args.series(0)
    const last = list.at(-1)
    if (!last) return []
    const node = args.number(1)
    const prefixes = new Set(
      list.map(({ name }) =>
        name
          .split('.')
          .slice(0, node + 1)
          .join('.'),
      ),
    )
    const longest = list.reduce((length, { name }) => Math.max(length, name.length), 0)
    const places = args.text(2).split('%').length - 1
    if (places * longest > TARGET_BYTES_MAX) {
      throw new RenderError(
        `applyByNode(): targets of over ${TARGET_BYTES_MAX} bytes would be made`,
      )
    }
    const results = await Promise.all(
      [...prefixes].sort().map(async (prefix) => {
        const found = await call.evaluate(args.text(2).replaceAll('%', () => prefix))
        return found.map((series) => ({
          ...series,
          name: args.has(3) ? args.text(3).replaceAll('%', () => prefix) : series.name,
          pathExpression: prefix,
          start: last.start,
          end: last.end,
        }))
      }),
    )
    return results.flat()
  },
}

export const GROUP_FUNCTIONS: readonly RenderFunction[] = [
  groupByNode,
  groupByNodes,
  groupByTags,
  mapSeries,
  reduceSeries,
  applyByNode,
]
