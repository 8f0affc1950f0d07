/**
 * The relay.conf of an instance that has none, as the original's startup made it (startup.sh): everything
 * to this machine's store under its raw name and, when there is a central server, to that one under
 * `HOSTING.SERVICE.name`. It is text, so that it can be looked at with `-t` and taken over by hand.
 */

import type { Config } from '../../config.ts'

const CENTRAL_TYPES = { auto: ' type auto', emon: ' type emon', line: '' } as const
const DEFAULT_PORT = 2003

export function generateRelayConf(config: Config): string {
  const store = quote(`${config.run}/points.sock`)
  const local = `cluster this-server\n  forward\n    ${store} proto unix type emon\n  ;\n`
  const everything = 'match *\n  send to this-server\n  ;\n'
  const { server, protocol, tls } = config.central
  if (server === undefined) return local + everything
  const transport = tls ? ' transport plain ssl' : ''
  const host = quote(withPort(server)) + CENTRAL_TYPES[protocol] + transport
  const prefix = quote(`${escapeTemplate(`${config.hosting}.${config.service}`)}.\\1`)
  return (
    `${local}cluster central-server\n  forward\n    ${host}\n  ;\n${everything}` +
    `rewrite (.*)\n  into ${prefix}\n  ;\nmatch *\n  send to central-server\n  ;\n`
  )
}

/** `host`, `host:port`, and IPv6 addresses with or without brackets. */
function withPort(server: string): string {
  if (/^[^:]*:[0-9]+$/.test(server) || /^\[.*\]:[0-9]+$/.test(server)) return server
  const address = server.includes(':') && !server.startsWith('[') ? `[${server}]` : server
  return `${address}:${DEFAULT_PORT}`
}

/** A backslash has no place in a prefix: templates have no way to write one. */
function escapeTemplate(text: string): string {
  return text.replaceAll('\\', '')
}

function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
