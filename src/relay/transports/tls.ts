/**
 * TLS for destinations and listeners. A destination's certificate is checked, its name too (carbon-c-relay
 * does not look at the name). A listener's PEM file holds certificate and key; with mtls clients have to show
 * one that the authorities of `-C FILE or FOLDER` signed. Destinations are checked against the same, else
 * against those of the system, else those that Bun brings.
 *
 * A `listen` may limit protocol versions (TLS 1.0 to 1.3; 1.2 is the least unless `protomin` says otherwise)
 * and ciphers. Bun's TLS, BoringSSL, has no choice among TLS 1.3's cipher suites and no SSL 3: what asks for
 * that is refused. Files are read when options are made, so each reload or connection has them anew.
 */

import {
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type PeerCertificate,
} from 'node:tls'
import { ConfigError } from '../../daemon.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Host, ListenerTransport, Routing, TlsVersion } from '../config/routing.ts'

export interface TlsSource {
  readonly disk: Disk
  /** `-C` */
  readonly authorities: string | undefined
}

/** As they are called on the wire. Bun's types do not know yet that sockets take them. */
interface VersionLimits {
  readonly minVersion?: number
  readonly maxVersion?: number
}

const VERSION_NUMBERS: Record<TlsVersion, number> = {
  ssl3: 0x0300,
  'tls1.0': 0x0301,
  'tls1.1': 0x0302,
  'tls1.2': 0x0303,
  'tls1.3': 0x0304,
}
const OLDEST = VERSION_NUMBERS['tls1.0']
const NEWEST = VERSION_NUMBERS['tls1.3']
/** The least where nothing is said. */
const USUAL = VERSION_NUMBERS['tls1.2']
/** TLS 1.3's cipher suites that are always on offer here, and those that OpenSSL has beside them. */
const SUITES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']
const OTHER_SUITES = ['TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256']

/** For a host whose transport is ssl or mtls. */
export function clientTls(source: TlsSource, host: Host): Bun.TLSOptions {
  const { address, port, transport } = host
  const { disk } = source
  const given = authorities(source)
  const ca = given.length > 0 ? given : getCACertificates('system')
  const own =
    transport.tls === 'mtls'
      ? { cert: pem(disk, transport.certificate), key: pem(disk, transport.key) }
      : {}
  const options = { ...own, ...(ca.length > 0 ? { ca } : {}) }
  check(options, `destination ${address}:${port}`)
  return { ...options, serverName: certifiedName(host), rejectUnauthorized: true }
}

export function listenerTls(
  source: TlsSource,
  transport: ListenerTransport,
): Bun.TLSOptions | undefined {
  if (transport.tls === 'none') return undefined
  const { certificate, ciphers } = transport
  const both = pem(source.disk, certificate)
  const limits = versionLimits(transport)
  checkSuites(transport)
  const chosen = ciphers === undefined ? {} : { ciphers }
  const demand = transport.tls === 'mtls' ? demandOf(source) : {}
  const options = { cert: both, key: both, ...chosen, ...demand }
  check(options, `listen … ${transport.tls} ${certificate}`)
  return { ...options, ...limits }
}

/** Throws what cannot be used of a routing's certificates and limits, all of it at once. */
export function checkTls(source: TlsSource, { clusters, listeners }: Routing): void {
  const complaints = new Set<string>()
  const attempt = (make: () => unknown): void => {
    try {
      make()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const complaint of error.complaints) complaints.add(complaint)
    }
  }
  for (const { transport } of listeners) attempt(() => listenerTls(source, transport))
  for (const { members } of clusters) {
    for (const host of members) {
      if (host.transport.tls !== 'none') attempt(() => clientTls(source, host))
    }
  }
  if (complaints.size > 0) throw new ConfigError([...complaints])
}

/** What a host's certificate has to be for. */
export function certifiedName({ name, address }: Host): string {
  return name ?? address
}

/** Why the certificate is not that of `host`; undefined when it is. */
export function wrongName(host: string, certificate: PeerCertificate): string | undefined {
  return checkServerIdentity(host, certificate)?.message
}

function versionLimits({ protocolMin, protocolMax }: ListenerTransport): VersionLimits {
  const max = protocolMax === undefined ? NEWEST : VERSION_NUMBERS[protocolMax]
  if (max < OLDEST) throw new ConfigError(['protomax ssl3: SSL 3 is not spoken here'])
  const least = protocolMin === undefined ? Math.min(USUAL, max) : VERSION_NUMBERS[protocolMin]
  const min = Math.max(least, OLDEST)
  if (min > max) {
    throw new ConfigError([`protomin ${protocolMin} is above protomax ${protocolMax}`])
  }
  return { minVersion: min, maxVersion: max }
}

/** TLS 1.3 offers all of `SUITES`: a list without one of them cannot be kept to. */
function checkSuites({ cipherSuites, protocolMax }: ListenerTransport): void {
  if (cipherSuites === undefined || (protocolMax ?? 'tls1.3') !== 'tls1.3') return
  const wanted = cipherSuites.split(':')
  const unknown = wanted.find((name) => !SUITES.includes(name) && !OTHER_SUITES.includes(name))
  if (unknown !== undefined) {
    throw new ConfigError([`ciphersuites: "${unknown}" is no cipher suite of TLS 1.3`])
  }
  const missing = SUITES.filter((name) => !wanted.includes(name))
  if (missing.length === 0) return
  throw new ConfigError([
    `ciphersuites "${cipherSuites}": TLS 1.3 cannot be kept from offering ${missing.join(', ')} ` +
      'here; add them, or say protomax tls1.2 and choose with ciphers',
  ])
}

function demandOf(source: TlsSource): Bun.TLSOptions {
  const ca = authorities(source)
  if (ca.length === 0) {
    throw new ConfigError(['listen … mtls needs -C: who signs the certificates of clients?'])
  }
  return { requestCert: true, rejectUnauthorized: true, ca }
}

/** Sockets would find out only when the first connection comes. */
function check(options: Bun.TLSOptions, what: string): void {
  try {
    createSecureContext(options as Parameters<typeof createSecureContext>[0])
  } catch (error) {
    throw new ConfigError([`TLS of ${what}: ${reason(error)}`])
  }
}

function authorities({ disk, authorities: path }: TlsSource): string[] {
  if (path === undefined) return []
  if (!disk.stat(path)?.isDirectory) return [pem(disk, path)]
  return disk
    .list(path)
    .filter((name) => /\.(?:pem|crt|\d)$/.test(name))
    .map((name) => pem(disk, `${path}/${name}`))
}

function pem(disk: Disk, path: string): string {
  try {
    return fromUtf8(disk.readFile(path))
  } catch (error) {
    throw new ConfigError([`certificate file ${path} cannot be read: ${reason(error)}`])
  }
}
