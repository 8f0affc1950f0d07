/**
 * A vertical axis: limits, ticks and labels. Steps are chosen as graphite-web does (render/glyph.py): of the
 * numbers of divisions allowed, the step that leaves least room beside the data; powers of two under the
 * binary unit system, minutes, hours and days under those of time; one tick a power with a logarithmic base. All
 * labels of an axis share one unit and one number of decimals; zero needs neither.
 */

import { RenderError } from '../render-series.ts'
import { UNIT_PREFIXES, type UnitPrefix } from '../unit-systems.ts'

export type UnitSystem = 'si' | 'binary' | 'sec' | 'msec' | 'none'

export const UNIT_SYSTEMS: readonly UnitSystem[] = ['si', 'binary', 'sec', 'msec', 'none']

const MINUTE = 60
const HOUR = 3_600
const DAY = 86_400
const YEAR = 365 * DAY

/** Steps of clocks and calendars, in seconds; shorter and longer ones are decimal, of a second and of a year. */
const TIME_STEPS = (
  [
    [1, [1, 2, 5, 10, 15, 30]],
    [MINUTE, [1, 2, 5, 10, 15, 30]],
    [HOUR, [1, 2, 3, 6, 12]],
    [DAY, [1, 2, 5, 10, 20, 50, 100]],
  ] as const
).flatMap(([unit, counts]) => counts.map((count) => count * unit))

const PREFIXES: Readonly<Record<UnitSystem, readonly UnitPrefix[]>> = {
  ...UNIT_PREFIXES,
  sec: [
    ['Y', YEAR],
    ['D', DAY],
    ['H', HOUR],
    ['m', MINUTE],
  ],
  msec: [
    ['Y', 1_000 * YEAR],
    ['D', 1_000 * DAY],
    ['H', 1_000 * HOUR],
    ['m', 1_000 * MINUTE],
    ['s', 1_000],
  ],
  none: [],
}

export interface AxisSettings {
  readonly min?: number | undefined
  /** `max`: exactly the data's. */
  readonly max?: number | 'max' | undefined
  /** The top is never above it. */
  readonly limit?: number | undefined
  readonly step?: number | undefined
  readonly divisors: readonly number[]
  readonly units: UnitSystem
  readonly logBase?: number | undefined
}

export interface Tick {
  readonly value: number
  readonly label: string
}

export interface Axis {
  readonly bottom: number
  readonly top: number
  readonly ticks: readonly Tick[]
  readonly logBase: number | undefined
}

/** More would be unreadable, and a step of 1e-300 must not fill memory. */
const TICKS_MAX = 100
const EPSILON = 1e-4

export function makeAxis(data: { min: number; max: number }, settings: AxisSettings): Axis {
  const limits = chooseLimits(data, settings)
  if (settings.logBase !== undefined) return logAxis(limits, settings, settings.logBase)
  const wanted = settings.step
  const usable =
    wanted !== undefined && wanted > 0 && (limits.max - limits.min) / wanted <= TICKS_MAX
  const step = usable ? wanted : chooseStep(limits, settings)
  const bottom = limits.minGiven ? limits.min : step * Math.floor(limits.min / step + EPSILON)
  let top = limits.maxGiven ? limits.max : step * Math.ceil(limits.max / step - EPSILON)
  if (settings.limit !== undefined && !limits.maxGiven) top = Math.min(top, settings.limit)
  if (!(top > bottom)) top = bottom + 1
  const values: number[] = []
  const first = Math.ceil(bottom / step - EPSILON)
  for (let i = 0; i <= TICKS_MAX; i++) {
    const value = (first + i) * step
    if (value > top + EPSILON * step) break
    values.push(value)
  }
  return { bottom, top, ticks: labelled(values, step, settings.units), logBase: undefined }
}

/** 0 at the bottom, 1 at the top; undefined for what a logarithm does not have. */
export function positionOn(axis: Axis, value: number): number | undefined {
  const { bottom, top, logBase } = axis
  if (logBase === undefined) return (value - bottom) / (top - bottom)
  if (value <= 0) return undefined
  return Math.log(value / bottom) / Math.log(top / bottom)
}

interface Limits {
  min: number
  max: number
  /** Given by the request: not to be rounded. */
  readonly minGiven: boolean
  readonly maxGiven: boolean
}

function chooseLimits(data: { min: number; max: number }, settings: AxisSettings): Limits {
  const minGiven = settings.min !== undefined
  let min = settings.min ?? data.min
  let max = typeof settings.max === 'number' ? settings.max : data.max
  const maxGiven = settings.max !== undefined
  if (settings.limit !== undefined && settings.limit < max) max = settings.limit
  const limited = settings.limit !== undefined && settings.limit === max
  if (min >= max) {
    if (minGiven && typeof settings.max === 'number') {
      throw new RenderError('yMin must be less than yMax')
    }
    const delta = (value: number): number => (Math.abs(value) < 1e-9 ? 1 : 0.1 * Math.abs(value))
    if (minGiven) max = min + delta(min)
    else if (maxGiven || limited) min = max - delta(max)
    else {
      const spread = delta(Math.max(Math.abs(min), Math.abs(max)))
      const middle = (min + max) / 2
      min = middle - spread
      max = middle + spread
    }
  }
  return { min, max, minGiven, maxGiven: maxGiven || limited }
}

