/**
 * Functions that change every value of a series by itself: arithmetic, rounding, filling of gaps.
 */

import {
  formatD,
  formatG,
  pythonFloat,
  pythonNumber,
  roundTo,
  roundToMicro,
} from '../python-format.ts'
import { renameSeries, type RenderSeries, withTag } from '../render-series.ts'
import { max, min, isKnown } from './aggregation.ts'
import { powerOrNothing } from './combine.ts'
import { eachSeries, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'

/** What an in-place function makes of one series: values, under `name(series…)`, with a tag of the function's. */
function inPlace(
  series: RenderSeries,
  name: string,
  values: Float64Array,
  tag?: readonly [key: string, value: string],
): RenderSeries {
  const tags = tag ? withTag(series.tags, tag[0], tag[1]) : series.tags
  return renameSeries(series, name, { values, tags })
}

const scale: RenderFunction = {
  name: 'scale',
  group: 'Transform',
  description: 'Multiplies every value by `factor`.',
  params: [SERIES_LIST, required('float', 'factor')],
  run(call) {
    const factor = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) values[i] = series.values[i]! * factor
      const name = `scale(${series.name},${formatG(factor)})`
      return inPlace(series, name, values, ['scale', pythonFloat(factor)])
    })
  },
}

function added(series: RenderSeries, amount: number): Float64Array {
  const values = new Float64Array(series.values.length)
  for (let i = 0; i < values.length; i++) values[i] = series.values[i]! + amount
  return values
}

const offset: RenderFunction = {
  name: 'offset',
  group: 'Transform',
  description: 'Adds `factor` to every value.',
  params: [SERIES_LIST, required('float', 'factor')],
  run(call) {
    const factor = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const name = `offset(${series.name},${formatG(factor)})`
      return inPlace(series, name, added(series, factor), ['offset', pythonFloat(factor)])
    })
  },
}

const add: RenderFunction = {
  name: 'add',
  group: 'Transform',
  description: 'Adds `constant` to every value.',
  params: [SERIES_LIST, required('float', 'constant')],
  run(call) {
    const constant = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const name = `add(${series.name},${formatD(constant)})`
      return inPlace(series, name, added(series, constant), ['add', pythonFloat(constant)])
    })
  },
}

const offsetToZero: RenderFunction = {
  name: 'offsetToZero',
  group: 'Transform',
  description: 'Moves the series so that its smallest value is 0.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const smallest = min(series.values, 0, series.values.length)
      const shown = smallest === smallest ? pythonFloat(smallest) : 'None'
      const name = `offsetToZero(${series.name})`
      return inPlace(series, name, added(series, -smallest), ['offsetToZero', shown])
    }),
}

const scaleToSeconds: RenderFunction = {
  name: 'scaleToSeconds',
  group: 'Transform',
  description: 'Makes values per step into values per so many `seconds`.',
  params: [SERIES_LIST, required('float', 'seconds')],
  run(call) {
    const seconds = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const factor = seconds / series.step
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) values[i] = roundToMicro(series.values[i]! * factor)
      const name = `scaleToSeconds(${series.name},${formatD(seconds)})`
      return inPlace(series, name, values, ['scaleToSeconds', pythonFloat(seconds)])
    })
  },
}

/** A function of every known value; where that is no number, nothing. */
function mathematical(
  name: string,
  description: string,
  of: (value: number) => number,
  tagValue = '1',
): RenderFunction {
  return {
    name,
    group: 'Transform',
    description,
    params: [SERIES_LIST],
    run: (call) =>
      eachSeries(call, call.args.series(0), (series) => {
        const values = new Float64Array(series.values.length)
        for (let i = 0; i < values.length; i++) values[i] = of(series.values[i]!)
        return inPlace(series, `${name}(${series.name})`, values, [name, tagValue])
      }),
  }
}

/** Python's math.log: nothing at or below 0. */
function naturalLog(value: number): number {
  return value > 0 ? Math.log(value) : NaN
}

function logit(value: number): number {
  return value === 1 ? NaN : naturalLog(value / (1 - value))
}

function exponential(value: number): number {
  const power = Math.exp(value)
  return power === Infinity && value !== Infinity ? NaN : power
}

const pow: RenderFunction = {
  name: 'pow',
  group: 'Transform',
  description: 'Every value to the power of `factor`.',
  params: [SERIES_LIST, required('float', 'factor')],
  run(call) {
    const factor = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) values[i] = powerOrNothing(series.values[i]!, factor)
      const name = `pow(${series.name},${formatG(factor)})`
      return inPlace(series, name, values, ['pow', pythonFloat(factor)])
    })
  },
}

const logarithm: RenderFunction = {
  name: 'log',
  group: 'Transform',
  description: 'The logarithm of every value above 0 to the given base.',
  params: [SERIES_LIST, optional('integer', 'base', { default: 10 })],
  run(call) {
    const base = call.args.number(1, 10)
    const divisor = Math.log(base)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) values[i] = naturalLog(series.values[i]!) / divisor
      return {
        ...renameSeries(series, `log(${series.name}, ${pythonNumber(base, true)})`, { values }),
        options: {},
        tags: withTag(series.tags, 'log', pythonNumber(base, true)),
      }
    })
  },
}

