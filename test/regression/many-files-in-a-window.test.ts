/**
 * The manifest counted a window's files of extents in a byte. Every snapshot begins one, and a coarse window is open for
 * weeks: of 260 it named four, and the next start removed the others.
 */
import { expect, test } from 'bun:test'
import { decodeManifest, encodeManifest, type Manifest } from '../../src/store/files/manifest.ts'

test('a manifest names all files of a window', () => {
  const extents = Array.from({ length: 260 }, (_, i) => ({ generation: i + 1, bytes: 1_000 + i }))
  const manifest: Manifest = {
    nextGeneration: 262,
    firstSegment: 3,
    series: { generation: 261, bytes: 80 },
    newest: 1_800_000_000,
    trusted: 1_800_000_000,
    lanes: [
      {
        archives: [{ step: 60, count: 1_440 }],
        headFrom: 30_000_000,
        levels: [[{ start: 1_800_000_000, state: 'open', block: undefined, extents }]],
      },
    ],
  }
  expect(decodeManifest(encodeManifest(manifest), 'test')).toEqual(manifest)
})
