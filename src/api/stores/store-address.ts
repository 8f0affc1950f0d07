/**
 * Where stores are: `unix:PATH` (a query.sock on this machine), `emon://host:port` (the relay port of
 * another instance, behind HELLO and AUTH), `emons://host:port` (the same in TLS). EMON_STORES lists them,
 * comma separated; the order is their rank: of two that know a slot the first listed wins.
 */

import { err, ok, type Result } from '../../lib/result.ts'

export interface StoreAddress {
  /** As it was written: for logs, errors and the header that names what was missing. */
  readonly text: string
  readonly target:
    | { readonly unix: string }
    | { readonly hostname: string; readonly port: number; readonly tls: boolean }
}

const STORES_MAX = 64
const RELAY_PORT = 2003

export function parseStores(text: string): Result<StoreAddress[]> {
  const addresses: StoreAddress[] = []
  for (const part of text.split(',')) {
    const address = parseStore(part.trim())
    if (!address.ok) return address
    addresses.push(address.value)
  }
  return addresses.length <= STORES_MAX
    ? ok(addresses)
    : err(`${addresses.length} stores are listed: at most ${STORES_MAX} can be asked`)
}

function parseStore(text: string): Result<StoreAddress> {
  const complaint = err(
    `cannot parse store ${JSON.stringify(text)}: it must be unix:PATH or emon://host:port`,
  )
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    return path === '' ? complaint : ok({ text, target: { unix: path } })
  }
  const parts = /^emon(s?):\/\/(\[[0-9a-fA-F:]+\]|[^:/@\s]+)(?::(\d{1,5}))?\/?$/.exec(text)
  if (!parts) return complaint
  const port = parts[3] === undefined ? RELAY_PORT : Number(parts[3])
  if (port < 1 || port > 65_535) return complaint
  const hostname = parts[2]!.replace(/^\[|\]$/g, '')
  return ok({ text, target: { hostname, port, tls: parts[1] === 's' } })
}
