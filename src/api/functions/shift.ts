/**
 * Functions that look at another time: timeShift(), timeStack(), timeSlice().
 */

import { renameSeries, RenderError, type RenderSeries, withTag } from '../render-series.ts'
import { isSummerTime } from '../time-zone.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { offsetOf, timeOf } from './time-arguments.ts'

export const SHIFT_SUGGESTIONS = ['1h', '6h', '12h', '1d', '2d', '7d', '14d', '30d']

/** An interval without a sign is one into the past. */
function signed(interval: string): string {
  return /^\d/.test(interval) ? `-${interval}` : interval
}

const timeShift: RenderFunction = {
  name: 'timeShift',
  group: 'Transform',
  description:
    'The series as it was some time ago, drawn as if it were now. `resetEnd` false keeps values that lie ' +
    'after the range; `alignDst` true keeps the hour of the day where summer time began or ended between.',
  params: [
    SERIES_LIST,
    required('interval', 'timeShift', { suggestions: SHIFT_SUGGESTIONS }),
    optional('boolean', 'resetEnd', { default: true }),
    optional('boolean', 'alignDst', { default: false }),
  ],
  signature: 'timeShift(seriesList, timeShift, resetEnd=True, alignDST=False)',
  refetches: true,
  async run(call) {
    const shift = signed(call.args.text(1))
    const range = shifted(call, offsetOf(shift))
    if (call.args.flag(3)) {
      const correction = summerTimeCorrection(call, range)
      range.from += correction
      range.until += correction
    }
    const [[now], list] = await Promise.all([call.refetch(call), call.refetch(range)])
    if (!now) return []
    const resetEnd = call.args.flag(2, true)
    return list.map((series) => {
      const start = shiftedStart(series, now, call.from - range.from)
      return {
        ...series,
        name: `timeShift(${series.name}, "${shift}")`,
        tags: withTag(series.tags, 'timeShift', shift),
        start,
        end: resetEnd ? now.end : series.end - series.start + start,
      }
    })
  },
}

/**
 * The start of the series as it is now; later by as much as a series lacks at its beginning, where no archive
 * reaches back so far.
 */
function shiftedStart(series: RenderSeries, now: RenderSeries, shift: number): number {
  const later = series.start + shift - now.start
  // Less than a step is only how each archive rounds.
  if (later < Math.max(series.step, now.step)) return now.start
  return now.start + Math.floor(later / series.step) * series.step
}

interface Range {
  from: number
  until: number
}

function shifted(call: FunctionCall, seconds: number): Range {
  return { from: call.from + seconds, until: call.until + seconds }
}

/** An hour when one range is in summer time as a whole, and the other not at all. */
function summerTimeCorrection(call: FunctionCall, other: Range): number {
  const inSummer = (at: number): boolean => isSummerTime(at, call.timeZone)
  const [from, until] = [inSummer(call.from), inSummer(call.until)]
  const [otherFrom, otherUntil] = [inSummer(other.from), inSummer(other.until)]
  if (from && until && !otherFrom && !otherUntil) return 3_600
  if (!from && !until && otherFrom && otherUntil) return -3_600
  return 0
}

const timeStack: RenderFunction = {
  name: 'timeStack',
  group: 'Transform',
  description:
    'The series as it was 0, 1, 2 … units ago, from `timeShiftStart` up to but without `timeShiftEnd`, one ' +
    'line each.',
  params: [
    SERIES_LIST,
    optional('interval', 'timeShiftUnit', { default: '1d', suggestions: SHIFT_SUGGESTIONS }),
    optional('integer', 'timeShiftStart', { default: 0 }),
    optional('integer', 'timeShiftEnd', { default: 7 }),
  ],
  refetches: true,
  async run(call) {
    const unit = signed(call.args.text(1, '1d'))
    const seconds = offsetOf(unit)
    const [first, end] = [call.args.number(2, 0), call.args.number(3, 7)]
    if (end - first > STACK_MAX)
      throw new RenderError(`timeStack(): at most ${STACK_MAX} lines are drawn`)
    const shifts = Array.from({ length: Math.max(end - first, 0) }, (_, i) => first + i)
    const [[now], ...lists] = await Promise.all([
      call.refetch(call),
      ...shifts.map((shift) => call.refetch(shifted(call, seconds * shift))),
    ])
    if (!now) return []
    return lists.flatMap((list, i) => {
      const shift = shifts[i]!
      return list.map((series) => ({
        ...stacked(series, now, unit, shift),
        start: shiftedStart(series, now, -seconds * shift),
      }))
    })
  },
}

const STACK_MAX = 1_000

function stacked(
  series: RenderSeries,
  now: RenderSeries,
  unit: string,
  shift: number,
): RenderSeries {
  return renameSeries(series, `timeShift(${series.name}, ${unit}, ${shift})`, {
    tags: new Map(series.tags).set('timeShiftUnit', unit).set('timeShift', String(shift)),
    end: now.end,
  })
}

const timeSlice: RenderFunction = {
  name: 'timeSlice',
  group: 'Transform',
  description: 'Takes out the values in front of one time and behind another.',
  params: [
    SERIES_LIST,
    required('date', 'startSliceAt'),
    optional('date', 'endSliceAt', { default: 'now' }),
  ],
  run(call) {
    const [from, until] = [timeOf(call, call.args.text(1)), timeOf(call, call.args.text(2, 'now'))]
    return eachSeries(call, call.args.series(0), (series) => {
      const values = series.values.slice()
      for (let i = 0; i < values.length; i++) {
        const time = call.from + i * series.step
        if (time < from || time > until) values[i] = NaN
      }
      return {
        ...series,
        values,
        name: `timeSlice(${series.name}, ${from}, ${until})`,
        tags: new Map(series.tags)
          .set('timeSliceStart', String(from))
          .set('timeSliceEnd', String(until)),
      }
    })
  },
}

export const SHIFT_FUNCTIONS: readonly RenderFunction[] = [timeShift, timeStack, timeSlice]
