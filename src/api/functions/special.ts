/**
 * Lines that are made rather than stored, and settings that travel with a series.
 */

import { type Consolidation, CONSOLIDATIONS } from '../../metric/display.ts'
import { isKnown } from './aggregation.ts'
import { pythonFloat } from '../python-format.ts'
import {
  makeSeries,
  RenderError,
  renameSeries,
  type RenderSeries,
  withTag,
} from '../render-series.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'

/** Three equal points over the whole range. */
export function constantLine(
  call: FunctionCall,
  value: number,
  text = pythonFloat(value),
): RenderSeries {
  const { from, until } = call
  return makeSeries({
    name: text,
    pathExpression: `constantLine(${text})`,
    start: from,
    end: until,
    step: Math.max(Math.trunc((until - from) / 2), 1),
    values: new Float64Array(3).fill(value),
    xFilesFactor: call.xFilesFactor,
  })
}

const constant: RenderFunction = {
  name: 'constantLine',
  group: 'Special',
  description: 'A horizontal line at `value`.',
  params: [required('float', 'value')],
  run: (call) => [constantLine(call, call.args.number(0))],
}

const CONSOLIDATE_BY = ['sum', 'average', 'avg', 'avg_zero', 'min', 'max', 'first', 'last']

function findConsolidation(name: string): Consolidation | undefined {
  if (name === 'avg') return 'average'
  return CONSOLIDATIONS.find((consolidation) => consolidation === name)
}

function consolidated(list: readonly RenderSeries[], name: string): RenderSeries[] {
  const consolidation = findConsolidation(name)
  if (!consolidation) throw new RenderError(`unknown consolidation ${JSON.stringify(name)}`)
  return list.map((series) =>
    renameSeries(series, `consolidateBy(${series.name},"${name}")`, {
      consolidation,
      tags: withTag(series.tags, 'consolidateBy', name),
    }),
  )
}

const consolidateBy: RenderFunction = {
  name: 'consolidateBy',
  group: 'Special',
  description:
    'How values are put together when there are more of them than the graph has room for.',
  params: [SERIES_LIST, required('string', 'consolidationFunc', { options: CONSOLIDATE_BY })],
  keepsValues: true,
  setsConsolidation: (name) => (name === undefined ? undefined : findConsolidation(name)),
  run: ({ args }) => consolidated(args.series(0), args.text(1)),
}

const cumulative: RenderFunction = {
  name: 'cumulative',
  group: 'Special',
  description: 'The same as consolidateBy(seriesList, "sum").',
  params: [SERIES_LIST],
  keepsValues: true,
  setsConsolidation: () => 'sum',
  run: ({ args }) => consolidated(args.series(0), 'sum'),
}

const setXFilesFactor: RenderFunction = {
  name: 'setXFilesFactor',
  aliases: ['xFilesFactor'],
  group: 'Special',
  description:
    'The share of known values, 0 to 1, that consolidation and the functions around this one need for a ' +
    'value of theirs.',
  params: [SERIES_LIST, required('float', 'xFilesFactor')],
  run({ args }) {
    const xFilesFactor = args.number(1)
    const text = pythonFloat(xFilesFactor)
    return args.series(0).map((series) => ({
      ...series,
      xFilesFactor,
      tags: withTag(series.tags, 'xFilesFactor', text),
    }))
  },
}

/** The store answers it; here is what /functions says. */
const seriesByTag: RenderFunction = {
  name: 'seriesByTag',
  group: 'Special',
  description:
    'The series whose tags fit all expressions: `tag=value`, `tag!=value`, `tag=~regex`, `tag!=~regex`.',
  params: [required('string', 'tagExpressions', { multiple: true })],
  run: () => [],
}

const fallbackSeries: RenderFunction = {
  name: 'fallbackSeries',
  group: 'Special',
  description: 'The first list, or the second when the first has no series.',
  params: [SERIES_LIST, required('seriesList', 'fallback')],
  run: ({ args }) => (args.series(0).length > 0 ? args.series(0) : args.series(1)),
}

