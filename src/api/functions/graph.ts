/**
 * Functions that say how series are drawn. They leave the values alone, but for stacked(), which adds them up.
 */

import { formatG } from '../python-format.ts'
import {
  changeSeries,
  type DrawingOptions,
  makeSeries,
  RenderError,
  replaceSeries,
  type RenderSeries,
  withTag,
} from '../render-series.ts'
import { isKnown } from './aggregation.ts'
import type { RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { constantLine } from './special.ts'
import { timeOf } from './time-arguments.ts'

function drawn(
  list: readonly RenderSeries[],
  options: DrawingOptions,
  changes: (series: RenderSeries) => Partial<RenderSeries> = () => ({}),
): RenderSeries[] {
  return list.map((series) =>
    changeSeries(series, { options: { ...series.options, ...options }, ...changes(series) }),
  )
}

const alpha: RenderFunction = {
  name: 'alpha',
  group: 'Graph',
  description: 'Draws the series with an opacity from 0 to 1.',
  params: [SERIES_LIST, required('float', 'alpha')],
  keepsValues: true,
  run: ({ args }) => drawn(args.series(0), { alpha: args.number(1) }),
}

const color: RenderFunction = {
  name: 'color',
  group: 'Graph',
  description: 'Draws the series in a color: a name, or #RRGGBB, or #RRGGBBAA.',
  params: [SERIES_LIST, required('string', 'theColor')],
  keepsValues: true,
  run: ({ args }) => drawn(args.series(0), { color: args.text(1) }),
}

const dashed: RenderFunction = {
  name: 'dashed',
  group: 'Graph',
  description: 'Draws the series as a dashed line; `dashLength` is in pixels.',
  params: [SERIES_LIST, optional('integer', 'dashLength', { default: 5 })],
  keepsValues: true,
  run({ args }) {
    const length = args.number(1, 5)
    return drawn(args.series(0), { dashed: length }, (series) => ({
      name: `dashed(${series.name}, ${formatG(length)})`,
      tags: withTag(series.tags, 'dashed', String(length)),
    }))
  },
}

const drawAsInfinite: RenderFunction = {
  name: 'drawAsInfinite',
  group: 'Graph',
  description: 'Draws a line from bottom to top wherever the value is above 0.',
  params: [SERIES_LIST],
  keepsValues: true,
  run: ({ args }) =>
    drawn(args.series(0), { drawAsInfinite: true }, (series) => ({
      name: `drawAsInfinite(${series.name})`,
      tags: withTag(series.tags, 'drawAsInfinite', '1'),
    })),
}

const lineWidth: RenderFunction = {
  name: 'lineWidth',
  group: 'Graph',
  description: 'Draws the series with a line of so many pixels.',
  params: [SERIES_LIST, required('float', 'width')],
  keepsValues: true,
  run: ({ args }) => drawn(args.series(0), { lineWidth: args.number(1) }),
}

const secondYAxis: RenderFunction = {
  name: 'secondYAxis',
  group: 'Graph',
  description: 'Draws the series by a second axis on the right.',
  params: [SERIES_LIST],
  keepsValues: true,
  run: ({ args }) =>
    drawn(args.series(0), { secondYAxis: true }, (series) => ({
      name: `secondYAxis(${series.name})`,
      tags: withTag(series.tags, 'secondYAxis', '1'),
    })),
}

const DEFAULT_STACK = '__DEFAULT__'

const stacked: RenderFunction = {
  name: 'stacked',
  group: 'Graph',
  description:
    'Draws the series on top of each other, also those of other targets that name the same stack.',
  params: [SERIES_LIST, optional('string', 'stack')],
  signature: `stacked(seriesLists, stackName='${DEFAULT_STACK}')`,
  async run(call) {
    const stack = call.args.text(1, DEFAULT_STACK)
    const totals = await call.stackTotals(stack)
    return call.args.series(0).map((series) => {
      const values = addToStack(totals, series.values)
      const isDefault = stack === DEFAULT_STACK
      return replaceSeries(series, isDefault ? `stacked(${series.name})` : series.name, {
        values,
        options: { stacked: true },
        tags: isDefault ? withTag(series.tags, 'stacked', stack) : series.tags,
      })
    })
  },
}

/** The heights of the stack with the values on top; what is missing leaves the stack as it is. */
function addToStack(totals: number[], values: Float64Array): Float64Array {
  const result = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const below = totals[i] ?? 0
    const value = values[i]!
    result[i] = below + value
    totals[i] = isKnown(value) ? below + value : below
  }
  return result
}

const areaBetween: RenderFunction = {
  name: 'areaBetween',
  group: 'Graph',
  description: 'Fills the area between two series.',
  params: [SERIES_LIST],
  run: ({ args }) => areaOf(args.series(0)),
}

/** The lower series, which is not seen, and the upper one, filled down to it. */
export function areaOf(list: readonly RenderSeries[]): RenderSeries[] {
  const [lower, upper] = list
  if (!lower || !upper || list.length !== 2) {
    throw new RenderError(`areaBetween(): takes two series, not ${list.length}`)
  }
  const name = `areaBetween(${upper.pathExpression})`
  const tags = withTag(upper.tags, 'areaBetween', '1')
  return [
    changeSeries(lower, {
      name,
      tags,
      options: { ...lower.options, stacked: true, invisible: true },
    }),
    changeSeries(upper, { name, tags, options: { ...upper.options, stacked: true } }),
  ]
}

const threshold: RenderFunction = {
  name: 'threshold',
  group: 'Graph',
  description: 'A horizontal line at `value`, with a label and a color of its own.',
  params: [required('float', 'value'), optional('string', 'label'), optional('string', 'color')],
  run(call) {
    const { args } = call
    const line = constantLine(call, args.number(0))
    const label = args.text(1)
    const name = label === '' ? line.name : label
    return [{ ...line, name, options: colorOption(args.text(2)) }]
  },
}

function colorOption(text: string): DrawingOptions {
  return text === '' ? {} : { color: text }
}

const verticalLine: RenderFunction = {
  name: 'verticalLine',
  group: 'Graph',
  description: 'A vertical line at a time, given as for from and until.',
  params: [required('date', 'ts'), optional('string', 'label'), optional('string', 'color')],
  run(call) {
    const { args } = call
    const time = timeOf(call, args.text(0))
    if (time < call.from || time > call.until) {
      const side = time < call.from ? 'before the start' : 'after the end'
      throw new RenderError(
        `verticalLine(): ${JSON.stringify(args.text(0))} is ${side} of the range`,
      )
    }
    return [
      makeSeries({
        name: args.text(1, args.text(0)),
        start: time,
        end: time,
        step: 1,
        values: Float64Array.of(1, 1),
        xFilesFactor: call.xFilesFactor,
        options: { drawAsInfinite: true, ...colorOption(args.text(2)) },
      }),
    ]
  },
}

export const GRAPH_FUNCTIONS: readonly RenderFunction[] = [
  alpha,
  color,
  dashed,
  drawAsInfinite,
  lineWidth,
  secondYAxis,
  stacked,
  areaBetween,
  threshold,
  verticalLine,
]
