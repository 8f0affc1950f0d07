/**
 * A connection to a host by its name: looked up for each connection, then each address is tried in the
 * resolver's order until one answers. It has not come up when none of them does.
 */

import type { Found } from './look-up.ts'
import type { Upstream, UpstreamEvents } from './upstream.ts'

export interface NameTarget {
  readonly name: string
  readonly lookUp: () => Promise<Found>
  readonly connect: (address: string, events: UpstreamEvents) => Upstream
}

export function connectToName(target: NameTarget, events: UpstreamEvents): Upstream {
  let upstream: Upstream | undefined
  let over = false
  const fail = (reason: string): void => {
    if (over) return
    over = true
    events.onClose({ reason, orderly: false })
  }
  const connect = (addresses: readonly string[]): void => {
    const [address, ...others] = addresses
    if (over) return
    if (address === undefined) return fail(`${target.name} has no address`)
    let isOpen = false
    upstream = target.connect(address, {
      ...events,
      onOpen: () => {
        isOpen = true
        events.onOpen()
      },
      onClose: (end) => {
        if (isOpen) events.onClose(end)
        else if (others.length > 0) connect(others)
        else fail(`${address}: ${end.reason}`)
      },
    })
  }
  void target.lookUp().then(({ addresses }) => connect(addresses))
  return {
    get remoteAddress() {
      return upstream?.remoteAddress
    },
    write: (bytes) => upstream?.write(bytes) ?? 0,
    get unconfirmed() {
      return upstream?.unconfirmed ?? 0
    },
    finish: () => upstream?.finish(),
    end() {
      over = true
      upstream?.end()
    },
  }
}
