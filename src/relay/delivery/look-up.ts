/**
 * The addresses of a host name, and for how long they are good: DNS says so (TTL); the hosts file, which is
 * asked first, says nothing. Names that DNS does not know are left to the system's resolver, which may know
 * more. What was heard is kept as long as it is good, by c-ares, so asking twice costs no second query.
 *
 * Limits: an answer is good for at least FRESH_MS_MIN, so that nobody asks without end, and at most
 * FRESH_MS_MAX. A name without an address may be asked for again after FRESH_MS_MIN.
 */

import { type Clock, sleep } from '../../lib/clock.ts'

const FRESH_MS_MIN = 5_000
const FRESH_MS_MAX = 300_000

export interface Found {
  /** Empty when the name has none. */
  readonly addresses: readonly string[]
  readonly freshMs: number
}

export type LookUp = (host: string) => Promise<Found>

export async function lookUp(host: string): Promise<Found> {
  const answers = (await ask(host, 'c-ares')) ?? (await ask(host, 'system')) ?? []
  const freshMs = Math.min(FRESH_MS_MAX, ...answers.map(({ ttl }) => ttl * 1000))
  return {
    addresses: [...new Set(answers.map(({ address }) => address))],
    freshMs: answers.length === 0 ? FRESH_MS_MIN : Math.max(FRESH_MS_MIN, freshMs),
  }
}

/**
 * When nobody knows a name now, or says so within `mostMs`, what was known of it last is still good: a name
 * server that is away keeps no connection from being made again.
 */
export function remembering(clock: Clock, look: LookUp, mostMs: number): LookUp {
  const known = new Map<string, readonly string[]>()
  return async (host) => {
    const late = sleep(clock, mostMs).then((): Found => ({ addresses: [], freshMs: FRESH_MS_MIN }))
    const { addresses, freshMs } = await Promise.race([look(host), late])
    if (addresses.length > 0) known.set(host, addresses)
    return { addresses: known.get(host) ?? [], freshMs }
  }
}

async function ask(
  host: string,
  backend: 'c-ares' | 'system',
): Promise<Bun.DNSLookup[] | undefined> {
  try {
    return await Bun.dns.lookup(host, { backend })
  } catch {
    return undefined
  }
}
