/**
 * The time axis: ticks at round local times of the request's zone, as many as fit beside one another, with
 * lines between them. Steps are seconds, minutes and hours that divide the next larger unit, then days,
 * weeks, months and years of the calendar; changes of summer time do not shift them.
 */

import { type CalendarTime, fromCalendar, toCalendar } from '../time-zone.ts'
import { formatTime } from './strftime.ts'

export interface TimeTick {
  /** Unix seconds. */
  readonly time: number
  readonly label: string
}

export interface TimeAxis {
  readonly ticks: readonly TimeTick[]
  /** Times of the lines between ticks. */
  readonly minor: readonly number[]
}

interface Step {
  readonly unit: 'second' | 'day' | 'month'
  /** Of the unit. */
  readonly count: number
  /** Roughly. */
  readonly seconds: number
  readonly format: string
  /** The step of the lines between. */
  readonly minor: number
}

const DAY = 86_400
const MONTH = 30 * DAY

const seconds = (count: number, minor: number): Step => ({
  unit: 'second',
  count,
  seconds: count,
  format: count < 60 ? '%H:%M:%S' : '%H:%M',
  minor,
})
const days = (count: number, minor: number): Step => ({
  unit: 'day',
  count,
  seconds: count * DAY,
  format: '%b %e',
  minor,
})
const months = (count: number, minor: number): Step => ({
  unit: 'month',
  count,
  seconds: count * MONTH,
  format: count < 12 ? '%b' : '%Y',
  minor,
})

/** Minor lines of day steps are seconds up to 12 h, then days; of month steps days, then months. */
const STEPS: readonly Step[] = [
  seconds(1, 1),
  seconds(2, 1),
  seconds(5, 1),
  seconds(10, 5),
  seconds(15, 5),
  seconds(30, 10),
  seconds(60, 30),
  seconds(120, 60),
  seconds(300, 60),
  seconds(600, 300),
  seconds(900, 300),
  seconds(1_800, 600),
  seconds(3_600, 1_800),
  seconds(7_200, 3_600),
  seconds(10_800, 3_600),
  seconds(21_600, 10_800),
  seconds(43_200, 21_600),
  days(1, 21_600),
  days(2, 43_200),
  days(7, DAY),
  days(14, 7 * DAY),
  months(1, 7 * DAY),
  months(2, MONTH),
  months(3, MONTH),
  months(6, MONTH),
  months(12, 3 * MONTH),
  months(24, 6 * MONTH),
  months(60, 12 * MONTH),
  months(120, 12 * MONTH),
]

const TICKS_MAX = 200

export interface TimeAxisOptions {
  /** Unix seconds, from < until. */
  readonly from: number
  readonly until: number
  readonly timeZone: string
  /** strftime's, for all labels. */
  readonly format: string | undefined
  /** Pixels per second. */
  readonly scale: number
  readonly widthOf: (label: string) => number
}

export function makeTimeAxis(options: TimeAxisOptions): TimeAxis {
  const { scale, widthOf } = options
  const step =
    STEPS.find((one) => {
      const widest = widthOf(formatTime(one.format, WIDE, 'UTC'))
      const given =
        options.format === undefined ? 0 : widthOf(formatTime(options.format, WIDE, 'UTC'))
      return one.seconds * scale >= Math.max(widest, given) + GAP_PIXELS
    }) ?? STEPS.at(-1)!
  const times = timesOf(step, options)
  const between = step.minor * scale < MINOR_PIXELS_MIN ? [] : timesOf(minorOf(step), options)
  return {
    ticks: times.map((time) => ({ time, label: labelOf(time, step, options) })),
    minor: between.filter((time) => !times.includes(time)),
  }
}

/** Between labels. */
const GAP_PIXELS = 16
/** Between lines. */
const MINOR_PIXELS_MIN = 10
/** 2000-09-27 22:48:48, a wide time. */
const WIDE = 970_094_928

/** Midnights between hours are labelled with their date, Januaries between months with their year. */
function labelOf(time: number, step: Step, { format, timeZone }: TimeAxisOptions): string {
  if (format !== undefined) return formatTime(format, time, timeZone)
  if (step.unit === 'second' && step.seconds >= 60) {
    const { hour, minute, second } = toCalendar(time, timeZone)
    if (hour === 0 && minute === 0 && second === 0) return formatTime('%b %e', time, timeZone)
  }
  if (step.unit === 'month' && toCalendar(time, timeZone).month === 1) {
    return formatTime('%Y', time, timeZone)
  }
  return formatTime(step.format, time, timeZone)
}

function minorOf(step: Step): Step {
  const { minor } = step
  if (minor < DAY) return { ...step, unit: 'second', count: minor, seconds: minor }
  if (minor < MONTH) return { ...step, unit: 'day', count: minor / DAY, seconds: minor }
  return { ...step, unit: 'month', count: minor / MONTH, seconds: minor }
}

/** The step's times in [from, until], ascending. */
function timesOf(step: Step, { from, until, timeZone }: TimeAxisOptions): number[] {
  const times: number[] = []
  let at = firstTime(step, toCalendar(from, timeZone))
  for (let i = 0; i < TICKS_MAX * 10 && times.length < TICKS_MAX; i++) {
    const time = fromCalendar(at, timeZone)
    if (time > until) break
    if (time >= from && time !== times.at(-1)) times.push(time)
    at = nextTime(step, at)
  }
  return times
}

/** The last of the step's times that is not after `at`. */
function firstTime(step: Step, at: CalendarTime): CalendarTime {
  const midnight = { ...at, hour: 0, minute: 0, second: 0 }
  if (step.unit === 'month') {
    const month = at.year * 12 + at.month - 1
    const first = Math.floor(month / step.count) * step.count
    return { ...midnight, year: Math.floor(first / 12), month: (first % 12) + 1, day: 1 }
  }
  if (step.unit === 'day') {
    // Day 0 is Thursday 1970-01-01; weeks start on Monday.
    const number = Date.UTC(at.year, at.month - 1, at.day) / (DAY * 1000)
    const shift = step.count % 7 === 0 ? 3 : 0
    const first = Math.floor((number + shift) / step.count) * step.count - shift
    return { ...midnight, day: at.day - (number - first) }
  }
  const second = at.hour * 3_600 + at.minute * 60 + at.second
  return { ...midnight, second: Math.floor(second / step.count) * step.count }
}

/** Fields may run over: `fromCalendar` carries them. */
function nextTime(step: Step, at: CalendarTime): CalendarTime {
  switch (step.unit) {
    case 'month':
      return { ...at, month: at.month + step.count }
    case 'day':
      return { ...at, day: at.day + step.count }
    case 'second':
      return { ...at, second: at.second + step.count }
  }
}
