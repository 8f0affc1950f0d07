/**
 * carbonapi's functions that graphite-web does not have: baselines, service levels, integrals with resets.
 */

import { changeSeries, RenderError, renameSeries, type RenderSeries } from '../render-series.ts'
import { isKnown, percentile, sortedKnown } from './aggregation.ts'
import { eachSeries, type FunctionCall, padToStart, type RenderFunction } from './function.ts'
import { optional, type Param, required, SERIES_LIST } from './param.ts'
import { groupBy, shortNumber } from './naming.ts'
import { SHIFT_SUGGESTIONS } from './shift.ts'
import { intervalSeconds, offsetOf } from './time-arguments.ts'

// ── baselines ───────────────────────────────────────────────────────────────────────────────────────

const BASELINE_PARAMS: readonly Param[] = [
  SERIES_LIST,
  optional('interval', 'timeShiftUnit', { default: '1d', suggestions: SHIFT_SUGGESTIONS }),
  optional('integer', 'timeShiftStart', { default: 0 }),
  optional('integer', 'timeShiftEnd', { default: 7 }),
  optional('float', 'maxAbsentPercent'),
  optional('float', 'minAvg'),
]

const SHIFTS_MAX = 1_000

/** The medians of each series at the same place of earlier ranges; the range itself does not count. */
async function baselines(
  call: FunctionCall,
): Promise<
  { readonly name: string; readonly first: RenderSeries; readonly medians: Float64Array }[]
> {
  const unit = offsetOf(call.args.text(1, '1d'))
  const [start, end] = [call.args.number(2, 0), call.args.number(3, 7)]
  if (end - start > SHIFTS_MAX) throw new RenderError(`at most ${SHIFTS_MAX} ranges are looked at`)
  const shifts = Array.from(
    { length: Math.max(end - start, 0) },
    (_, i) => (start + i) * -Math.abs(unit),
  )
  const lists = await Promise.all(
    shifts
      .filter((shift) => shift !== 0)
      .map(async (shift) => {
        const from = call.from + shift
        const list = await call.refetch({ from, until: call.until + shift })
        return list.map((fetched) => {
          const series = padToStart(call, fetched, from)
          return changeSeries(series, { start: series.start - shift, end: series.end - shift })
        })
      }),
  )
  const groups = groupBy(lists.flat(), (series) => series.name)
  return [...groups].map(([name, group]) => ({ name, first: group[0]!, medians: mediansOf(group) }))
}

function mediansOf(group: readonly RenderSeries[]): Float64Array {
  const medians = new Float64Array(group[0]!.values.length)
  const row = new Float64Array(group.length)
  for (let i = 0; i < medians.length; i++) {
    for (let j = 0; j < group.length; j++) row[j] = group[j]!.values[i] ?? NaN
    medians[i] = percentile(sortedKnown(row, 0, row.length), 50, true)
  }
  return medians
}

/** Whether enough of a baseline is known, and it is high enough. */
function isUsable(call: FunctionCall, medians: Float64Array): boolean {
  let known = 0
  let sum = 0
  for (let i = 0; i < medians.length; i++) {
    if (!isKnown(medians[i]!)) continue
    known++
    sum += medians[i]!
  }
  const absentMax = call.args.number(4, undefined)
  const averageMin = call.args.number(5, undefined)
  const absent = (100 * (medians.length - known)) / medians.length
  if (absentMax !== undefined && absent > absentMax) return false
  return averageMin === undefined || known === 0 || sum / known >= averageMin
}

const baseline: RenderFunction = {
  name: 'baseline',
  origin: 'carbonapi',
  group: 'Calculate',
  description:
    'The median of the series at the same place of earlier ranges, as timeStack() counts them. Baselines ' +
    'with more than `maxAbsentPercent` missing, or an average below `minAvg`, are left out.',
  params: BASELINE_PARAMS,
  signature:
    'baseline(seriesList, timeShiftUnit, timeShiftStart, timeShiftEnd, [maxAbsentPercent, minAvg])',
  refetches: true,
  async run(call) {
    const found = await baselines(call)
    return found
      .filter(({ medians }) => isUsable(call, medians))
      .map(({ name, first, medians }) =>
        renameSeries(first, `baseline(${name})`, { values: medians }),
      )
  },
}

