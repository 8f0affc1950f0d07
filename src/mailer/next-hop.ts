/**
 * Which hosts take mail for a destination: the relayhost, or a domain's MX in order of preference, equals
 * in random order (RFC 5321 §5.1). A domain without MX is its own; one with the null MX (RFC 7505) takes
 * none. At most five hosts are tried.
 */

import { promises as dns } from 'node:dns'
import { errorCode } from '../lib/disk.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Clock } from '../lib/clock.ts'
import { bounced } from './reply.ts'
import { type Host, type MailerSettings, parseHost } from './settings.ts'
import type { Outcome } from './transport.ts'

const SMTP_PORT = 25
const HOSTS_MAX = 5

export interface MxRecord {
  readonly exchange: string
  readonly priority: number
}

/** The domain name system; rejects with node:dns's errors. */
export interface Names {
  mx(domain: string): Promise<readonly MxRecord[]>
  hasAddress(domain: string): Promise<boolean>
}

export function dnsNames(resolver: dns.Resolver = new dns.Resolver()): Names {
  return {
    mx: (domain) => resolver.resolveMx(domain),
    async hasAddress(domain) {
      for (const look of [() => resolver.resolve4(domain), () => resolver.resolve6(domain)]) {
        try {
          if ((await look()).length > 0) return true
        } catch (error) {
          if (!NOTHING.has(errorCode(error))) throw error
        }
      }
      return false
    },
  }
}

/** Bun says ENOTFOUND for a name without records of that type, too (c-ares tells the two apart). */
const NOTHING = new Set(['ENOTFOUND', 'ENODATA'])

export async function nextHops(
  destination: string,
  settings: MailerSettings,
  tools: { names: Names; clock: Clock },
): Promise<Result<readonly Host[], Outcome>> {
  if (settings.relayhost) return ok([settings.relayhost])
  if (destination.startsWith('[')) return ok(literal(destination))
  let records: readonly MxRecord[]
  try {
    records = await mxOf(destination, tools.names)
    if (records.length === 0 && !(await tools.names.hasAddress(destination))) {
      return err(bounced('5.1.2', `domain ${destination} has neither MX nor address`))
    }
  } catch (error) {
    const reply = `cannot look up the MX of ${destination}: ${errorCode(error)}`
    return err({ status: 'deferred', code: '4.4.3', reply })
  }
  if (records.length === 1 && records[0]!.exchange.replace('.', '') === '') {
    return err(bounced('5.1.10', `domain ${destination} takes no mail`))
  }
  if (records.length === 0) return ok([{ host: destination, port: SMTP_PORT }])
  const shuffled = records.map((record) => ({ ...record, order: tools.clock.random() }))
  shuffled.sort((a, b) => a.priority - b.priority || a.order - b.order)
  return ok(
    shuffled.slice(0, HOSTS_MAX).map(({ exchange }) => ({ host: exchange, port: SMTP_PORT })),
  )
}

async function mxOf(domain: string, names: Names): Promise<readonly MxRecord[]> {
  try {
    return await names.mx(domain)
  } catch (error) {
    if (NOTHING.has(errorCode(error))) return []
    throw error
  }
}

function literal(destination: string): Host[] {
  const host = parseHost(destination.replace(/^\[ipv6:/i, '['))
  return host ? [{ host: host.host, port: SMTP_PORT }] : []
}
