/**
 * Functions of a value and the ones before it: differences, rates, running sums, delays.
 */

import { formatD, roundToMicro } from '../python-format.ts'
import { replaceSeries, type RenderSeries, withTag } from '../render-series.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { intervalSeconds } from './time-arguments.ts'

/** A new series with a tag of the function's. */
function derived(
  series: RenderSeries,
  name: string,
  values: Float64Array,
  tag: readonly [key: string, value: string],
): RenderSeries {
  return replaceSeries(series, name, { values, tags: withTag(series.tags, tag[0], tag[1]) })
}

const derivative: RenderFunction = {
  name: 'derivative',
  group: 'Transform',
  description: 'The difference of each value to the one before.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const { values: from } = series
      const values = new Float64Array(from.length)
      if (values.length > 0) values[0] = NaN
      for (let i = 1; i < values.length; i++) values[i] = from[i]! - from[i - 1]!
      return derived(series, `derivative(${series.name})`, values, ['derivative', '1'])
    }),
}

interface CounterLimits {
  readonly max: number | undefined
  readonly min: number | undefined
}

/**
 * Increments of a counter. A value outside the limits is nothing and is forgotten; a falling value wraps
 * around at `max`, or starts again at `min`, or is nothing when neither is given.
 */
function increments(from: Float64Array, { max, min }: CounterLimits): Float64Array {
  const values = new Float64Array(from.length)
  const low = min ?? 0
  let previous = NaN
  for (let i = 0; i < from.length; i++) {
    const value = from[i]!
    let increment = NaN
    if ((max !== undefined && value > max) || (min !== undefined && value < min)) previous = NaN
    else {
      if (value >= previous) increment = value - previous
      else if (value < previous) {
        if (max !== undefined) increment = max + 1 + value - previous - low
        else if (min !== undefined) increment = value - low
      }
      previous = value
    }
    values[i] = increment
  }
  return values
}

const COUNTER_PARAMS = [SERIES_LIST, optional('float', 'maxValue'), optional('float', 'minValue')]

function counterLimits(call: FunctionCall): CounterLimits {
  return { max: call.args.number(1, undefined), min: call.args.number(2, undefined) }
}

const nonNegativeDerivative: RenderFunction = {
  name: 'nonNegativeDerivative',
  group: 'Transform',
  description:
    'The increments of a counter: falls are left out, or taken as a wrap at `maxValue` or a restart at ' +
    '`minValue`.',
  params: COUNTER_PARAMS,
  run(call) {
    const limits = counterLimits(call)
    return eachSeries(call, call.args.series(0), (series) => {
      const name = `nonNegativeDerivative(${series.name})`
      return derived(series, name, increments(series.values, limits), [
        'nonNegativeDerivative',
        '1',
      ])
    })
  },
}

const perSecond: RenderFunction = {
  name: 'perSecond',
  group: 'Transform',
  description: 'The increments of a counter for each second.',
  params: COUNTER_PARAMS,
  run(call) {
    const limits = counterLimits(call)
    return eachSeries(call, call.args.series(0), (series) => {
      const { step } = series
      const values = increments(series.values, limits)
      for (let i = 0; i < values.length; i++) values[i] = roundToMicro(values[i]! / step)
      return derived(series, `perSecond(${series.name})`, values, ['perSecond', '1'])
    })
  },
}

const integral: RenderFunction = {
  name: 'integral',
  group: 'Transform',
  description: 'The sum of all values up to each point.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const { values: from } = series
      const values = new Float64Array(from.length)
      let sum = 0
      for (let i = 0; i < from.length; i++) {
        const value = from[i]!
        if (value === value) values[i] = sum += value
        else values[i] = NaN
      }
      return derived(series, `integral(${series.name})`, values, ['integral', '1'])
    }),
}

const integralByInterval: RenderFunction = {
  name: 'integralByInterval',
  group: 'Transform',
  description:
    'The sum of all values up to each point, starting again with every interval from the start.',
  params: [SERIES_LIST, required('string', 'intervalUnit')],
  run(call) {
    const interval = call.args.text(1)
    const seconds = intervalSeconds(interval)
    return eachSeries(call, call.args.series(0), (series) => {
      const { values: from, step } = series
      const values = new Float64Array(from.length)
      let sum = 0
      for (let i = 0; i < from.length; i++) {
        const time = series.start + i * step - call.from
        if (Math.floor(time / seconds) !== Math.floor((time - step) / seconds)) sum = 0
        const value = from[i]!
        if (value === value) sum += value
        values[i] = sum
      }
      const name = `integralByInterval(${series.name},'${interval}')`
      return derived(series, name, values, ['integralByInterval', interval])
    })
  },
}

const delay: RenderFunction = {
  name: 'delay',
  group: 'Transform',
  description: 'Moves the values by so many steps to the right, or to the left when negative.',
  params: [SERIES_LIST, required('integer', 'steps')],
  run(call) {
    const steps = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const { values: from } = series
      const values = new Float64Array(from.length).fill(NaN)
      if (steps < 0) values.set(from.subarray(Math.min(-steps, from.length)))
      else
        values.set(from.subarray(0, Math.max(from.length - steps, 0)), Math.min(steps, from.length))
      return derived(series, `delay(${series.name},${formatD(steps)})`, values, [
        'delay',
        String(steps),
      ])
    })
  },
}

export const DERIVATIVE_FUNCTIONS: readonly RenderFunction[] = [
  derivative,
  nonNegativeDerivative,
  perSecond,
  integral,
  integralByInterval,
  delay,
]
