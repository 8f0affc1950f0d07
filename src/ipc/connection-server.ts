/**
 * A socket that is listened on, Unix or TCP, with one object for each of its connections: bytes come to it, it is
 * told when the kernel takes bytes again, and once when the connection is over, however it ended.
 *
 * Limit: so many connections at a time; one more is closed at once and counted.
 */

import type { Disk } from '../lib/disk.ts'
import type { Counter } from '../lib/stats.ts'
import { publishSocket } from './socket.ts'

/** One connection, as its server sees it. */
export interface Served {
  /** While a promise that this returns is not settled, nothing more is read. It may not be rejected. */
  receive(bytes: Uint8Array): void | Promise<void>
  /** The kernel takes bytes again. */
  drain(): void
  /** Nothing comes or goes any more. */
  close(): void
}

export interface ConnectionServerOptions<C extends Served> {
  /** A Unix socket's path, or an address. */
  readonly where:
    | { readonly path: string; readonly disk: Disk }
    | { readonly hostname: string; readonly port: number }
  readonly connectionsMax: number
  readonly refused: Counter
  readonly open: (socket: Bun.Socket<C | undefined>) => C
}

export interface ConnectionServer<C> {
  readonly connections: ReadonlySet<C>
  /** 0 for a Unix socket. */
  readonly port: number
  stop(): void
}

export function serveConnections<C extends Served>(
  options: ConnectionServerOptions<C>,
): ConnectionServer<C> {
  const connections = new Set<C>()
  const { where } = options
  const socket = handlers(options, connections)
  if ('path' in where) {
    const published = publishSocket(where.disk, where.path, {
      listen: (unix) => Bun.listen<C | undefined>({ unix, socket }),
    })
    const stop = (): void => {
      published.unpublish()
      published.server.stop(true)
    }
    return { connections, port: 0, stop }
  }
  const server = Bun.listen<C | undefined>({ ...where, socket })
  return { connections, port: server.port, stop: () => server.stop(true) }
}

/** A connection that was refused has no object. */
function handlers<C extends Served>(
  options: ConnectionServerOptions<C>,
  connections: Set<C>,
): Bun.SocketHandler<C | undefined> {
  return {
    open(socket) {
      socket.data = undefined
      if (connections.size >= options.connectionsMax) {
        options.refused.value++
        socket.end()
        return
      }
      const connection = options.open(socket)
      socket.data = connection
      connections.add(connection)
    },
    data(socket, bytes) {
      const wait = socket.data?.receive(bytes)
      if (!wait) return
      socket.pause()
      void wait.then(() => socket.resume())
    },
    drain: (socket) => socket.data?.drain(),
    close(socket) {
      if (socket.data && connections.delete(socket.data)) socket.data.close()
    },
    // What failed here may work on the next connection; an open one would hold its sender up for good.
    error(socket) {
      if (socket.data && connections.delete(socket.data)) socket.data.close()
      socket.terminate()
    },
  }
}
