/**
 * What the names of the relay's own statistics begin with: the template of `prefix with` over the host's name,
 * where `\1` is all of it and `\2` its first node; else `carbon.relays.HOST`, dots as underscores.
 */

import { Replacement } from './replacement.ts'

const DEFAULT_PREFIX = 'carbon.relays.\\.1'

export function reportPrefix(template: string | undefined, host: string): string {
  const groups = [host, /^[^.]+/.exec(host)?.[0]]
  return new Replacement(template ?? DEFAULT_PREFIX).expand({ start: 0, end: host.length, groups })
}