const changed: RenderFunction = {
  name: 'changed',
  group: 'Special',
  description: '1 where the value differs from the one before, else 0.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      let previous = NaN
      for (let i = 0; i < values.length; i++) {
        const value = series.values[i]!
        if (value !== value) continue
        if (previous === previous && value !== previous) values[i] = 1
        previous = value
      }
      return renameSeries(series, `changed(${series.name})`, { values })
    }),
}

const events: RenderFunction = {
  name: 'events',
  group: 'Special',
  description:
    'How many events with all the given tags there were in each second; "*" is any event.',
  params: [required('string', 'tags', { multiple: true })],
  async run(call) {
    const tags = call.args.textsFrom(0)
    const { from, until, xFilesFactor } = call
    call.pace.reserve(until - from)
    const values = new Float64Array(Math.max(until - from, 0)).fill(NaN)
    for (const time of await call.source.events({ tags, from, until })) {
      const at = Math.floor(time) - from
      if (at >= 0 && at < values.length) values[at] = isKnown(values[at]!) ? values[at]! + 1 : 1
    }
    const name = `events("${tags.join('", "')}")`
    return [
      makeSeries({
        name,
        start: from,
        end: until,
        step: 1,
        values,
        consolidation: 'sum',
        xFilesFactor,
      }),
    ]
  },
}

/** A made series of one point every `step` seconds over the range. */
function generated(
  call: FunctionCall,
  step: number,
  name: string,
  valueAt: (time: number) => number,
): RenderSeries {
  if (!(step >= 1)) throw new RenderError('step must be at least 1')
  const { from, until, xFilesFactor } = call
  const count = Math.max(Math.ceil((until - from) / step), 0)
  call.pace.reserve(count)
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = valueAt(from + i * step)
  return makeSeries({ name, start: from, end: until, step, values, xFilesFactor })
}

const identity: RenderFunction = {
  name: 'identity',
  group: 'Calculate',
  description: 'The time itself as a line, a point every 60 s.',
  params: [required('string', 'name')],
  run(call) {
    const name = call.args.text(0)
    return [{ ...generated(call, 60, name, (time) => time), pathExpression: `identity("${name}")` }]
  },
}

const STEP = optional('integer', 'step', { default: 60 })

const time: RenderFunction = {
  name: 'timeFunction',
  aliases: ['time'],
  group: 'Transform',
  description: 'The time itself as a line, a point every `step` seconds.',
  params: [required('string', 'name'), STEP],
  run: (call) => [generated(call, call.args.number(1, 60), call.args.text(0), (at) => at)],
}

const sin: RenderFunction = {
  name: 'sinFunction',
  aliases: ['sin'],
  group: 'Transform',
  description: 'The sine of the time, times `amplitude`, a point every `step` seconds.',
  params: [required('string', 'name'), optional('integer', 'amplitude', { default: 1 }), STEP],
  run(call) {
    const amplitude = call.args.number(1, 1)
    const step = call.args.number(2, 60)
    return [generated(call, step, call.args.text(0), (at) => Math.sin(at) * amplitude)]
  },
}

const randomWalk: RenderFunction = {
  name: 'randomWalkFunction',
  aliases: ['randomWalk'],
  group: 'Special',
  description:
    'A line that starts at 0 and wanders by at most a half with every step: for trying things out.',
  params: [required('string', 'name'), STEP],
  run(call) {
    let current = 0
    return [
      generated(call, call.args.number(1, 60), call.args.text(0), () => {
        const value = current
        current += call.random() - 0.5
        return value
      }),
    ]
  },
}

export const SPECIAL_FUNCTIONS: readonly RenderFunction[] = [
  constant,
  consolidateBy,
  cumulative,
  setXFilesFactor,
  seriesByTag,
  fallbackSeries,
  changed,
  events,
  identity,
  time,
  sin,
  randomWalk,
]
