/**
 * A cluster of type file: what is sent is appended. A failing disk is a closed connection; a line that it took only a
 * part of gets its end before the next one begins.
 */

import { NEWLINE } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Upstream, UpstreamEvents } from './upstream.ts'

export function openFileUpstream(
  surroundings: { disk: Disk; clock: Clock },
  path: string,
  events: UpstreamEvents,
): Upstream {
  let file: DiskFile | undefined
  let over = false
  const fail = (error: unknown): void => {
    over = true
    file?.close()
    surroundings.clock.after(0, () => events.onClose({ reason: reason(error), orderly: false }))
  }
  surroundings.clock.after(0, () => {
    if (over) return
    try {
      file = surroundings.disk.open(path, 'append', 0o644)
      endTornLine(file)
    } catch (error) {
      return fail(error)
    }
    events.onOpen()
  })
  return {
    unconfirmed: 0,
    write(bytes) {
      if (over || !file) return 0
      try {
        file.append(bytes)
        return bytes.length
      } catch (error) {
        fail(error)
        return 0
      }
    },
    finish() {
      if (over) return
      over = true
      file?.close()
      const end = { reason: 'finished', orderly: true }
      surroundings.clock.after(0, () => events.onClose(end))
    },
    end() {
      if (over) return
      over = true
      file?.close()
    },
  }
}

function endTornLine(file: DiskFile): void {
  const size = file.size()
  if (size > 0 && file.read(size - 1, 1)[0] !== NEWLINE) file.append(Uint8Array.of(NEWLINE))
}
