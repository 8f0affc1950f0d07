/**
 * Calendar fields of an instant in a time zone, and back, by the zone data that Bun carries (IANA).
 *
 * Local times that a change to summer time skips, or that occur twice, are read with the offset of standard
 * time, as pytz's `localize` does. Formatters are kept, one a zone: making one is slow.
 */

export interface CalendarTime {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(timeZone: string): Intl.DateTimeFormat {
  let known = formatters.get(timeZone)
  if (!known) {
    known = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formatters.set(timeZone, known)
  }
  return known
}

/** Whether there is such a zone. */
export function isTimeZone(name: string): boolean {
  try {
    formatter(name)
    return true
  } catch {
    return false
  }
}

export function toCalendar(seconds: number, timeZone: string): CalendarTime {
  if (timeZone === 'UTC') return utcCalendar(seconds)
  const fields: Record<string, number> = {}
  for (const { type, value } of formatter(timeZone).formatToParts(seconds * 1000)) {
    fields[type] = Number(value)
  }
  return {
    year: fields['year']!,
    month: fields['month']!,
    day: fields['day']!,
    hour: fields['hour']!,
    minute: fields['minute']!,
    second: fields['second']!,
  }
}

/** Unix seconds of a local time; fields out of range carry over (day 0 is the last of the month before). */
export function fromCalendar(time: CalendarTime, timeZone: string): number {
  const utc = utcSeconds(time)
  if (timeZone === 'UTC' || !Number.isFinite(utc)) return utc
  const before = utc - offsetAt(utc - 86_400, timeZone)
  const after = utc - offsetAt(utc + 86_400, timeZone)
  if (before === after) return before
  // Around a change two offsets are candidates; one fits, or both, or none.
  // Standard time, the smaller offset, gives the later instant.
  const fits = [before, after].filter((at) => at + offsetAt(at, timeZone) === utc)
  return fits.length === 1 ? fits[0]! : Math.max(before, after)
}

/** Seconds that local time is ahead of UTC. */
export function offsetAt(seconds: number, timeZone: string): number {
  return utcSeconds(toCalendar(seconds, timeZone)) - Math.floor(seconds)
}

/** Whether summer time is in force: the offset is not the year's smallest. */
export function isSummerTime(seconds: number, timeZone: string): boolean {
  const { year } = toCalendar(seconds, timeZone)
  const january = offsetAt(Date.UTC(year, 0, 15) / 1000, timeZone)
  const july = offsetAt(Date.UTC(year, 6, 15) / 1000, timeZone)
  return january !== july && offsetAt(seconds, timeZone) === Math.max(january, july)
}

/** 0 is Sunday. */
export function weekday(time: CalendarTime): number {
  return new Date(utcSeconds(time) * 1000).getUTCDay()
}

function utcSeconds(time: CalendarTime): number {
  return Date.UTC(time.year, time.month - 1, time.day, time.hour, time.minute, time.second) / 1000
}

function utcCalendar(seconds: number): CalendarTime {
  const date = new Date(seconds * 1000)
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  }
}
