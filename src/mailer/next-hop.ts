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

export type ResolveMx = (domain: string) => Promise<readonly MxRecord[]>

export const systemMx: ResolveMx = (domain) => dns.resolveMx(domain)

export async function nextHops(
  destination: string,
  settings: MailerSettings,
  tools: { resolveMx: ResolveMx; clock: Clock },
): Promise<Result<readonly Host[], Outcome>> {
  if (settings.relayhost) return ok([settings.relayhost])
  if (destination.startsWith('[')) return ok(literal(destination))
  let records: readonly MxRecord[]
  try {
    records = await tools.resolveMx(destination)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOTFOUND') return err(bounced('5.1.2', `domain ${destination} does not exist`))
    if (code !== 'ENODATA') {
      const reply = `cannot look up the MX of ${destination}: ${code}`
      return err({ status: 'deferred', code: '4.4.3', reply })
    }
    records = []
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

function literal(destination: string): Host[] {
  const host = parseHost(destination.replace(/^\[ipv6:/i, '['))
  return host ? [{ host: host.host, port: SMTP_PORT }] : []
}