const round: RenderFunction = {
  name: 'round',
  group: 'Transform',
  description:
    'Rounds every value to `precision` decimals, 0 unless given; ties go to the even digit.',
  params: [SERIES_LIST, optional('integer', 'precision', { default: 0 })],
  signature: 'round(seriesList, precision=None)',
  run(call) {
    const precision = call.args.number(1, undefined)
    const digits = precision ?? 0
    return eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) values[i] = roundTo(series.values[i]!, digits)
      const shown = precision === undefined ? '' : `,${formatG(precision)}`
      return inPlace(series, `round(${series.name}${shown})`, values, ['round', String(digits)])
    })
  },
}

const minMax: RenderFunction = {
  name: 'minMax',
  group: 'Transform',
  description: 'Scales the series so that its values reach from 0 to 1.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const low = min(series.values, 0, series.values.length)
      const high = max(series.values, 0, series.values.length)
      const values = new Float64Array(series.values.length)
      for (let i = 0; i < values.length; i++) {
        const value = series.values[i]!
        if (value !== value) values[i] = NaN
        else values[i] = high === low ? 0 : (value - low) / (high - low)
      }
      return renameSeries(series, `minMax(${series.name})`, { values })
    }),
}

// ── gaps ────────────────────────────────────────────────────────────────────────────────────────────

const LIMIT = optional('intOrInf', 'limit', { default: Infinity })

const keepLastValue: RenderFunction = {
  name: 'keepLastValue',
  group: 'Transform',
  description: 'Fills gaps of at most `limit` points with the value in front of them.',
  params: [SERIES_LIST, LIMIT],
  run(call) {
    const limit = call.args.number(1, Infinity)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = series.values.slice()
      let gapStart = 0
      for (let i = 0; i <= values.length; i++) {
        if (i < values.length && !isKnown(values[i]!)) continue
        if (gapStart > 0 && i - gapStart <= limit) values.fill(values[gapStart - 1]!, gapStart, i)
        gapStart = i + 1
      }
      return renameSeries(series, `keepLastValue(${series.name})`, { values })
    })
  },
}

const interpolate: RenderFunction = {
  name: 'interpolate',
  group: 'Transform',
  description:
    'Fills gaps of at most `limit` points with a straight line from one side to the other.',
  params: [SERIES_LIST, LIMIT],
  run(call) {
    const limit = call.args.number(1, Infinity)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = series.values.slice()
      let gapStart = 0
      for (let i = 0; i < values.length; i++) {
        if (!isKnown(values[i]!)) continue
        if (gapStart > 0 && i - gapStart <= limit) fillLine(values, gapStart, i)
        gapStart = i + 1
      }
      return renameSeries(series, `interpolate(${series.name})`, { values })
    })
  },
}

/** Between the known values at `from - 1` and `to`. */
function fillLine(values: Float64Array, from: number, to: number): void {
  const left = values[from - 1]!
  const rise = values[to]! - left
  for (let i = from; i < to; i++) values[i] = left + ((i - from + 1) * rise) / (to - from + 1)
}

const transformNull: RenderFunction = {
  name: 'transformNull',
  group: 'Transform',
  description:
    'Puts `default` in place of missing values; with `referenceSeries` only where any of those has a value.',
  params: [
    SERIES_LIST,
    optional('float', 'default', { default: 0 }),
    optional('seriesList', 'referenceSeries'),
  ],
  run(call) {
    const { args } = call
    const otherwise = args.number(1, 0)
    const references = args.series(2)
    const wanted = references.length > 0 ? anyKnown(references) : undefined
    const shown = args.has(1) ? pythonFloat(otherwise) : '0'
    return eachSeries(call, args.series(0), (series) => {
      const length = Math.max(series.values.length, wanted?.length ?? 0)
      const values = new Float64Array(length).fill(NaN)
      values.set(series.values)
      for (let i = 0; i < length; i++) {
        if (!isKnown(values[i]!) && (wanted === undefined || wanted[i] === 1)) values[i] = otherwise
      }
      const suffix = wanted ? ',referenceSeries' : ''
      const tags = new Map(series.tags).set('transformNull', shown)
      if (wanted) tags.set('referenceSeries', '1')
      const name = `transformNull(${series.name},${formatG(otherwise)}${suffix})`
      return renameSeries(series, name, { values, tags })
    })
  },
}

/** 1 where any series has a value. */
function anyKnown(list: readonly RenderSeries[]): Uint8Array {
  const length = list.reduce((longest, { values }) => Math.max(longest, values.length), 0)
  const known = new Uint8Array(length)
  for (const { values } of list) {
    for (let i = 0; i < values.length; i++) if (isKnown(values[i]!)) known[i] = 1
  }
  return known
}

function knownAsOne(value: number): number {
  return value === value ? 1 : 0
}

export const TRANSFORM_FUNCTIONS: readonly RenderFunction[] = [
  scale,
  offset,
  add,
  offsetToZero,
  scaleToSeconds,
  mathematical('absolute', 'The size of every value, without its sign.', Math.abs),
  mathematical('invert', '1 divided by every value.', (value) => powerOrNothing(value, -1)),
  mathematical('squareRoot', 'The square root of every value.', Math.sqrt),
  mathematical('exp', 'e to the power of every value.', exponential, 'e'),
  mathematical(
    'sigmoid',
    'The sigmoid function 1 / (1 + exp(-value)).',
    (value) => 1 / (1 + Math.exp(-value)),
    'sigmoid',
  ),
  mathematical('logit', 'The logit function log(value / (1 - value)).', logit, 'logit'),
  mathematical('isNonNull', '1 where there is a value, 0 where there is none.', knownAsOne),
  pow,
  logarithm,
  round,
  minMax,
  keepLastValue,
  interpolate,
  transformNull,
]
