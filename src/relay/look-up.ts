/** All addresses of a host name, as the system's resolver knows them; none when it does not. */

import { lookup } from 'node:dns/promises'

export async function lookUpAll(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}
