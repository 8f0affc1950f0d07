/**
 * `YYYY-MM-DD HH:MM:SS` in a time zone, for many times: the zone's offset is looked up once a quarter of an
 * hour, the finest grid on which zones change it.
 */

import { offsetAt } from '../time-zone.ts'

const QUARTER = 900

export function localTimeTexts(timeZone: string): (seconds: number) => string {
  const offsets = new Map<number, number>()
  return (seconds) => {
    const quarter = Math.floor(seconds / QUARTER)
    let offset = offsets.get(quarter)
    if (offset === undefined) {
      offset = offsetAt(quarter * QUARTER, timeZone)
      offsets.set(quarter, offset)
    }
    return new Date((seconds + offset) * 1000).toISOString().slice(0, 19).replace('T', ' ')
  }
}
