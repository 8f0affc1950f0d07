/**
 * TLS for destinations and listeners. A destination's certificate is checked, its name too (carbon-c-relay
 * does not look at the name). A listener's PEM file holds certificate and key; with mtls clients have to show
 * one that the authorities signed. Authorities: `-C FILE or FOLDER`, else those that Bun brings.
 */

import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { ConfigError } from '../../daemon.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Host, ListenerTransport } from '../routing.ts'

export interface TlsSource {
  readonly disk: Disk
  /** `-C` */
  readonly authorities: string | undefined
}

export function clientTls(source: TlsSource, host: Host): Bun.TLSOptions | undefined {
  const { transport, address } = host
  if (transport.tls === 'none') return undefined
  const ca = authorities(source)
  return {
    serverName: address,
    rejectUnauthorized: true,
    ...(ca.length > 0 ? { ca } : {}),
    ...(transport.tls === 'mtls'
      ? { cert: pem(source.disk, transport.certificate), key: pem(source.disk, transport.key) }
      : {}),
  }
}

export function listenerTls(
  source: TlsSource,
  transport: ListenerTransport,
): Bun.TLSOptions | undefined {
  if (transport.tls === 'none') return undefined
  const both = pem(source.disk, transport.certificate)
  const ca = authorities(source)
  return {
    cert: both,
    key: both,
    ...(transport.ciphers === undefined ? {} : { ciphers: transport.ciphers }),
    ...(transport.tls === 'mtls' ? { requestCert: true, rejectUnauthorized: true, ca } : {}),
  }
}

/** Why the certificate is not that of `host`; undefined when it is. */
export function wrongName(host: string, certificate: PeerCertificate): string | undefined {
  return checkServerIdentity(host, certificate)?.message
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
