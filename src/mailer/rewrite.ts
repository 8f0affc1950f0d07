/**
 * Who a mail is really from and for (the part of Postfix's virtual, alias and generic maps that a
 * monitoring box uses).
 *
 * Recipients: EMAIL_ALERT_ADDR, when set, takes every one of them. Else an address of this machine
 * (`root`, `root@localhost`, `root@HOSTNAME`) goes where its alias says; `postmaster`, `mailer-daemon`
 * and `abuse` are root's when they have no alias of their own. A local address that leads nowhere stays as
 * it is: there are no mailboxes here, so it waits in the queue until somebody says who it is.
 *
 * Senders: `rewrite_senders` says whose address becomes `from`: nobody's, those of this machine, or all.
 */

import { err, ok, type Result } from '../lib/result.ts'
import { addressesIn, domainOf, localPart, parseAddress } from './address.ts'

const ALIAS_DEPTH_MAX = 10
const ROOT_TOO = ['postmaster', 'mailer-daemon', 'abuse']

export interface RewriteSettings {
  readonly hostname: string
  /** Addresses, comma separated. */
  readonly alertAddress: string | undefined
  /** `root=ops@example.com,dev@example.com www=root` */
  readonly aliases: string
  readonly from: string | undefined
  readonly rewriteSenders: 'none' | 'local' | 'all'
}

export class Rewriter {
  private readonly settings: RewriteSettings
  private readonly from: string | undefined
  private readonly catchAll: readonly string[]
  private readonly aliases: ReadonlyMap<string, readonly string[]>
  private readonly localDomains: ReadonlySet<string>

  private constructor(
    settings: RewriteSettings,
    parsed: {
      from: string | undefined
      catchAll: readonly string[]
      aliases: ReadonlyMap<string, readonly string[]>
    },
  ) {
    this.settings = settings
    this.from = parsed.from
    this.catchAll = parsed.catchAll
    this.aliases = parsed.aliases
    this.localDomains = new Set([
      'localhost',
      'localhost.localdomain',
      settings.hostname.toLowerCase(),
      '[127.0.0.1]',
    ])
  }

  /** A rewriter, or every complaint about the settings. */
  static create(settings: RewriteSettings): Result<Rewriter, readonly string[]> {
    const complaints: string[] = []
    const take = (text: string, setting: string): string[] =>
      addressesIn(text).flatMap((entry) => {
        const address = parseAddress(entry, settings.hostname)
        if (address.ok) return [address.value]
        complaints.push(`${setting}: ${address.error}`)
        return []
      })
    const aliases = new Map<string, readonly string[]>()
    for (const entry of settings.aliases.split(/[\s;]+/).filter((part) => part !== '')) {
      const equals = entry.indexOf('=')
      if (equals < 1) {
        complaints.push(
          `mailer.aliases: cannot read ${JSON.stringify(entry)}: must be NAME=ADDRESS,ADDRESS`,
        )
      } else {
        const name = entry.slice(0, equals).toLowerCase()
        aliases.set(name, take(entry.slice(equals + 1), 'mailer.aliases'))
      }
    }
    const catchAll = take(settings.alertAddress ?? '', 'mailer.alert_address')
    const from = take(settings.from ?? '', 'mailer.from')[0]
    return complaints.length > 0
      ? err(complaints)
      : ok(new Rewriter(settings, { from, catchAll, aliases }))
  }

  /** Where mail for this address goes. Applying it again to its own results changes nothing. */
  recipients(address: string): readonly string[] {
    if (this.catchAll.length > 0) return this.catchAll
    return this.expand(address, 0)
  }

  /** The envelope sender, and whether the From: header is to say the same. The null sender stays. */
  sender(address: string): { address: string; rewritten: boolean } {
    const { rewriteSenders } = this.settings
    if (address === '' || this.from === undefined || rewriteSenders === 'none') {
      return { address, rewritten: false }
    }
    if (rewriteSenders === 'local' && !this.isLocal(address)) return { address, rewritten: false }
    return { address: this.from, rewritten: address !== this.from }
  }

  /** True for an address of this machine that leads nowhere. */
  isLocal(address: string): boolean {
    return this.localDomains.has(domainOf(address).toLowerCase())
  }

  /** Who bounces and reports come from in their header. */
  get daemonAddress(): string {
    return this.from ?? `mailer-daemon@${this.settings.hostname}`
  }

  get postmaster(): string {
    return `postmaster@${this.settings.hostname}`
  }

  private expand(address: string, depth: number): readonly string[] {
    if (!this.isLocal(address) || depth >= ALIAS_DEPTH_MAX) return [address]
    const name = localPart(address).toLowerCase()
    const targets =
      this.aliases.get(name) ?? (ROOT_TOO.includes(name) ? this.aliases.get('root') : undefined)
    if (!targets || targets.length === 0) return [address]
    return targets.flatMap((target) => this.expand(target, depth + 1))
  }
}
