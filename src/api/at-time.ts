/**
 * The grammar of from and until, and of intervals such as `5min` (graphite-web render/attime.py).
 *
 * ```
 * time      := epoch | [reference] [offset]
 * reference := now | [clock] [day]        lower case; blanks, `_` and `,` are ignored
 * clock     := H:MM[am|pm] | Ham | Hpm | noon | midnight | teatime
 * day       := today | yesterday | tomorrow | MM/DD/YY[YY] | YYYYMMDD | month name and day | weekday
 * offset    := (+|-) (number unit)+       s min h d w mon (30 days) y (365 days), by prefix
 * ```
 *
 * Days and times of day are of the asker's time zone; an offset is so many seconds of elapsed time. `12am`
 * is noon and `12pm` midnight, as graphite-web has it.
 */

import { err, ok, type Result } from '../lib/result.ts'
import { type CalendarTime, fromCalendar, toCalendar, weekday } from './time-zone.ts'

export interface AtTimeContext {
  /** Unix seconds. */
  readonly now: number
  /** IANA name. */
  readonly timeZone: string
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** Year 9999: later is nonsense, and would overflow what the store takes for a time. */
const LATEST = 253_402_300_799
const TEXT_MAX = 256

/** `-1h`, `now`, `noon yesterday`, `20260101`, `1767225600` → Unix seconds. */
export function parseAtTime(text: string, context: AtTimeContext): Result<number> {
  if (text.length > TEXT_MAX)
    return err(`time of ${text.length} bytes: at most ${TEXT_MAX} are taken`)
  const compact = text.trim().toLowerCase().replaceAll(/[_, ]/g, '')
  const time = parseCompact(compact, context)
  if (!time.ok) return err(`cannot parse time ${JSON.stringify(text)}: ${time.error}`)
  if (!(time.value >= 0 && time.value <= LATEST)) {
    return err(`cannot use time ${JSON.stringify(text)}: it must be in the years 1970 to 9999`)
  }
  return time
}

function parseCompact(text: string, context: AtTimeContext): Result<number> {
  if (/^\d+$/.test(text) && !looksLikeDate(text)) return ok(Number(text))
  const plus = text.indexOf('+')
  const at = plus >= 0 ? plus : text.indexOf('-')
  const reference = at < 0 ? text : text.slice(0, at)
  const time = parseReference(reference, context)
  if (!time.ok || at < 0) return time
  const offset = parseOffset(text.slice(at))
  return offset.ok ? ok(time.value + offset.value) : offset
}

/** YYYYMMDD and not an epoch of 1970. */
function looksLikeDate(text: string): boolean {
  if (text.length !== 8) return false
  const [year, month, day] = [text.slice(0, 4), text.slice(4, 6), text.slice(6)].map(Number)
  return year! > 1900 && month! < 13 && day! < 32
}

interface Clock {
  hour: number
  minute: number
}

function parseReference(text: string, context: AtTimeContext): Result<number> {
  if (text === '' || text === 'now') return ok(context.now)
  const clock: Clock = { hour: 0, minute: 0 }
  const day = takeClock(text, clock)
  if (clock.hour > 23 || clock.minute > 59)
    return err(`there is no time of day ${clock.hour}:${clock.minute}`)
  const today = toCalendar(context.now, context.timeZone)
  const date = parseDay(day, { ...today, hour: clock.hour, minute: clock.minute, second: 0 })
  return date.ok ? ok(fromCalendar(date.value, context.timeZone)) : date
}

/** Reads the time of day that the text starts with; answers the rest. */
function takeClock(text: string, clock: Clock): string {
  const digital = /^(\d{1,2}):(\d{2})(am|pm)?/.exec(text) ?? /^(\d{1,2})()(am|pm)/.exec(text)
  if (digital) {
    const [all, hour, minute, half] = digital
    clock.hour = onTwelveHourClock(Number(hour), half)
    clock.minute = Number(minute)
    return text.slice(all.length)
  }
  for (const [name, hour] of NAMED_TIMES) {
    if (!text.startsWith(name)) continue
    clock.hour = hour
    return text.slice(name.length)
  }
  return text
}

const NAMED_TIMES = [
  ['noon', 12],
  ['midnight', 0],
  ['teatime', 16],
] as const

function onTwelveHourClock(hour: number, half: string | undefined): number {
  if (half === 'pm') return (hour + 12) % 24
  return hour
}

function parseDay(text: string, today: CalendarTime): Result<CalendarTime> {
  if (text === '' || text === 'today') return ok(today)
  if (text === 'yesterday') return ok({ ...today, day: today.day - 1 })
  if (text === 'tomorrow') return ok({ ...today, day: today.day + 1 })
  const slashes = /^(\d{1,2})\/(\d{1,2})\/(\d{1,4})$/.exec(text)
  if (slashes) {
    const [, month, day, year] = slashes.map(Number)
    return checkedDate({ ...today, year: fullYear(year!), month: month!, day: day! })
  }
  const digits = /^(\d{4})(\d{2})(\d{2})$/.exec(text)
  if (digits) {
    const [, year, month, day] = digits.map(Number)
    return checkedDate({ ...today, year: year!, month: month!, day: day! })
  }
  const month = MONTHS.indexOf(text.slice(0, 3))
  if (month >= 0) return parseMonthDay(text, month + 1, today)
  const day = WEEKDAYS.indexOf(text.slice(0, 3))
  if (day < 0) return err(`unknown day ${JSON.stringify(text)}`)
  return ok({ ...today, day: today.day - ((weekday(today) - day + 7) % 7) })
}

function parseMonthDay(text: string, month: number, today: CalendarTime): Result<CalendarTime> {
  const day = /(\d{1,2})$/.exec(text)
  if (!day) return err('a month name must be followed by the day of the month')
  return checkedDate({ ...today, month, day: Number(day[1]) })
}

/** Two digits: 70 to 99 are of the last century. */
function fullYear(year: number): number {
  const withCentury = year < 1900 ? year + 1900 : year
  return withCentury < 1970 ? withCentury + 100 : withCentury
}

function checkedDate(date: CalendarTime): Result<CalendarTime> {
  const { year, month, day } = date
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate()
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth
  return exists ? ok(date) : err(`there is no day ${year}-${month}-${day}`)
}

// ── intervals ───────────────────────────────────────────────────────────────────────────────────────

const UNITS: readonly (readonly [prefix: string, seconds: number])[] = [
  ['s', 1],
  ['min', 60],
  ['h', 3_600],
  ['d', 86_400],
  ['w', 604_800],
  ['mon', 30 * 86_400],
  ['y', 365 * 86_400],
]

/** Python's timedelta ends at 10⁹ days; this is well before it and exact. */
const INTERVAL_SECONDS_MAX = 1e12

/** `5min`, `-1d`, `+1h30min` → seconds, signed. */
export function parseOffset(text: string): Result<number> {
  if (text === '') return ok(0)
  const sign = text.startsWith('-') ? -1 : 1
  let rest = /^[+-]/.test(text) ? text.slice(1) : text
  let total = 0
  while (rest !== '') {
    const part = /^(\d+)([a-z]+)/i.exec(rest)
    if (!part) return err(`${JSON.stringify(rest)} is not a number with a unit`)
    const seconds = unitSeconds(part[2]!)
    if (seconds === undefined) return err(`unknown unit ${JSON.stringify(part[2])}`)
    total += Number(part[1]) * seconds
    rest = rest.slice(part[0].length)
  }
  if (total > INTERVAL_SECONDS_MAX) return err(`${JSON.stringify(text)} is too long a time`)
  return ok(sign * total)
}

/** Seconds of a unit given by any text that starts like it; undefined for a bare `m` and what is no unit. */
export function unitSeconds(unit: string): number | undefined {
  return UNITS.find(([prefix]) => unit.startsWith(prefix))?.[1]
}
