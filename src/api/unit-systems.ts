/**
 * Numbers with a unit prefix (graphite-web render/glyph.py format_units): `1.50k`, `2.00 KiB`.
 */

import { formatTwoDecimals } from './python-format.ts'

export type UnitSystem = 'si' | 'binary'

export type UnitPrefix = readonly [prefix: string, size: number]

/** The largest first. */
export const UNIT_PREFIXES: Readonly<Record<UnitSystem, readonly UnitPrefix[]>> = {
  si: [
    ['P', 1e15],
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ],
  binary: [
    ['Pi', 1024 ** 5],
    ['Ti', 1024 ** 4],
    ['Gi', 1024 ** 3],
    ['Mi', 1024 ** 2],
    ['Ki', 1024],
  ],
}

/** Two decimals and the largest prefix that fits; a blank in front of it when a unit follows. */
export function formatUnits(value: number, system: UnitSystem, units = ''): string {
  const prefix = UNIT_PREFIXES[system].find(([, size]) => Math.abs(value) >= size)
  const scaled = prefix ? value / prefix[1] : value
  const suffix = `${prefix?.[0] ?? ''}${units}`
  return `${formatTwoDecimals(scaled)}${units === '' ? suffix : ` ${suffix}`}`
}
