/**
 * Functions that put values into buckets of an interval: summarize(), smartSummarize(), hitcount().
 */

import { unitSeconds } from '../at-time.ts'
import { RenderError, replaceSeries, type RenderSeries } from '../render-series.ts'
import { type CalendarTime, fromCalendar, toCalendar, weekday } from '../time-zone.ts'
import { type Aggregation, AGGREGATION_NAMES, isKnown } from './aggregation.ts'
import { aggregationOf } from './aggregate-series.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { intervalSeconds } from './time-arguments.ts'

const INTERVAL = required('interval', 'intervalString', { suggestions: ['10min', '1h', '1d'] })
const FUNC = optional('aggFunc', 'func', { default: 'sum', options: AGGREGATION_NAMES })

interface Buckets {
  readonly start: number
  readonly end: number
  readonly interval: number
}

/** The aggregate of the values in each bucket; buckets with too few known values are nothing. */
function summarized(
  series: RenderSeries,
  aggregation: Aggregation,
  { start, end, interval }: Buckets,
): Float64Array {
  const { values, step } = series
  const points = interval / step
  const result = new Float64Array(Math.max(Math.ceil((end - start) / interval), 0))
  const length = Math.min(values.length, Math.ceil((series.end - series.start) / step))
  let i = 0
  for (let bucket = 0; bucket < result.length; bucket++) {
    const bucketStart = start + bucket * interval
    let from = i
    let known = 0
    for (; i < length && series.start + i * step < bucketStart + interval; i++) {
      const time = series.start + i * step
      if (time <= bucketStart) from = i
      if (time >= bucketStart && isKnown(values[i]!)) known++
    }
    const enough = known > 0 && known / points >= series.xFilesFactor
    result[bucket] = enough ? aggregation.of(values, from, i) : NaN
  }
  return result
}

const summarize: RenderFunction = {
  name: 'summarize',
  group: 'Transform',
  description:
    'Aggregates the values of each interval with `func`. Intervals stand at multiples of their length in ' +
    'UTC, or start with the series when `alignToFrom` is true.',
  params: [SERIES_LIST, INTERVAL, FUNC, optional('boolean', 'alignToFrom', { default: false })],
  run(call) {
    const [text, func, aligned] = [call.args.text(1), call.args.text(2, 'sum'), call.args.flag(3)]
    const interval = intervalSeconds(text)
    const aggregation = aggregationOf(func)
    return eachSeries(call, call.args.series(0), (series) => {
      const start = aligned ? series.start : series.start - (series.start % interval)
      const end = aligned ? series.end : series.end - (series.end % interval) + interval
      call.pace.reserve((end - start) / interval)
      const values = summarized(series, aggregation, { start, end, interval })
      const tags = new Map(series.tags).set('summarize', text).set('summarizeFunction', func)
      return replaceSeries(
        series,
        `summarize(${series.name}, "${text}", "${func}"${aligned ? ', true' : ''})`,
        {
          start,
          end: aligned ? start + values.length * interval : end,
          step: interval,
          values,
          tags,
        },
      )
    })
  },
}

/** As graphite-web lists them; a day of the week may follow, as in `weeks3`. */
const ALIGN_TO = [
  null,
  'years',
  'months',
  'weeks',
  'days',
  'hours',
  'minutes',
  'seconds',
  true,
  false,
]

const smartSummarize: RenderFunction = {
  name: 'smartSummarize',
  group: 'Transform',
  description:
    'Aggregates the values of each interval with `func`, from the start of the range on, or from the start ' +
    'of the hour, day, week and so on that `alignTo` names, in the time zone of the request.',
  params: [
    SERIES_LIST,
    INTERVAL,
    FUNC,
    optional('string', 'alignTo', { options: ALIGN_TO, open: true }),
  ],
  refetches: true,
  async run(call) {
    const [text, func] = [call.args.text(1), call.args.text(2, 'sum')]
    const interval = intervalSeconds(text)
    const aggregation = aggregationOf(func)
    const alignTo = call.args.at(3)
    const from = alignTo.kind === 'string' ? alignedStart(call, alignTo.text) : call.from
    return eachSeries(call, await call.refetch({ from, until: call.until }), (series) => {
      const { start } = series
      call.pace.reserve((series.end - start) / interval)
      const values = summarized(series, aggregation, { start, end: series.end, interval })
      const tags = new Map(series.tags)
        .set('smartSummarize', text)
        .set('smartSummarizeFunction', func)
      return replaceSeries(series, `smartSummarize(${series.name}, "${text}", "${func}")`, {
        end: start + values.length * interval,
        step: interval,
        values,
        tags,
      })
    })
  },
}

