/**
 * carbonapi's functions that graphite-web does not have: choosing and combining series, and other names for
 * graphite-web's own.
 */

import { RenderError, renameSeries, type RenderSeries } from '../render-series.ts'
import { isKnown, max } from './aggregation.ts'
import { aggregateSeries } from './aggregate-series.ts'
import { ALIAS_FUNCTIONS } from './alias.ts'
import { alignRows, wholeColumns } from './alignment.ts'
import { COMBINE_FUNCTIONS, powerOrNothing } from './combine.ts'
import { ranked } from './filter.ts'
import type { RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST, SERIES_LISTS } from './param.ts'
import { shortNumber } from './naming.ts'
import { compileReplacement } from './pattern-arguments.ts'
import { sortedByName } from './sort.ts'
import { TRANSFORM_FUNCTIONS } from './transform.ts'

// ── other names ─────────────────────────────────────────────────────────────────────────────────────

/** An aggregation under its bare name: `median(a.*)`, called `medianSeries(a.*)`. */
function bare(name: string): RenderFunction {
  const func = name.endsWith('Series') ? name.slice(0, -6) : name
  return {
    name,
    origin: 'carbonapi',
    group: 'Combine',
    description: `The aggregation \`${func}\` of all series at each time.`,
    params: [SERIES_LISTS],
    aggregator: true,
    async run(call) {
      const series = await aggregateSeries(call, call.args.seriesFrom(0), func)
      return series ? [series] : []
    },
  }
}

const BARE = [
  'average',
  'avgSeries',
  'avg_zero',
  'avg_zeroSeries',
  'current',
  'currentSeries',
  'first',
  'firstSeries',
  'last',
  'lastSeries',
  'median',
  'medianSeries',
  'range',
  'rangeOf',
  'rangeSeries',
  'total',
  'totalSeries',
]

const GRAPHITE_FUNCTIONS = [...COMBINE_FUNCTIONS, ...ALIAS_FUNCTIONS, ...TRANSFORM_FUNCTIONS]

/** The same function under carbonapi's name. */
function renamed(name: string, original: string): RenderFunction {
  const found = GRAPHITE_FUNCTIONS.find((each) => each.name === original)
  if (!found) throw new TypeError(`no function ${original}`)
  const { signature: _, aliases: __, ...definition } = found
  return { ...definition, name, origin: 'carbonapi' }
}

const RENAMED = [
  renamed('count', 'countSeries'),
  renamed('diff', 'diffSeries'),
  renamed('max', 'maxSeries'),
  renamed('min', 'minSeries'),
  renamed('multiply', 'multiplySeries'),
  renamed('stddev', 'stddevSeries'),
  renamed('isNotNull', 'isNonNull'),
  renamed('logarithm', 'log'),
  renamed('toLowerCase', 'lower'),
  renamed('toUpperCase', 'upper'),
]

// ── choosing ────────────────────────────────────────────────────────────────────────────────────────

/** One more of graphite-web's family. */
function alsoRanked(...parts: Parameters<typeof ranked>): RenderFunction {
  return { ...ranked(...parts), origin: 'carbonapi' }
}

const removeZeroSeries: RenderFunction = {
  name: 'removeZeroSeries',
  origin: 'carbonapi',
  group: 'Filter Series',
  description:
    'Leaves out series in which the share of values other than 0 is nothing, or below `xFilesFactor`.',
  params: [SERIES_LIST, optional('float', 'xFilesFactor')],
  run({ args }) {
    const needed = args.number(1, 0)
    return args.series(0).filter(({ values }) => {
      let found = 0
      for (let i = 0; i < values.length; i++) if (isKnown(values[i]!) && values[i] !== 0) found++
      return found > 0 && found / values.length >= needed
    })
  },
}

const aboveSeries: RenderFunction = {
  name: 'aboveSeries',
  origin: 'carbonapi',
  group: 'Filter Series',
  description:
    'The series whose largest value is above `value`, renamed by `search` and `replace` when those are given.',
  params: [
    SERIES_LIST,
    required('float', 'value'),
    optional('string', 'search'),
    optional('string', 'replace'),
  ],
  run({ args }) {
    const limit = args.number(1)
    const above = args.series(0).filter(({ values }) => max(values, 0, values.length) > limit)
    if (!args.has(2) || !args.has(3)) return above
    const replace = compileReplacement(args.text(2), args.text(3))
    return above.map((series) => ({ ...series, name: replace(series.name) }))
  },
}

const JOINS = ['AND', 'OR', 'XOR', 'SUB']

const join: RenderFunction = {
  name: 'join',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'Sets of series by name: those in both lists (`AND`), in any (`OR`), in only one (`XOR`), or in the ' +
    'first alone (`SUB`).',
  params: [
    required('seriesList', 'seriesA'),
    required('seriesList', 'seriesB'),
    optional('string', 'type', { default: 'and', options: JOINS, open: true }),
  ],
  signature: 'join(seriesA, seriesB)',
  run({ args }) {
    const [a, b] = [args.series(0), args.series(1)]
    const [inA, inB] = [a, b].map((list) => new Set(list.map(({ name }) => name)))
    switch (args.text(2, 'AND').toUpperCase()) {
      case 'AND':
        return a.filter(({ name }) => inB!.has(name))
      case 'OR':
        return [...a, ...b.filter(({ name }) => !inA!.has(name))]
      case 'XOR':
        return [
          ...a.filter(({ name }) => !inB!.has(name)),
          ...b.filter(({ name }) => !inA!.has(name)),
        ]
      case 'SUB':
        return a.filter(({ name }) => !inB!.has(name))
      default:
        throw new RenderError(`join(): type must be one of ${JOINS.join(', ')}`)
    }
  },
}

