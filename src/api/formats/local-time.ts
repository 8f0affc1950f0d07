/**
 * `YYYY-MM-DD HH:MM:SS` in a time zone, for many times: the zone's offset is looked up once a quarter of an
 * hour, the finest grid on which zones change it.
 */

const QUARTER = 900

export function localTimeTexts(timeZone: string): (seconds: number) => string {
  const offsetAt = zoneOffsets(timeZone)
  return (seconds) =>
    new Date((seconds + offsetAt(seconds)) * 1000).toISOString().slice(0, 19).replace('T', ' ')
}

/** Seconds to add to UTC for the wall clock of the zone. */
export function zoneOffsets(timeZone: string): (seconds: number) => number {
  if (timeZone === 'UTC') return () => 0
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const known = new Map<number, number>()
  return (seconds) => {
    const quarter = Math.floor(seconds / QUARTER)
    let offset = known.get(quarter)
    if (offset === undefined) {
      offset = wallSeconds(format, quarter * QUARTER) - quarter * QUARTER
      known.set(quarter, offset)
    }
    return offset
  }
}

function wallSeconds(format: Intl.DateTimeFormat, seconds: number): number {
  const parts: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {}
  for (const { type, value } of format.formatToParts(seconds * 1000)) parts[type] = Number(value)
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000
}