/** The range's start cut to a unit of the calendar; `weeks3` are weeks that start on Wednesday. */
function alignedStart(call: FunctionCall, alignTo: string): number {
  const time = toCalendar(call.from, call.timeZone)
  const unit = unitSeconds(alignTo)
  if (unit === undefined)
    throw new RenderError(`unknown unit ${JSON.stringify(alignTo)} to align to`)
  if (unit === 604_800) {
    const digit = /\d$/.exec(alignTo)?.[0]
    const first = digit === undefined ? 1 : Number(digit)
    const isoDay = weekday(time) === 0 ? 7 : weekday(time)
    const back = (isoDay - first + 7) % 7
    return fromCalendar({ ...cutTo(time, 86_400), day: time.day - back }, call.timeZone)
  }
  return fromCalendar(cutTo(time, unit), call.timeZone)
}

/** Zeros below the unit of so many seconds. */
function cutTo(time: CalendarTime, unit: number): CalendarTime {
  return {
    year: time.year,
    month: unit > 30 * 86_400 ? 1 : time.month,
    day: unit >= 30 * 86_400 ? 1 : time.day,
    hour: unit >= 86_400 ? 0 : time.hour,
    minute: unit >= 3_600 ? 0 : time.minute,
    second: unit >= 60 ? 0 : time.second,
  }
}

const hitcount: RenderFunction = {
  name: 'hitcount',
  group: 'Transform',
  description:
    'How much a rate a second comes to in each interval. The last interval ends with the series, or ' +
    'intervals start at whole days, hours or minutes when `alignToInterval` is true.',
  params: [SERIES_LIST, INTERVAL, optional('boolean', 'alignToInterval', { default: false })],
  refetches: true,
  async run(call) {
    const text = call.args.text(1)
    const interval = intervalSeconds(text)
    const aligned = call.args.flag(2)
    const from = aligned ? hitcountStart(call, interval) : call.from
    return eachSeries(call, await call.refetch({ from, until: call.until }), (series) => {
      const end = aligned
        ? series.start + (Math.floor((series.end - series.start) / interval) + 1) * interval
        : series.end
      const count = Math.ceil((end - series.start) / interval)
      call.pace.reserve(count)
      const start = end - count * interval
      const values = hits(series, { start, end, interval })
      const tags = new Map(series.tags).set('hitcount', text)
      const name = `hitcount(${series.name}, "${text}"${aligned ? ', true' : ''})`
      return replaceSeries(series, name, { start, end, step: interval, values, tags })
    })
  },
}

function hitcountStart(call: FunctionCall, interval: number): number {
  const unit = [86_400, 3_600, 60].find((seconds) => interval >= seconds) ?? 1
  return fromCalendar(cutTo(toCalendar(call.from, call.timeZone), unit), call.timeZone)
}

/** Value × step, spread over the buckets that the step touches. */
function hits(series: RenderSeries, { start, end, interval }: Buckets): Float64Array {
  const { values, step } = series
  const count = Math.ceil((end - start) / interval)
  const result = new Float64Array(count).fill(NaN)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    const from = series.start + i * step - start
    const to = from + step
    const last = Math.min(Math.floor(to / interval), count - 1)
    for (let bucket = Math.max(Math.floor(from / interval), 0); bucket <= last; bucket++) {
      const begin = Math.max(from, bucket * interval)
      const seconds = Math.min(to, (bucket + 1) * interval) - begin
      if (seconds <= 0) continue
      const share = value * seconds
      result[bucket] = isKnown(result[bucket]!) ? result[bucket]! + share : share
    }
  }
  return result
}

export const SUMMARIZE_FUNCTIONS: readonly RenderFunction[] = [summarize, smartSummarize, hitcount]
