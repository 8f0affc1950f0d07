/**
 * Who is at the other end of a Unix socket: SO_PEERCRED (unix(7)). Bun has no call for it, but knows the
 * file descriptor, so the C library is asked. Undefined where that cannot be (not Linux, no glibc or
 * musl, a closed socket): the caller then says that it does not know.
 */

import { dlopen, ptr } from 'bun:ffi'

const SOL_SOCKET = 1
const SO_PEERCRED = 17
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']

const SYMBOLS = {
  getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
} as const

const library = openLibrary()

function openLibrary() {
  for (const name of LIBRARIES) {
    try {
      return dlopen(name, SYMBOLS)
    } catch {
      // another C library
    }
  }
  return undefined
}

export function peerUid(socket: object): number | undefined {
  if (!library || !('fd' in socket) || typeof socket.fd !== 'number' || socket.fd < 0) {
    return undefined
  }
  // struct ucred: pid, uid, gid
  const credentials = new Int32Array(3)
  const length = new Uint32Array([credentials.byteLength])
  const { getsockopt } = library.symbols
  const failed = getsockopt(socket.fd, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(length))
  return failed === 0 ? credentials[1]! >>> 0 : undefined
}
