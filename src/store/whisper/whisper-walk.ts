/** All Whisper files below a folder, in the order of their paths; links to folders are not followed. */

import type { Disk } from '../../lib/disk.ts'
import { nameOfFile } from './whisper-names.ts'

export interface WhisperFile {
  /** From the tree's root. */
  readonly path: string
  /** Of the series; undefined when only a hash of it is known. */
  readonly name: string | undefined
}

export function* walkWhisperTree(disk: Disk, root: string, below = ''): Generator<WhisperFile> {
  for (const entry of disk.list(below === '' ? root : `${root}/${below}`)) {
    const path = below === '' ? entry : `${below}/${entry}`
    if (entry.endsWith('.wsp')) yield { path, name: nameOfFile(path) }
    else if (disk.stat(`${root}/${path}`)?.isDirectory) yield* walkWhisperTree(disk, root, path)
  }
}
