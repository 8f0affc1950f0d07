/** C's strftime, in English, in a time zone: what `xFormat` is written in. An unknown letter stands as it is. */

import { type CalendarTime, offsetAt, toCalendar, weekday } from '../time-zone.ts'

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const SHORTHANDS: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  T: '%H:%M:%S',
  r: '%I:%M:%S %p',
  h: '%b',
  x: '%m/%d/%y',
  X: '%H:%M:%S',
  c: '%a %b %e %H:%M:%S %Y',
}

export function formatTime(format: string, time: number, timeZone: string): string {
  const at = toCalendar(time, timeZone)
  const expanded = format.replaceAll(
    /%([A-Za-z])/g,
    (whole, letter: string) => SHORTHANDS[letter] ?? whole,
  )
  return expanded
    .replaceAll(/%([A-Za-z%])/g, (whole, letter: string) => {
      return printField(letter, at, { time, timeZone }) ?? whole
    })
    .replaceAll('  ', ' ')
}

function printField(
  letter: string,
  at: CalendarTime,
  zone: { time: number; timeZone: string },
): string | undefined {
  const { year, month, day, hour, minute, second } = at
  const day0 = weekday(at)
  switch (letter) {
    case 'a':
      return DAYS[day0]!.slice(0, 3)
    case 'A':
      return DAYS[day0]!
    case 'b':
      return MONTHS[month - 1]!.slice(0, 3)
    case 'B':
      return MONTHS[month - 1]!
    case 'd':
      return pad(day)
    case 'e':
      return String(day).padStart(2)
    case 'H':
      return pad(hour)
    case 'I':
      return pad(hour % 12 || 12)
    case 'k':
      return String(hour).padStart(2)
    case 'l':
      return String(hour % 12 || 12).padStart(2)
    case 'j':
      return String(dayOfYear(at)).padStart(3, '0')
    case 'm':
      return pad(month)
    case 'M':
      return pad(minute)
    case 'p':
      return hour < 12 ? 'AM' : 'PM'
    case 'P':
      return hour < 12 ? 'am' : 'pm'
    case 's':
      return String(zone.time)
    case 'S':
      return pad(second)
    case 'u':
      return String(day0 || 7)
    case 'w':
      return String(day0)
    case 'y':
      return pad(year % 100)
    case 'Y':
      return String(year)
    case 'z':
      return printOffset(offsetAt(zone.time, zone.timeZone))
    case 'Z':
      return zone.timeZone
    case '%':
      return '%'
    default:
      return undefined
  }
}

function pad(value: number): string {
  return String(value).padStart(2, '0')
}

function dayOfYear({ year, month, day }: CalendarTime): number {
  return (Date.UTC(year, month - 1, day) - Date.UTC(year, 0, 0)) / 86_400_000
}

function printOffset(seconds: number): string {
  const size = Math.abs(seconds)
  return `${seconds < 0 ? '-' : '+'}${pad(Math.floor(size / 3_600))}${pad(Math.floor(size / 60) % 60)}`
}
