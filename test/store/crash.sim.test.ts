/**
 * Crashes of a simulated disk. Random lives of a store (store-life.ts) end and begin again at any change; and here
 * every single change of a short life is a crash, with every byte of a log record, an extent, a block, the series
 * log and the manifest as the place where the write was torn.
 *
 * After a kill every point that was taken is there, after a power cut every one that was synced; nothing is there
 * that was not written, and the store goes on. `./scripts/soak store-crash` runs more lives, and tears every write.
 */
import { describe, expect, test } from 'bun:test'
import { dirname } from 'node:path'
import { CrashPlan, type CrashPoint, isWholeAfter } from './crash-plan.ts'
import { StoreLife } from './store-life.ts'

const LIVES = 12
/** Lives that found something once. */
const REMARKABLE = [12, 19, 24, 69, 125, 138, 196, 291, 359, 363, 384, 700_025, 700_039]

describe('a random life', () => {
  test.each([...Array.from({ length: LIVES }, (_, i) => 5_000 + i), ...REMARKABLE])(
    'number %d keeps what it promised',
    async (seed) => new StoreLife(seed).live(seed < 700_000 ? 120 : 300),
    120_000,
  )
})

const plan = await CrashPlan.record()

describe(`each of ${plan.points.length} changes of a short life`, () => {
  test('is survived as a kill and as a power cut', async () => {
    for (const [i, point] of plan.points.entries()) {
      const random = (below: number): number => (i * 7_919) % below
      for (const end of ['kill', 'power cut'] as const) {
        const problem = await isWholeAfter(point, { end, tornBytes: 0, random, andOn: i % 4 === 0 })
        expect(problem && `change ${i}, ${end}: ${problem}`).toBeUndefined()
      }
    }
  }, 120_000)
})

/** So that it takes seconds; the soak tears the longer ones too. */
const TORN_BYTES_MAX = 400

/** The kinds of files, of each of which the largest such write is torn. */
const KINDS: Readonly<Record<string, (path: string) => boolean>> = {
  'the log': (path) => path.endsWith('.wal'),
  'a file of extents': (path) => path.endsWith('.ext'),
  'a block': (path) => path.endsWith('.blk.new'),
  'the series log': (path) => dirname(path).endsWith('/series'),
  'the manifest': (path) => path.endsWith('/MANIFEST.new'),
}

describe('a write torn at every byte of', () => {
  test.each(Object.entries(KINDS))(
    '%s',
    async (_, isOfKind) => {
      const isMeant = ({ append }: CrashPoint): boolean =>
        append !== undefined && isOfKind(append.path) && append.bytes.length <= TORN_BYTES_MAX
      const point = largest(plan.points.filter(isMeant))
      for (let tornBytes = 0; tornBytes <= point.append!.bytes.length; tornBytes++) {
        for (const end of ['kill', 'power cut'] as const) {
          const random = (below: number): number => (tornBytes * 31) % below
          const problem = await isWholeAfter(point, {
            end,
            tornBytes,
            random,
            andOn: tornBytes % 16 === 0,
          })
          expect(problem && `byte ${tornBytes}, ${end}: ${problem}`).toBeUndefined()
        }
      }
    },
    120_000,
  )
})

function largest(points: readonly CrashPoint[]): CrashPoint {
  return points.reduce((best, point) =>
    point.append!.bytes.length > best.append!.bytes.length ? point : best,
  )
}
