/** The parts of relay.conf's grammar that say where and how: hosts of a cluster, addresses, transports. */

import type { Compression, Host, ListenerTransport, TlsVersion, Transport } from './routing.ts'
import { RoutingProblem } from './routing-builder.ts'
import type { TokenCursor } from './token-cursor.ts'

export const DEFAULT_PORT = 2003

export const PLAIN: Transport = { compression: 'plain', tls: 'none', certificate: '', key: '' }

export function readHost(tokens: TokenCursor): Host {
  const written = tokens.string()
  const instance = tokens.accept('=') ? readInstance(tokens) : undefined
  const protocol = tokens.accept('proto')
    ? (tokens.expect('udp', 'tcp', 'unix') as 'udp' | 'tcp' | 'unix')
    : 'tcp'
  const type = tokens.accept('type')
    ? (tokens.expect('linemode', 'syslog', 'emon', 'auto') as Host['type'])
    : 'linemode'
  const transport = tokens.accept('transport') ? readTransport(tokens) : PLAIN
  const place =
    protocol === 'unix' ? { address: written, port: DEFAULT_PORT } : readAddress(written)
  if (place.address === '') throw new RoutingProblem(`invalid host '${written}': it has no name`)
  return { ...place, instance, protocol, type, transport }
}

function readInstance(tokens: TokenCursor): string {
  const token = tokens.shift()
  if (token.kind === 'number') return String(Number(token.text))
  if (token.kind !== 'string') tokens.unexpected(token, ['crSTRING', 'crINTVAL'])
  return token.text
}

function readTransport(tokens: TokenCursor): Transport {
  const compression = tokens.expect('plain', 'gzip', 'lz4', 'snappy') as Compression
  if (tokens.accept('ssl')) return { ...PLAIN, compression, tls: 'ssl' }
  if (!tokens.accept('mtls')) return { ...PLAIN, compression }
  return {
    compression,
    tls: 'mtls',
    certificate: tokens.string(),
    key: tokens.string(),
  }
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`. */
export function readAddress(written: string): { address: string; port: number } {
  const colon = written.endsWith(']') ? -1 : written.lastIndexOf(':')
  let address = colon < 0 ? written : written.slice(0, colon)
  let port = DEFAULT_PORT
  if (colon >= 0) {
    const digits = written.slice(colon + 1)
    port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0
    if (port < 1 || port > 65_535) throw new RoutingProblem(`invalid port number '${digits}'`)
  }
  if (address.startsWith('[')) {
    if (!address.endsWith(']')) throw new RoutingProblem("expected ']'")
    address = address.slice(1, -1)
  }
  return { address, port }
}

export function readListenerTransport(tokens: TokenCursor): ListenerTransport {
  const none = { protocolMin: undefined, protocolMax: undefined }
  const open = { ...none, ciphers: undefined, cipherSuites: undefined }
  if (!tokens.accept('transport')) return { ...PLAIN, ...open }
  const compression = tokens.expect('plain', 'gzip', 'lz4', 'snappy') as Compression
  const tls = tokens.accept('ssl') ? 'ssl' : tokens.accept('mtls') ? 'mtls' : 'none'
  if (tls === 'none') return { ...PLAIN, ...open, compression }
  const certificate = tokens.string()
  const protocolMin = tokens.accept('protomin') ? readTlsVersion(tokens) : undefined
  const protocolMax = tokens.accept('protomax') ? readTlsVersion(tokens) : undefined
  const ciphers = tokens.accept('ciphers') ? tokens.string() : undefined
  const cipherSuites = tokens.accept('ciphersuites') ? tokens.string() : undefined
  const limits = { protocolMin, protocolMax, ciphers, cipherSuites }
  return { compression, tls, certificate, key: certificate, ...limits }
}

function readTlsVersion(tokens: TokenCursor): TlsVersion {
  const version = tokens.string()
  if (/^(?:ssl3|tls1\.[0-3])$/.test(version)) return version as TlsVersion
  throw new RoutingProblem(
    `unknown protocol '${version}': use ssl3, tls1.0, tls1.1, tls1.2 or tls1.3`,
  )
}
