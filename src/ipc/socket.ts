/**
 * Unix sockets that are never half there: a server listens under a temporary name and renames it over
 * the real one, so a client finds the old server or the new one, never nothing. On stop the name is
 * removed only if it is still this server's.
 */

import type { Disk } from '../lib/disk.ts'

/** Linux takes 107 bytes; the rest is for the temporary name. */
export const SOCKET_PATH_BYTES_MAX = 100

export interface PublishedSocket<Server> {
  readonly server: Server
  /** Removes the name if it is still ours. The server itself is the caller's to stop. */
  unpublish(): void
}

export function publishSocket<Server>(
  disk: Disk,
  path: string,
  options: { permissions?: number; listen: (temporaryPath: string) => Server },
): PublishedSocket<Server> {
  if (new TextEncoder().encode(path).length > SOCKET_PATH_BYTES_MAX) {
    throw new Error(
      `socket path ${path} is longer than ${SOCKET_PATH_BYTES_MAX} bytes: set EMON_RUN to a shorter folder`,
    )
  }
  const temporary = `${path}.new`
  disk.remove(temporary)
  const server = options.listen(temporary)
  disk.setPermissions(temporary, options.permissions ?? 0o600)
  const inode = disk.stat(temporary)?.inode
  disk.rename(temporary, path)
  return {
    server,
    unpublish() {
      if (disk.stat(path)?.inode === inode) disk.remove(path)
    },
  }
}
