/**
 * Lines over UDP: as many whole lines in a datagram as fit 1,400 bytes, which crosses any usual network
 * unfragmented; a longer line goes alone. Nobody says what arrived.
 */

import { isIPv6 } from 'node:net'
import type { Clock } from '../../lib/clock.ts'
import { NEWLINE } from '../../lib/bytes.ts'
import { reason } from '../../lib/log.ts'
import type { Upstream, UpstreamEvents } from './upstream.ts'

const DATAGRAM_BYTES_MAX = 1_400
const RETRY_MS = 10

export function openUdpUpstream(
  clock: Clock,
  target: { host: string; port: number },
  events: UpstreamEvents,
): Upstream {
  let socket: Bun.udp.ConnectedSocket<'uint8array'> | undefined
  let over = false
  const finish = (text: string): void => {
    if (over) return
    over = true
    socket?.close()
    events.onClose({ reason: text, orderly: false })
  }
  Bun.udpSocket({
    ...(isIPv6(target.host) ? { hostname: '::' } : {}),
    connect: { hostname: target.host, port: target.port },
    binaryType: 'uint8array',
    socket: {
      drain: () => {
        if (!over) events.onDrain()
      },
      // A refused datagram is one that nobody listened to: it is gone, as UDP has it.
      error: () => undefined,
    },
  }).then(
    (opened) => {
      if (over) return opened.close()
      socket = opened
      events.onOpen()
    },
    (error: unknown) => finish(reason(error)),
  )
  return {
    remoteAddress: target.host,
    unconfirmed: 0,
    finish() {
      if (over) return
      over = true
      socket?.close()
      clock.after(0, () => events.onClose({ reason: 'finished', orderly: true }))
    },
    write(bytes) {
      if (over || !socket) return 0
      let done = 0
      while (done < bytes.length) {
        const end = datagramEnd(bytes, done)
        if (!trySend(socket, bytes.subarray(done, end))) {
          clock.after(RETRY_MS, () => {
            if (!over) events.onDrain()
          })
          break
        }
        done = end
      }
      return done
    },
    end() {
      if (over) return
      over = true
      socket?.close()
    },
  }
}

/** ECONNREFUSED from an earlier datagram is thrown at the next one: that one is lost too, as C programs lose it. */
function trySend(socket: Bun.udp.ConnectedSocket<'uint8array'>, datagram: Uint8Array): boolean {
  try {
    return socket.send(datagram)
  } catch {
    return true
  }
}

function datagramEnd(bytes: Uint8Array, start: number): number {
  const limit = start + DATAGRAM_BYTES_MAX
  if (limit >= bytes.length) return bytes.length
  const last = bytes.lastIndexOf(NEWLINE, limit - 1)
  if (last >= start) return last + 1
  const next = bytes.indexOf(NEWLINE, limit)
  return next < 0 ? bytes.length : next + 1
}
