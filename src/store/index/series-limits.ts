/**
 * How many series there may be: new ones a second (a token bucket that holds one second's worth), in all,
 * and by prefix. What is refused is not lost for ever: the registry asks again with the next points.
 *
 * Quotas are written `PREFIX:MAX`, comma separated, where the prefix is a dotted glob: with `apps.*:5000`
 * each `apps.NAME` may have 5,000 series.
 */

import { fromUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { compileGlob, matchesNode, type NodeGlob } from '../../metric/glob.ts'

export type Refusal = 'rate' | 'total' | 'quota'

export interface Quota {
  /** As it was written. */
  readonly text: string
  readonly prefix: readonly NodeGlob[]
  readonly seriesMax: number
}

export interface SeriesLimitsSettings {
  /** 0: no limit. */
  readonly newPerSecondMax: number
  readonly seriesMax: number
  readonly quotas: readonly Quota[]
}

export class SeriesLimits {
  private readonly clock: Clock
  private settings: SeriesLimitsSettings
  private tokens: number
  private filledMs: number
  /** Series in all, and by prefix for each quota. */
  private total: number
  private counts: Map<string, number>[]

  constructor(clock: Clock, settings: SeriesLimitsSettings) {
    this.clock = clock
    this.settings = settings
    this.tokens = settings.newPerSecondMax
    this.filledMs = clock.monotonicMs()
    this.total = 0
    this.counts = settings.quotas.map(() => new Map())
  }

  /** Takes new settings. Only quotas that are others than before cost a count of all `paths`. */
  configure(settings: SeriesLimitsSettings, paths: Iterable<string>): void {
    const isSame = sameQuotas(this.settings.quotas, settings.quotas)
    this.settings = settings
    this.tokens = Math.min(this.tokens, settings.newPerSecondMax)
    if (isSame) return
    this.counts = settings.quotas.map(() => new Map())
    if (settings.quotas.length > 0) for (const path of paths) this.count(path, 1)
  }

  /** Why a new series of that name cannot be made now; undefined takes a token. */
  refusal(path: string): Refusal | undefined {
    const { newPerSecondMax } = this.settings
    const full = this.fullness(path)
    if (full !== undefined || newPerSecondMax === 0) return full
    this.fill()
    if (this.tokens < 1) return 'rate'
    this.tokens--
    return undefined
  }

  /** Whether there are as many series as there may be, in all or under a prefix of that name. */
  fullness(path: string): 'total' | 'quota' | undefined {
    if (this.total >= this.settings.seriesMax) return 'total'
    return this.isQuotaFull(path) ? 'quota' : undefined
  }

  /** The same for a series that gets another name: it makes no more of them in all, nor where it was counted before. */
  fullnessFor(rename: { from: string; to: string }): 'quota' | undefined {
    return this.isQuotaFull(rename.to, rename.from) ? 'quota' : undefined
  }

  /** The name is `bytes[start, end)`. */
  added(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.total++
    if (this.settings.quotas.length > 0) this.count(fromUtf8(bytes.subarray(start, end)), 1)
  }

  removed(name: Uint8Array): void {
    this.total--
    if (this.settings.quotas.length > 0) this.count(fromUtf8(name), -1)
  }

  /** Whether a prefix of that name is full; those that `leaving` has too do not count. */
  private isQuotaFull(path: string, leaving?: string): boolean {
    return this.settings.quotas.some((quota, i) => {
      const prefix = prefixOf(path, quota)
      if (prefix === undefined) return false
      if (leaving !== undefined && prefixOf(leaving, quota) === prefix) return false
      return (this.counts[i]!.get(prefix) ?? 0) >= quota.seriesMax
    })
  }

  private fill(): void {
    const { newPerSecondMax } = this.settings
    const nowMs = this.clock.monotonicMs()
    const earned = ((nowMs - this.filledMs) * newPerSecondMax) / 1000
    this.tokens = Math.min(newPerSecondMax, this.tokens + earned)
    this.filledMs = nowMs
  }

  private count(path: string, change: 1 | -1): void {
    const { quotas } = this.settings
    for (let i = 0; i < quotas.length; i++) {
      const prefix = prefixOf(path, quotas[i]!)
      if (prefix === undefined) continue
      const counts = this.counts[i]!
      const count = (counts.get(prefix) ?? 0) + change
      if (count === 0) counts.delete(prefix)
      else counts.set(prefix, count)
    }
  }
}

function sameQuotas(a: readonly Quota[], b: readonly Quota[]): boolean {
  return a.length === b.length && a.every(({ text }, i) => text === b[i]!.text)
}

/** The first nodes of a path, or of a tagged series' name, when the quota speaks of them. */
function prefixOf(path: string, { prefix }: Quota): string | undefined {
  const name = nodesOf(path)
  let at = 0
  for (const glob of prefix) {
    if (at > name.length) return undefined
    let end = name.indexOf('.', at)
    if (end < 0) end = name.length
    if (!matchesNode(glob, name.slice(at, end))) return undefined
    at = end + 1
  }
  return name.slice(0, at - 1)
}

/** A path without its tags, in whose values dots divide nothing. */
export function nodesOf(path: string): string {
  const tags = path.indexOf(';')
  return tags < 0 ? path : path.slice(0, tags)
}

export function parseQuotas(text: string): Result<Quota[]> {
  const quotas: Quota[] = []
  for (const part of text.split(',')) {
    if (part.trim() === '') continue
    const parts = /^(\S+):(\d{1,10})$/.exec(part.trim())
    if (!parts)
      return err(`cannot parse quota ${JSON.stringify(part.trim())}: it must be PREFIX:MAX`)
    const prefix = compileGlob(parts[1]!)
    if (!prefix.ok) return prefix
    quotas.push({ text: parts[0], prefix: prefix.value, seriesMax: Number(parts[2]) })
  }
  return ok(quotas)
}