const baselineAberration: RenderFunction = {
  ...baseline,
  name: 'baselineAberration',
  description: 'The series divided by its baseline(): 1.1 is ten percent more than usual.',
  signature:
    'baselineAberration(seriesList, timeShiftUnit, timeShiftStart, timeShiftEnd, [maxAbsentPercent, minAvg])',
  async run(call) {
    const [now, found] = await Promise.all([call.refetch(call), baselines(call)])
    const current = new Map(now.map((series) => [series.name, series]))
    const result: RenderSeries[] = []
    for (const { name, first, medians } of found) {
      const actual = current.get(name)
      if (!actual || !isUsable(call, medians)) continue
      const values = medians.map((median, i) => {
        const value = actual.values[i] ?? NaN
        return median === 0 && isKnown(value) ? 0 : value / median
      })
      result.push(renameSeries(first, `baselineAberration(${name})`, { values }))
    }
    return result
  },
}

// ── service levels ──────────────────────────────────────────────────────────────────────────────────

const METHODS: Readonly<Record<string, (value: number, limit: number) => boolean>> = {
  above: (value, limit) => value > limit,
  aboveOrEqual: (value, limit) => value >= limit,
  below: (value, limit) => value < limit,
  belowOrEqual: (value, limit) => value <= limit,
}

const SLO_PARAMS: readonly Param[] = [
  SERIES_LIST,
  required('interval', 'interval', { suggestions: ['10min', '1h', '1d'] }),
  required('string', 'method', { default: 'above', options: Object.keys(METHODS) }),
  required('float', 'value'),
]

/** The share of known values that meet the condition in each interval; of what is left in the last one. */
function sharesMet(
  series: RenderSeries,
  interval: number,
  isMet: (value: number) => boolean,
): { shares: Float64Array; seconds: Float64Array } {
  const { values, step } = series
  const perBucket = Math.ceil(interval / step)
  const count = Math.ceil(values.length / perBucket)
  const shares = new Float64Array(count)
  const seconds = new Float64Array(count)
  for (let bucket = 0; bucket < count; bucket++) {
    const end = Math.min((bucket + 1) * perBucket, values.length)
    let known = 0
    let met = 0
    for (let i = bucket * perBucket; i < end; i++) {
      if (!isKnown(values[i]!)) continue
      known++
      if (isMet(values[i]!)) met++
    }
    shares[bucket] = known === 0 ? NaN : met / known
    seconds[bucket] = Math.min((end - bucket * perBucket) * step, interval)
  }
  return { shares, seconds }
}

/** An interval longer than the range looks further back. */
async function serviceLevels(
  call: FunctionCall,
  title: (series: RenderSeries, condition: string) => string,
  of: (share: number, seconds: number) => number,
): Promise<RenderSeries[]> {
  const { args } = call
  const text = args.text(1)
  const interval = intervalSeconds(text)
  const limit = args.number(3)
  const method = args.text(2)
  const isMet = METHODS[method]!
  const from = Math.min(call.from, call.until - interval)
  const [now, list] = await Promise.all([
    call.refetch(call),
    call.refetch({ from, until: call.until }),
  ])
  const starts = new Map(now.map((series) => [series.name, series.start]))
  const condition = `${text}, ${method}, ${shortNumber(limit)}`
  return eachSeries(call, list, (series) => {
    const name = title(series, condition)
    const { shares, seconds } = sharesMet(series, interval, (value) => isMet(value, limit))
    const values =
      series.step > interval ? shares.fill(NaN) : shares.map((share, i) => of(share, seconds[i]!))
    const start = starts.get(series.name) ?? series.start
    return renameSeries(series, name, {
      start,
      end: start + values.length * interval,
      step: interval,
      values,
    })
  })
}

const slo: RenderFunction = {
  name: 'slo',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'The share of values in each interval that are above or below `value`, as `method` says.',
  params: SLO_PARAMS,
  signature: 'slo(seriesList, interval, method, value)',
  refetches: true,
  run: (call) =>
    serviceLevels(
      call,
      ({ name }, condition) => `slo(${name}, ${condition})`,
      (share) => share,
    ),
}

const sloErrorBudget: RenderFunction = {
  name: 'sloErrorBudget',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'How many seconds of each interval may still fail `method` and `value` before `objective`, a share from ' +
    '0 to 1, is missed; negative when it is missed.',
  params: [...SLO_PARAMS, required('float', 'objective', { default: 0.9999 })],
  signature: 'sloErrorBudget(seriesList, interval, method, value, objective)',
  refetches: true,
  run(call) {
    const objective = call.args.number(4)
    return serviceLevels(
      call,
      ({ name }, condition) => `sloErrorBudget(${name}, ${condition}, ${shortNumber(objective)})`,
      (share, seconds) => (share - objective) * seconds,
    )
  },
}

// ── others ──────────────────────────────────────────────────────────────────────────────────────────