// ── combining ───────────────────────────────────────────────────────────────────────────────────────

const COUNTED_VALUES_MAX = 32

const countValues: RenderFunction = {
  name: 'countValues',
  origin: 'carbonapi',
  group: 'Combine',
  description:
    'A line for each whole number among the values: how many series have it at each time. More than ' +
    '`valuesLimit` numbers are an error line.',
  params: [
    required('seriesList', 'seriesList'),
    optional('integer', 'valuesLimit', { default: COUNTED_VALUES_MAX }),
  ],
  signature: 'countValues(*seriesLists)',
  run({ args }) {
    const list = args.series(0)
    const [first] = list
    const limit = args.number(1, COUNTED_VALUES_MAX)
    const rows = alignRows(list)
    if (!first || !rows) return []
    const { start, step, end } = rows
    const counts = new Map<number, Float64Array>()
    for (const column of wholeColumns(rows)) {
      for (let i = 0; i < rows.count; i++) {
        const number = Math.trunc(column[i]!)
        if (!isKnown(number)) continue
        let line = counts.get(number)
        if (!line) {
          if (counts.size >= limit) {
            const name = 'error.too.many.values.limit.reached'
            return [
              renameSeries(first, name, { start, step, end, values: new Float64Array(rows.count) }),
            ]
          }
          line = new Float64Array(rows.count)
          counts.set(number, line)
        }
        line[i]!++
      }
    }
    return [...counts]
      .sort(([a], [b]) => a - b)
      .map(([number, values]) => renameSeries(first, String(number), { start, step, end, values }))
  },
}

const heatMap: RenderFunction = {
  name: 'heatMap',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'What each series has more than the next smaller one, by the sum of their first five values: the buckets ' +
    'of a cumulative histogram.',
  params: [SERIES_LIST],
  run({ args }) {
    const keyed = args.series(0).map((series) => {
      let weight = 0
      for (let i = 0; i < Math.min(series.values.length, 5); i++) weight += series.values[i]! || 0
      return { series, weight }
    })
    const sorted = keyed.sort((a, b) => a.weight - b.weight).map(({ series }) => series)
    return sorted.slice(1).map((series, i) => {
      const below = sorted[i]!
      if (below.step !== series.step || below.values.length !== series.values.length) {
        throw new RenderError(
          `heatMap(): ${below.name} and ${series.name} differ in step or length`,
        )
      }
      const values = series.values.map((value, at) => value - below.values[at]!)
      return renameSeries(series, `heatMap(${series.name},${below.name})`, { values })
    })
  },
}

const powSeriesLists: RenderFunction = {
  name: 'powSeriesLists',
  origin: 'carbonapi',
  group: 'Combine',
  description:
    'Each series of the first list to the power of its partner in the second, both in the order of names; a ' +
    'single exponent serves all, and `default` one that is missing.',
  params: [
    required('seriesList', 'sourceSeriesList'),
    required('seriesList', 'factorSeriesList'),
    optional('float', 'default'),
  ],
  signature: 'powSeriesLists(sourceSeriesList, factorSeriesList)',
  run(call) {
    const bases = sortedByName(call.args.series(0))
    const exponents = sortedByName(call.args.series(1))
    const otherwise = call.args.number(2, undefined)
    const paired = exponents.length === bases.length
    const partners = new Map(exponents.map((series) => [series.name, series]))
    return bases.flatMap((base, i) => {
      const only = exponents.length === 1 ? exponents[0] : undefined
      const exponent = only ?? (paired ? exponents[i] : partners.get(base.name))
      return powerOf(base, exponent, otherwise)
    })
  },
}

function powerOf(
  base: RenderSeries,
  exponent: RenderSeries | undefined,
  otherwise: number | undefined,
): RenderSeries[] {
  if (!exponent) {
    if (otherwise === undefined) return []
    const values = base.values.map((value) => powerOrNothing(value, otherwise))
    return [renameSeries(base, `powSeries(${base.name},${shortNumber(otherwise)})`, { values })]
  }
  const rows = alignRows([base, exponent])!
  const [bases, exponents] = wholeColumns(rows)
  const values = bases!.map((value, i) => powerOrNothing(value, exponents![i]!))
  const { start, step, end } = rows
  const name = `powSeries(${base.name},${exponent.name})`
  return [renameSeries(base, name, { start, step, end, values })]
}

export const CARBONAPI_SERIES_FUNCTIONS: readonly RenderFunction[] = [
  ...BARE.map(bare),
  ...RENAMED,
  alsoRanked('highestMin', 'The `n` series with the highest minimum.', 'min', true),
  alsoRanked('lowestMax', 'The `n` series with the lowest maximum.', 'max', false),
  alsoRanked('lowestMin', 'The `n` series with the lowest minimum.', 'min', false),
  removeZeroSeries,
  aboveSeries,
  join,
  countValues,
  heatMap,
  powSeriesLists,
]
