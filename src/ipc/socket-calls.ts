/**
 * What the kernel tells of a connected socket, and is told, where Bun has no call for it but knows the file
 * descriptor: the C library is asked (socket(7), tcp(7), unix(7)). Undefined or false where that cannot be (not
 * Linux, no glibc or musl, a closed socket): the caller then says or does what it can without.
 */

import { dlopen, ptr } from 'bun:ffi'

const SOL_SOCKET = 1
const SO_LINGER = 13
const SO_PEERCRED = 17
const SIOCOUTQ = 0x5411
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']

const SYMBOLS = {
  getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
  setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
  ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' },
} as const

type Calls = ReturnType<typeof dlopen<typeof SYMBOLS>>['symbols']

let calls: Calls | 'none' | undefined

/** struct ucred: pid, uid, gid */
const credentials = new Int32Array(3)
const length = new Uint32Array(1)
const queued = new Int32Array(1)
/** struct linger: on, for no time at all */
const noLinger = Int32Array.of(1, 0)

/** Who is at the other end of a Unix socket. */
export function peerUid(socket: object): number | undefined {
  const fd = descriptor(socket)
  const { getsockopt } = libc() ?? {}
  if (fd === undefined || !getsockopt) return undefined
  length[0] = credentials.byteLength
  const failed = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(length))
  return failed === 0 ? credentials[1]! >>> 0 : undefined
}

/**
 * Bytes written to a TCP socket whose arrival its peer's kernel has not confirmed; of a Unix socket, the memory of what
 * its peer has not read (unix(7): more than the bytes, and 0 when it has read all).
 */
export function unconfirmedBytes(socket: object): number | undefined {
  const fd = descriptor(socket)
  const { ioctl } = libc() ?? {}
  if (fd === undefined || !ioctl) return undefined
  return ioctl(fd, SIOCOUTQ, ptr(queued)) === 0 ? queued[0] : undefined
}

/** Whenever it is closed, its peer gets a RST instead of a FIN, and what is not sent yet is forgotten. */
export function resetAtClose(socket: object): boolean {
  const fd = descriptor(socket)
  const { setsockopt } = libc() ?? {}
  if (fd === undefined || !setsockopt) return false
  return setsockopt(fd, SOL_SOCKET, SO_LINGER, ptr(noLinger), noLinger.byteLength) === 0
}

function descriptor(socket: object): number | undefined {
  return 'fd' in socket && typeof socket.fd === 'number' && socket.fd >= 0 ? socket.fd : undefined
}

function libc(): Calls | undefined {
  calls ??= openLibrary()
  return calls === 'none' ? undefined : calls
}

function openLibrary(): Calls | 'none' {
  for (const name of LIBRARIES) {
    try {
      return dlopen(name, SYMBOLS).symbols
    } catch {
      // another C library
    }
  }
  return 'none'
}
