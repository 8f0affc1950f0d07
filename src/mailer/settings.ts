/**
 * The mailer's part of the configuration, made ready for use: files read, texts parsed. `readSettings`
 * answers every complaint at once.
 */

import { createPrivateKey } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { type Config, PACKAGE_DIR } from '../config.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import type { Disk } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { Rewriter } from './rewrite.ts'

export type TlsPolicy = Config['mailer']['tls']

export interface Host {
  readonly host: string
  readonly port: number
}

export interface MailerSettings {
  readonly mailer: Config['mailer']
  readonly hostname: string
  readonly rewriter: Rewriter
  readonly relayhost: Host | undefined
  /** TLS towards the next server: at least `encrypt` where a password travels over a network. */
  readonly tls: TlsPolicy
  /** Certificates to trust beside the system's, PEM. */
  readonly tlsCa: string | undefined
  /** For STARTTLS on our own listener, PEM. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined
  readonly dkim:
    { readonly domain: string; readonly selector: string; readonly key: string } | undefined
}

const SUBMISSION_PORT = 587

export function readSettings(
  config: Config,
  disk: Disk,
): Result<MailerSettings, readonly string[]> {
  const { mailer } = config
  const complaints: string[] = []
  const complain = (setting: string, problem: string): undefined => {
    const source = config.sources.get(`mailer.${setting}`) ?? 'configuration'
    complaints.push(`${source}: mailer.${setting} ${problem}`)
    return undefined
  }
  const read = (setting: string, path: string | undefined): string | undefined => {
    if (path === undefined) return undefined
    try {
      return fromUtf8(disk.readFile(resolve(PACKAGE_DIR, path)))
    } catch (error) {
      return complain(setting, `cannot be read: ${reason(error)}`)
    }
  }
  const own = mailer.hostname ?? hostname()
  const relayhost = mailer.relayhost === undefined ? undefined : parseHost(mailer.relayhost)
  if (mailer.relayhost !== undefined && !relayhost) {
    complain('relayhost', 'must be a host or host:port')
  }
  if ((mailer.user === undefined) !== (mailer.password === undefined)) {
    complain('user', 'and mailer.password must be given together (EMAIL_USER and EMAIL_PASS)')
  }
  const cert = read('tls_cert', mailer.tls_cert)
  const key = read('tls_key', mailer.tls_key)
  if ((cert === undefined) !== (key === undefined)) {
    complain('tls_cert', 'and mailer.tls_key must be given together')
  }
  const tlsCa = read('tls_ca', mailer.tls_ca)
  const dkimKey = read('dkim_key', mailer.dkim_key)
  const dkim = [mailer.dkim_domain, mailer.dkim_selector, dkimKey]
  if (dkim.some((part) => part !== undefined) && dkim.some((part) => part === undefined)) {
    complain('dkim_key', 'needs mailer.dkim_domain and mailer.dkim_selector, and they need it')
  }
  if (dkimKey !== undefined && !isRsaKey(dkimKey)) complain('dkim_key', 'must be an RSA key in PEM')
  const rewriter = Rewriter.create({
    hostname: own,
    alertAddress: mailer.alert_address,
    aliases: mailer.aliases,
    from: mailer.from,
    rewriteSenders: mailer.rewrite_senders,
  })
  if (!rewriter.ok) complaints.push(...rewriter.error)
  if (complaints.length > 0 || !rewriter.ok) return err(complaints)
  return ok({
    mailer,
    hostname: own,
    rewriter: rewriter.value,
    relayhost,
    tls: tlsPolicy(mailer, relayhost),
    tlsCa,
    certificate: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    dkim:
      dkimKey !== undefined
        ? { domain: mailer.dkim_domain!, selector: mailer.dkim_selector!, key: dkimKey }
        : undefined,
  })
}

/** `host`, `host:port`, `[v6]:port`, and Postfix's `[host]:port`. */
export function parseHost(text: string): Host | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(text.trim())
  const host = parts?.[1] ?? parts?.[2]
  const port = parts?.[3] === undefined ? SUBMISSION_PORT : Number(parts[3])
  if (host === undefined || port < 1 || port > 65_535) return undefined
  return { host, port }
}

function isRsaKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}

function tlsPolicy(mailer: Config['mailer'], relayhost: Host | undefined): TlsPolicy {
  const exposed = relayhost && !/^(localhost|127\.|::1$)/.test(relayhost.host)
  return mailer.user !== undefined && exposed && mailer.tls === 'may' ? 'encrypt' : mailer.tls
}
