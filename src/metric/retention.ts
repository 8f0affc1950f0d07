/**
 * Retentions as storage-schemas.conf writes them: `10s:6h,1m:30d` → archives, finest first.
 *
 * Both parts may carry a unit; a bare first part is seconds, a bare second part is a count of slots
 * (python carbon's meaning, whisper.parseRetentionDef; go-carbon reads `10s:1440` as 144 slots). Units are
 * any prefix of seconds, minutes, hours, days, weeks, years. The rules for a set of archives are
 * whisper.validateArchiveList's.
 */

import { err, ok, type Result } from '../lib/result.ts'

export interface Archive {
  /** Seconds a slot. */
  readonly step: number
  /** Slots. */
  readonly count: number
}

const UNITS: readonly (readonly [string, number])[] = [
  ['seconds', 1],
  ['minutes', 60],
  ['hours', 3_600],
  ['days', 86_400],
  ['weeks', 604_800],
  ['years', 31_536_000],
]

const STEP_MAX = 31_536_000
const COUNT_MAX = 0xffff_ffff

/** Seconds that an archive covers. */
export function archiveSeconds(archive: Archive): number {
  return archive.step * archive.count
}

export function parseRetentions(text: string): Result<Archive[]> {
  const archives: Archive[] = []
  for (const part of text.split(',')) {
    const archive = parseRetention(part.trim())
    if (!archive.ok) return archive
    archives.push(archive.value)
  }
  archives.sort((a, b) => a.step - b.step)
  const problem = findProblem(archives)
  return problem === undefined
    ? ok(archives)
    : err(`cannot use retentions ${JSON.stringify(text)}: ${problem}`)
}

export function formatRetentions(archives: readonly Archive[]): string {
  return archives.map(({ step, count }) => `${step}s:${step * count}s`).join(',')
}

/** As people write them, each number with its largest unit up to days. */
export function showRetentions(archives: readonly Archive[]): string {
  return archives
    .map(({ step, count }) => `${showSeconds(step)}:${showSeconds(step * count)}`)
    .join(',')
}

const SHOWN_UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'm'],
] as const

function showSeconds(seconds: number): string {
  const unit = SHOWN_UNITS.find(([size]) => seconds % size === 0)
  return unit ? `${seconds / unit[0]}${unit[1]}` : `${seconds}s`
}

function parseRetention(text: string): Result<Archive> {
  const [left, right, ...rest] = text.split(':')
  if (left === undefined || right === undefined || rest.length > 0) {
    return err(
      `cannot parse retention ${JSON.stringify(text)}: it must be STEP:LENGTH, such as 10s:7d`,
    )
  }
  const step = parseSeconds(left)
  if (!step.ok) return err(`cannot parse retention ${JSON.stringify(text)}: ${step.error}`)
  const length = /^\d+$/.test(right) ? ok(Number(right) * step.value) : parseSeconds(right)
  if (!length.ok) return err(`cannot parse retention ${JSON.stringify(text)}: ${length.error}`)
  const count = Math.floor(length.value / step.value)
  if (step.value < 1 || step.value > STEP_MAX || count < 1 || count > COUNT_MAX) {
    return err(
      `cannot parse retention ${JSON.stringify(text)}: it must hold at least one slot of 1 s to 1 y`,
    )
  }
  return ok({ step: step.value, count })
}

/** `90`, `90s`, `15min`, `2d` → seconds. */
export function parseSeconds(text: string): Result<number> {
  const parts = /^(\d+)([a-z]*)$/.exec(text.trim())
  if (!parts) return err(`${JSON.stringify(text)} is not a number with a unit`)
  const unit = parts[2]!
  const known = unit === '' ? UNITS[0] : UNITS.find(([name]) => name.startsWith(unit))
  if (!known) return err(`unknown unit ${JSON.stringify(unit)}`)
  return ok(Number(parts[1]) * known[1])
}

/** Why these archives, finest first, cannot stand together. */
function findProblem(archives: readonly Archive[]): string | undefined {
  for (let i = 1; i < archives.length; i++) {
    const fine = archives[i - 1]!
    const coarse = archives[i]!
    if (fine.step === coarse.step) return `two archives have a step of ${fine.step} s`
    if (coarse.step % fine.step !== 0) return `${coarse.step} s is no multiple of ${fine.step} s`
    if (archiveSeconds(fine) >= archiveSeconds(coarse)) {
      return `the ${coarse.step} s archive must reach back further than the ${fine.step} s archive`
    }
    if (fine.count < coarse.step / fine.step) {
      return `the ${fine.step} s archive is shorter than one slot of the ${coarse.step} s archive`
    }
  }
  return undefined
}