const integralWithReset: RenderFunction = {
  name: 'integralWithReset',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'The sum of all values up to each point, back at 0 wherever `resettingSeries` is not 0.',
  params: [SERIES_LIST, required('seriesList', 'resettingSeries')],
  run(call) {
    const [reset, ...others] = call.args.series(1)
    if (!reset || others.length > 0) {
      throw new RenderError('integralWithReset(): resettingSeries must be one series')
    }
    return eachSeries(call, call.args.series(0), (series) => {
      if (series.step !== reset.step || series.values.length !== reset.values.length) {
        throw new RenderError(
          `integralWithReset(): ${series.name} and ${reset.name} differ in step or length`,
        )
      }
      const values = new Float64Array(series.values.length)
      let sum = 0
      for (let i = 0; i < values.length; i++) {
        const value = series.values[i]!
        const isReset = isKnown(reset.values[i]!) && reset.values[i] !== 0
        if (isKnown(value)) sum = isReset ? 0 : sum + value
        values[i] = isKnown(value) ? sum : NaN
      }
      return renameSeries(series, `integralWithReset(${series.name},${reset.name})`, { values })
    })
  },
}

const scaleAfterTimestamp: RenderFunction = {
  name: 'scaleAfterTimestamp',
  origin: 'carbonapi',
  group: 'Transform',
  description: 'Multiplies values from a Unix time on by `factor`.',
  params: [
    SERIES_LIST,
    required('float', 'factor'),
    optional('integer', 'timestamp', { default: 0 }),
  ],
  signature: 'scaleAfterTimestamp(seriesList, factor)',
  run(call) {
    const [factor, time] = [call.args.number(1), call.args.number(2, 0)]
    const shown = time === 0 ? shortNumber(factor) : `${shortNumber(factor)},${time}`
    return eachSeries(call, call.args.series(0), (series) => {
      const first = Math.max(Math.ceil((time - series.start) / series.step), 0)
      const values = series.values.slice()
      for (let i = first; i < values.length; i++) values[i]! *= factor
      return renameSeries(series, `scale(${series.name},${shown})`, { values })
    })
  },
}

interface Mark {
  readonly version: string
  readonly major: number
  readonly minor: number
  readonly position: number
}

const timeShiftByMetric: RenderFunction = {
  name: 'timeShiftByMetric',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'Moves the series of older versions so that their releases fall together with the newest one. Marks are ' +
    'series whose last node is a version such as 65_4, with a value at its release; the node ' +
    '`versionRankIndex` of a series is its version.',
  params: [
    SERIES_LIST,
    required('seriesList', 'markSource'),
    required('integer', 'versionRankIndex'),
  ],
  run({ args }) {
    const [list, marks] = [args.series(0), args.series(1)]
    if (list.length < 2 || marks.length < 2) {
      throw new RenderError('timeShiftByMetric(): takes at least two series and two marks')
    }
    const latest = latestMarks(marks)
    const newest = latest[0]
    if (!newest || latest.length < 2) {
      throw new RenderError('timeShiftByMetric(): fewer than two marks name a version such as 65_4')
    }
    return list.flatMap((series) => {
      const version = (series.tags.get('name') ?? series.name).split('.')[args.number(2)]
      if (version === undefined) return []
      const mark =
        latest.find((each) => each.version === version) ??
        latest.find((each) => each.version.startsWith(version))
      if (!mark) return []
      const shift = (newest.position - mark.position) * series.step
      const name = `timeShiftByMetric(${series.name})`
      return [renameSeries(series, name, { start: series.start + shift, end: series.end + shift })]
    })
  },
}

/** The highest minor version of each major one, newest first. */
function latestMarks(marks: readonly RenderSeries[]): Mark[] {
  const latest = new Map<number, Mark>()
  for (const { tags, name, values } of marks) {
    const version = (tags.get('name') ?? name).split('.').at(-1)!
    const numbers = /(\d+)_(\d+)/.exec(version)
    const position = values.findLastIndex(isKnown)
    if (!numbers || position < 0) continue
    const mark = { version, major: Number(numbers[1]), minor: Number(numbers[2]), position }
    const known = latest.get(mark.major)
    if (!known || known.minor < mark.minor) latest.set(mark.major, mark)
  }
  return [...latest.values()].sort((a, b) => b.major - a.major)
}

export const CARBONAPI_TRANSFORM_FUNCTIONS: readonly RenderFunction[] = [
  baseline,
  baselineAberration,
  slo,
  sloErrorBudget,
  integralWithReset,
  scaleAfterTimestamp,
  timeShiftByMetric,
]
