/**
 * Is the whole stack ready? Asks each process's /readyz on its admin socket, and the api for the first point
 * that came all the way through: the store's own statistics, which it sends every 10 s.
 */

import type { Config } from './config.ts'
import { type Clock, sleep } from './lib/clock.ts'

const POLL_MS = 100
const ANSWER_MS_MAX = 2_000

/** The reason of a process that is not there. */
export const NO_ANSWER = 'does not answer'

/** A series that every instance has. */
const OWN_TARGET = 'carbon.agents.*.process.residentBytes'

export interface WaitOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  /** Told whenever the reasons change; a line each, empty when there is none left. */
  readonly onChange?: (reasons: readonly string[]) => void
}

/** Waits until all are ready; the answer is what still is in the way after the timeout, a line each. */
export function waitUntilReady(
  config: Config,
  names: readonly string[],
  options: WaitOptions,
): Promise<readonly string[]> {
  return waitFor(options, async () => {
    const reasons = await Promise.all(names.map((name) => notReady(config, name)))
    return reasons.flat()
  })
}

/** Waits until a point of the stack's own comes back from /render. */
export function waitForPoint(config: Config, options: WaitOptions): Promise<readonly string[]> {
  return waitFor(options, async () => ((await hasPoint(config)) ? [] : ['no point yet']))
}

async function waitFor(
  options: WaitOptions,
  ask: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const { clock, timeoutMs, onChange } = options
  const untilMs = clock.monotonicMs() + timeoutMs
  let said = ''
  for (;;) {
    const reasons = await ask()
    const now = reasons.join('\n')
    if (now !== said) onChange?.(reasons)
    said = now
    if (reasons.length === 0 || clock.monotonicMs() >= untilMs) return reasons
    await sleep(clock, POLL_MS)
  }
}

/** Why that process is not ready, `NAME: reason` a line; empty when it is. */
export async function notReady(config: Config, name: string): Promise<string[]> {
  try {
    const response = await fetch('http://emon/readyz', {
      unix: `${config.run}/${name}-admin.sock`,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const text = (await response.text()).trim()
    return response.ok ? [] : text.split('\n').map((reason) => `${name}: ${reason}`)
  } catch {
    return [`${name}: ${NO_ANSWER}`]
  }
}

async function hasPoint(config: Config): Promise<boolean> {
  try {
    const response = await fetch(`http://emon${ownQuery()}`, {
      unix: `${config.run}/api.sock`,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    const series = (await response.json()) as { datapoints: [number | null, number][] }[]
    return series.some(({ datapoints }) => datapoints.some(([value]) => value !== null))
  } catch {
    return false
  }
}

/** A command that prints the stack's own points. */
export function curlLine(config: Config): string {
  const { bind, port } = config.api
  if (port === 0) return `curl -gs --unix-socket ${config.run}/api.sock 'http://emon${ownQuery()}'`
  return `curl -gs 'http://${reachableAddress(bind)}:${port}${ownQuery()}'`
}

function ownQuery(): string {
  return `/render?target=${OWN_TARGET}&from=-1min&maxDataPoints=12&format=json`
}

/** The address at which something bound to `bind` is found from this machine. */
export function reachableAddress(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1'
  return bind === '::' ? '::1' : bind
}
