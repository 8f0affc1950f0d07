/**
 * What a reload changes, as lines for the log: the configuration as it is printed before and after, `-` before
 * what goes and `+` before what comes (carbon-c-relay router_printdiffs calls diff), then the relay's settings
 * likewise. Lines that stay are left out. The longest common subsequence is looked for (Hunt and McIlroy, 1976, in
 * its simplest form) unless more than CELLS_MAX comparisons were needed; then everything between the first and the
 * last change is listed.
 */

import type { Config } from '../config.ts'
import { printConfig } from './test-mode/print-config.ts'
import type { Router } from './routing/router.ts'

const CELLS_MAX = 4_000_000

export function configChanges(before: Router, after: Router, hostname: string): string[] {
  const options = {
    debug: false,
    hostname,
    optimiserThreshold: -1,
    defaultListeners: [],
    omitAggregations: false,
  }
  return changedLines(
    printConfig(before, options).split('\n'),
    printConfig(after, options).split('\n'),
  )
}

export function settingChanges(before: Config, after: Config): string[] {
  return changedLines(settingLines(before), settingLines(after))
}

/** The token is a secret: no line tells of it. */
function settingLines({ relay, store }: Config): string[] {
  const settings = { ...relay, max_future: store.max_future }
  return Object.entries(settings).map(([name, value]) => `${name} = ${String(value)}`)
}

export function changedLines(before: readonly string[], after: readonly string[]): string[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let same = 0
  const room = Math.min(before.length, after.length) - start
  while (same < room && before.at(-1 - same) === after.at(-1 - same)) same++
  return difference(
    before.slice(start, before.length - same),
    after.slice(start, after.length - same),
  )
}

function difference(before: readonly string[], after: readonly string[]): string[] {
  const gone = (line: string): string => `- ${line}`
  const come = (line: string): string => `+ ${line}`
  if (before.length * after.length > CELLS_MAX) return [...before.map(gone), ...after.map(come)]
  const width = after.length + 1
  /** Length of the longest common subsequence of what is left from (i, k) on. */
  const common = new Uint32Array((before.length + 1) * width)
  for (let i = before.length - 1; i >= 0; i--) {
    for (let k = after.length - 1; k >= 0; k--) {
      const down = common[(i + 1) * width + k]!
      const right = common[i * width + k + 1]!
      const both = common[(i + 1) * width + k + 1]! + 1
      common[i * width + k] = before[i] === after[k] ? both : Math.max(down, right)
    }
  }
  const lines: string[] = []
  let i = 0
  let k = 0
  while (i < before.length || k < after.length) {
    if (i < before.length && k < after.length && before[i] === after[k]) {
      i++
      k++
    } else if (
      k === after.length ||
      (i < before.length && common[(i + 1) * width + k]! >= common[i * width + k + 1]!)
    ) {
      lines.push(gone(before[i++]!))
    } else lines.push(come(after[k++]!))
  }
  return lines
}
