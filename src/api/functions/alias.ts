/**
 * Functions that change what a series is called: its name, and never its path expression.
 */

import { formatTwoDecimals, pythonFloat } from '../python-format.ts'
import { RenderError, type RenderSeries } from '../render-series.ts'
import { formatUnits, type UnitSystem } from '../unit-systems.ts'
import { AGGREGATION_NAMES, findAggregation, last, max, min } from './aggregation.ts'
import type { RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { nodeKey } from './naming.ts'
import { compileReplacement } from './pattern-arguments.ts'
import { formatNumbers } from './percent-format.ts'

function rename(
  list: readonly RenderSeries[],
  nameOf: (series: RenderSeries) => string,
): RenderSeries[] {
  return list.map((series) => ({ ...series, name: nameOf(series) }))
}

const alias: RenderFunction = {
  name: 'alias',
  group: 'Alias',
  description: 'Gives the series a name of your own.',
  params: [SERIES_LIST, required('string', 'newName')],
  keepsValues: true,
  run: ({ args }) => rename(args.series(0), () => args.text(1)),
}

const aliasSub: RenderFunction = {
  name: 'aliasSub',
  group: 'Alias',
  description:
    'Replaces every match of the regular expression `search` in the name. `\\1` and `\\g<name>` in ' +
    '`replace` stand for groups.',
  params: [SERIES_LIST, required('string', 'search'), required('string', 'replace')],
  keepsValues: true,
  run({ args }) {
    const replace = compileReplacement(args.text(1), args.text(2))
    return rename(args.series(0), ({ name }) => replace(name))
  },
}

const aliasByNode: RenderFunction = {
  name: 'aliasByNode',
  group: 'Alias',
  description:
    'Names the series after nodes of its path, counted from 0 (from the end when negative), and after ' +
    'values of its tags.',
  params: [SERIES_LIST, required('nodeOrTag', 'nodes', { multiple: true })],
  keepsValues: true,
  run({ args }) {
    const nodes = args.valuesFrom(1)
    return rename(args.series(0), (series) => nodeKey(series, nodes))
  },
}

const aliasByTags: RenderFunction = {
  ...aliasByNode,
  name: 'aliasByTags',
  description: 'Names the series after values of its tags, and after nodes of its path.',
  params: [SERIES_LIST, required('nodeOrTag', 'tags', { multiple: true })],
}

/** Nodes `[start, stop)` of the path inside the innermost call of a name; 0 stops at the end. */
export function pathNodes(name: string, start: number, stop: number): string {
  const left = name.lastIndexOf('(') + 1
  const right = name.indexOf(')')
  const path = name.slice(left, right < 0 ? undefined : right)
  const nodes = path.split('.').slice(start, stop === 0 ? undefined : stop)
  return nodes.join('.').replace(/,.*$/, '')
}

const aliasByMetric: RenderFunction = {
  name: 'aliasByMetric',
  group: 'Alias',
  description: 'Names the series after the last node of its path.',
  params: [SERIES_LIST],
  keepsValues: true,
  run: ({ args }) => rename(args.series(0), ({ name }) => pathNodes(name, -1, 0)),
}

const substr: RenderFunction = {
  name: 'substr',
  group: 'Special',
  description:
    'Names the series after the nodes of its path from `start` up to but without `stop`; 0 means up to ' +
    'the end.',
  params: [
    SERIES_LIST,
    optional('node', 'start', { default: 0 }),
    optional('node', 'stop', { default: 0 }),
  ],
  keepsValues: true,
  run({ args }) {
    const [start, stop] = [args.number(1, 0), args.number(2, 0)]
    return rename(args.series(0), ({ name }) => pathNodes(name, start, stop))
  },
}

const aliasQuery: RenderFunction = {
  name: 'aliasQuery',
  group: 'Alias',
  description:
    'Makes another target of each name by `search` and `replace`, and puts its last value into `newName`, ' +
    'a template such as `Channel %d MHz`.',
  params: [
    SERIES_LIST,
    required('string', 'search'),
    required('string', 'replace'),
    required('string', 'newName'),
  ],
  async run(call) {
    const { args } = call
    const replace = compileReplacement(args.text(1), args.text(2))
    const list = args.series(0)
    const found = await Promise.all(list.map(({ name }) => call.evaluate(replace(name))))
    return list.map((series, i) => {
      const [other] = found[i]!
      const query = (): string => JSON.stringify(replace(series.name))
      if (!other) throw new RenderError(`aliasQuery(): there is no series ${query()}`)
      const value = last(other.values, 0, other.values.length)
      if (Number.isNaN(value)) throw new RenderError(`aliasQuery(): ${query()} has no value`)
      return { ...series, name: formatNumbers(args.text(3), value) }
    })
  },
}

function changeCase(
  name: string,
  description: string,
  change: (text: string) => string,
): RenderFunction {
  return {
    name,
    group: 'Alias',
    description,
    params: [SERIES_LIST, optional('integer', 'pos', { multiple: true })],
    run({ args }) {
      const positions = new Set(args.textsFrom(1).map(Number))
      return rename(args.series(0), (series) => changeLetters(series.name, positions, change))
    },
  }
}

/** All letters, or those at the given positions; negative ones count from the end. */
export function changeLetters(
  name: string,
  positions: ReadonlySet<number>,
  change: (text: string) => string,
): string {
  if (positions.size === 0) return change(name)
  const letters = Array.from(name)
  for (const position of positions) {
    const at = position < 0 ? letters.length + position : position
    if (letters[at] !== undefined) letters[at] = change(letters[at])
  }
  return letters.join('')
}

const LEGEND_OPTIONS = [
  ...AGGREGATION_NAMES,
  ...AGGREGATION_NAMES.map((name) => `${name}Series`),
  'si',
  'binary',
]

const legendValue: RenderFunction = {
  name: 'legendValue',
  group: 'Alias',
  description:
    'Puts values such as avg, min, max and last behind the name. With `si` or `binary` as the last ' +
    'argument they are shown with a unit prefix, in columns.',
  params: [
    SERIES_LIST,
    optional('string', 'valuesTypes', { multiple: true, options: LEGEND_OPTIONS }),
  ],
  signature: 'legendValue(seriesList, *valueTypes)',
  run({ args }) {
    const types = args.textsFrom(1)
    const system = types.at(-1)
    if (system === 'si' || system === 'binary') {
      return rename(args.series(0), (series) => legendColumns(series, types.slice(0, -1), system))
    }
    return rename(args.series(0), (series) => {
      let { name } = series
      for (const type of types) name += ` (${type}: ${legendNumber(series, type)})`
      return name
    })
  },
}

function legendNumber(series: RenderSeries, type: string): string {
  const value = legendAggregate(series, type)
  if (value === undefined) return '(?)'
  if (Number.isNaN(value)) return 'None'
  return type.startsWith('count') ? String(value) : pythonFloat(value)
}

/** Undefined for a type that is none. */
function legendAggregate(series: RenderSeries, type: string): number | undefined {
  if (type.endsWith('Series')) return undefined
  return findAggregation(type)?.of(series.values, 0, series.values.length)
}

function legendColumns(series: RenderSeries, types: readonly string[], system: UnitSystem): string {
  let { name } = series
  for (const type of types) {
    const value = legendAggregate(series, type)
    let text = '(?)'
    if (value !== undefined) text = Number.isNaN(value) ? 'None' : formatUnits(value, system)
    name = name.padEnd(20) + type.padEnd(5) + text.padEnd(10)
  }
  return name
}

const cactiStyle: RenderFunction = {
  name: 'cactiStyle',
  group: 'Special',
  description:
    'Puts the current, largest and smallest value behind the name, in columns, as Cacti does; `system` ' +
    'si or binary adds unit prefixes, `units` a unit.',
  params: [
    SERIES_LIST,
    optional('string', 'system', { options: ['si', 'binary'] }),
    optional('string', 'units'),
  ],
  run({ args }) {
    const list = args.series(0)
    const units = args.text(2)
    const system = args.text(1)
    const format = (value: number): string => {
      if (system === 'si' || system === 'binary') {
        return units === '' ? formatUnits(value, system) : formatUnits(value, system, units)
      }
      return units === '' ? formatTwoDecimals(value) : `${formatTwoDecimals(value)} ${units}`
    }
    return cactiNames(list, format)
  },
}

/** Columns are as wide as the widest whole number in them, and three more. */
function cactiNames(
  list: readonly RenderSeries[],
  format: (value: number) => string,
): RenderSeries[] {
  const nameWidth = widest(list.map(({ name }) => name))
  const columns = [last, max, min].map((aggregate) => {
    const values = list.map(({ values }) => aggregate(values, 0, values.length))
    const shown = values.map((value) => format(Math.trunc(value === value ? value : 3) || 3))
    return { values, width: widest(shown) + 3 }
  })
  const [current, largest, smallest] = columns.map(({ values, width }) =>
    values.map((value) => (value === value ? format(value) : 'nan').padEnd(width)),
  )
  return list.map((series, i) => ({
    ...series,
    name: `${series.name.padEnd(nameWidth)} Current:${current![i]} Max:${largest![i]} Min:${smallest![i]} `,
  }))
}

function widest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, text.length), 0)
}

export const ALIAS_FUNCTIONS: readonly RenderFunction[] = [
  alias,
  aliasSub,
  aliasByNode,
  aliasByTags,
  aliasByMetric,
  aliasQuery,
  substr,
  changeCase(
    'upper',
    'Makes letters of the name capital: all, or those at the given positions.',
    (text) => text.toUpperCase(),
  ),
  changeCase(
    'lower',
    'Makes letters of the name small: all, or those at the given positions.',
    (text) => text.toLowerCase(),
  ),
  legendValue,
  cactiStyle,
]
