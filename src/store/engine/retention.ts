/**
 * What has outlived its archive goes, whole windows at a time. "Now" is the earlier of the wall clock and the
 * newest point, so a silent store keeps what it has; after the clock jumped nothing is deleted until points
 * confirm the new time (clock-guard.ts).
 */

import type { Core } from './core.ts'
import type { Lane, Level } from './lane.ts'
import type { Window } from './window.ts'

/** Windows of which every slot is older than its archive keeps. */
export function expiredWindows(core: Core): { lane: Lane; depth: number; window: Window }[] {
  const expired: { lane: Lane; depth: number; window: Window }[] = []
  if (!core.guard.mayDelete) return expired
  for (const lane of core.lanes) {
    for (const [depth, level] of lane.levels.entries()) {
      for (const window of level.windows.values()) {
        if (isExpired(core, level, window)) expired.push({ lane, depth, window })
      }
    }
  }
  return expired
}

/** A slot is kept while now − its time < retention. */
function isExpired(core: Core, level: Level, window: Window): boolean {
  return window.end <= core.now - level.retention
}

/** Removes a window: first from the manifest, then its files. */
export async function dropWindows(
  core: Core,
  windows: readonly { lane: Lane; depth: number; window: Window }[],
): Promise<void> {
  for (const { lane, depth, window } of windows) {
    lane.levels[depth]!.windows.delete(window.start)
  }
  await core.saveManifest()
  for (const { window } of windows) {
    window.retire(() => {
      for (const file of window.block ? [window.block, ...window.extents] : window.extents)
        core.discard(file, false)
    })
  }
}