function chooseStep({ min, max }: Limits, { divisors, units }: AxisSettings): number {
  const range = max - min
  if (!Number.isFinite(range)) return 1e308
  const most = Math.max(...divisors)
  const fewest = Math.min(...divisors)
  let bestStep = NaN
  let bestSlop = Infinity
  for (const step of niceSteps(range / most, units)) {
    if (step * fewest >= 2 * bestSlop + range) break
    for (const divisor of divisors) {
      const bottom = step * Math.floor(min / step + EPSILON)
      const top = bottom + step * divisor
      if (top < max - EPSILON * step) continue
      const slop = Math.max(top - max, min - bottom)
      if (slop < bestSlop) {
        bestSlop = slop
        bestStep = step
      }
    }
  }
  return Number.isNaN(bestStep) ? range : bestStep
}

/** Steps that read well, from `least` upwards. */
function* niceSteps(least: number, units: UnitSystem): Generator<number> {
  if (units === 'binary') return yield* powerSteps(least, 2, [1])
  if (units !== 'sec' && units !== 'msec') return yield* powerSteps(least, 10, DECIMAL)
  const second = units === 'sec' ? 1 : 1_000
  for (const step of powerSteps(least, 10, DECIMAL)) {
    if (step >= second) break
    yield step
  }
  for (const step of TIME_STEPS) {
    if (step * second >= least * (1 - EPSILON)) yield step * second
  }
  const year = YEAR * second
  for (const years of powerSteps(Math.max(least / year, 1), 10, DECIMAL)) yield years * year
}

const DECIMAL = [1, 2, 5]

/** The mantissas times powers of the base, from `least` upwards. */
function* powerSteps(least: number, base: number, mantissas: readonly number[]): Generator<number> {
  const exponent = Math.floor(Math.log(least) / Math.log(base) - EPSILON)
  for (let i = 0; i < 40; i++) {
    for (const mantissa of mantissas) {
      const step = mantissa * base ** (exponent + i)
      if (step >= least * (1 - EPSILON)) yield step
    }
  }
}

function logAxis(limits: Limits, settings: AxisSettings, base: number): Axis {
  if (limits.min <= 0) {
    throw new RenderError('logBase needs values above zero: set yMin, or remove the others')
  }
  const log = (value: number): number => Math.log(value) / Math.log(base)
  const low = Math.floor(log(limits.min) + EPSILON)
  const high = Math.max(low + 1, Math.ceil(log(limits.max) - EPSILON))
  const every = Math.ceil((high - low) / TICKS_MAX)
  const values: number[] = []
  for (let exponent = low; exponent <= high; exponent += every) values.push(base ** exponent)
  const ticks = values.map((value) => ({
    value,
    label: labelled([value], value, settings.units)[0]!.label,
  }))
  return { bottom: base ** low, top: base ** high, ticks, logBase: base }
}

function labelled(values: readonly number[], step: number, units: UnitSystem): Tick[] {
  const [prefix, size] = unitOf(values, step, units)
  const decimals = decimalsOf(step / size)
  return values.map((value) => {
    const scaled = value / size
    const exponential = Math.abs(scaled) >= 1e15 || decimals > 9
    const text = exponential
      ? Number(scaled.toPrecision(4)).toExponential()
      : scaled.toFixed(decimals)
    if (Number(text) === 0) return { value, label: '0' }
    return { value, label: prefix === '' ? text : `${text} ${prefix}` }
  })
}

/** Of time: the largest unit of which the step is a multiple. Else: the largest that the values reach. */
function unitOf(values: readonly number[], step: number, units: UnitSystem): UnitPrefix {
  const prefixes = PREFIXES[units]
  if (units === 'sec' || units === 'msec') {
    return prefixes.find(([, size]) => isMultiple(step, size)) ?? ['', 1]
  }
  const largest = Math.max(...values.map(Math.abs))
  const fitting = prefixes.find(([, size]) => largest >= size * (1 - 1e-9))
  // Beyond the largest prefix an exponent says it better.
  return fitting && largest / fitting[1] < 1e6 ? fitting : ['', 1]
}

function isMultiple(step: number, size: number): boolean {
  const times = step / size
  return times > 1 - 1e-9 && Math.abs(times - Math.round(times)) < 1e-9 * times
}

/** Decimals that tell neighbours a step apart: at most ten. */
function decimalsOf(step: number): number {
  for (let decimals = 0; decimals < 10; decimals++) {
    const scaled = step * 10 ** decimals
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return decimals
    if (scaled >= 1_000) return decimals
  }
  return 10
}
