import { describe, expect, test } from 'bun:test'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { Stats } from '../../../src/lib/stats.ts'
import {
  ExtentEncoder,
  ExtentIndex,
  parseExtentHeader,
} from '../../../src/store/files/extent-format.ts'
import { OpenExtents } from '../../../src/store/engine/open-extents.ts'
import { SlotMatrix } from '../../../src/store/files/slot-matrix.ts'
import { TimeSlice } from '../../../src/lib/time-slice.ts'
import { type ExtentSource, Window } from '../../../src/store/engine/window.ts'
import { seededRandom } from '../../bench/bench.ts'
import { SimClock } from '../../sim/clock.ts'

const SERIES = 8
const SLOTS = 3_600
const random = seededRandom(11)
const values = Float64Array.from({ length: SERIES * SLOTS }, () => Math.floor(random() * 1e6))

/** A file of one extent, again and again. */
class OneExtent implements ExtentSource {
  readonly path = 'test'
  readonly index = new ExtentIndex()
  readonly damage = undefined
  readonly isSealed: boolean
  reads = 0
  private readonly bytes: Uint8Array

  constructor(isSealed: boolean, extents = 1) {
    this.isSealed = isSealed
    const ids = Uint32Array.from({ length: SERIES }, (_, k) => k)
    const columns = { ids, count: SERIES, firstSlot: 0, slots: SLOTS, values }
    const dst = new ByteWriter()
    new ExtentEncoder().encode(dst, { ...columns, averagedOf: () => 1, collectedStep: 1 })
    this.bytes = dst.copy()
    for (let i = 0; i < extents; i++) this.index.push(0, parseExtentHeader(this.bytes)!)
  }

  read(): Uint8Array {
    this.reads++
    return this.bytes.slice()
  }

  release(): void {}
}

function make(clock = new SimClock()): {
  clock: SimClock
  extents: OpenExtents
  counts: () => { opened: number; reused: number }
} {
  const stats = new Stats()
  const opened = stats.counter('opened')
  const reused = stats.counter('reused')
  const extents = new OpenExtents(clock, { opened, reused })
  return { clock, extents, counts: () => ({ opened: opened.value, reused: reused.value }) }
}

function use(extents: OpenExtents, source: ExtentSource, at = 0): void {
  const reader = extents.take(source, at)
  const found = new Float64Array(SLOTS)
  for (let k = SERIES - 1; k >= 0; k--) {
    reader.decode(k, found, 0)
    expect(found).toEqual(values.subarray(k * SLOTS, (k + 1) * SLOTS))
  }
  extents.giveBack(source, at, reader)
}

describe('OpenExtents', () => {
  test('a sealed extent is read once, one that may be followed by others every time', () => {
    const { extents, counts } = make()
    const sealed = new OneExtent(true)
    const open = new OneExtent(false)
    for (let i = 0; i < 3; i++) {
      use(extents, sealed)
      use(extents, open)
    }
    expect([sealed.reads, open.reads]).toEqual([1, 3])
    expect(counts()).toEqual({ opened: 4, reused: 2 })
  })

  test('what is lent is not lent again', () => {
    const { extents } = make()
    const source = new OneExtent(true)
    const reader = extents.take(source, 0)
    const other = extents.take(source, 0)
    expect(other).not.toBe(reader)
    extents.giveBack(source, 0, reader)
    extents.giveBack(source, 0, other)
    use(extents, source)
    expect(source.reads).toBe(2)
  })

  test('keeps 16, those that were used last', () => {
    const { extents } = make()
    const source = new OneExtent(true, 17)
    for (let at = 0; at < 17; at++) use(extents, source, at)
    for (let at = 1; at < 17; at++) use(extents, source, at)
    expect(source.reads).toBe(17)
    use(extents, source, 0)
    expect(source.reads).toBe(18)
  })

  test('lets all go when nobody came', async () => {
    const { clock, extents } = make()
    const source = new OneExtent(true)
    use(extents, source)
    await clock.advance(9_000)
    use(extents, source)
    await clock.advance(2_000)
    use(extents, source)
    expect(source.reads).toBe(1)
    await clock.advance(20_000)
    use(extents, source)
    expect(source.reads).toBe(2)
  })
})

/** Every look at it takes three milliseconds, and whoever rests is woken at once. */
class SlowClock extends SimClock {
  rests = 0
  private elapsed = 0

  override monotonicMs(): number {
    return (this.elapsed += 3)
  }

  override after(delayMs: number, run: () => void): { cancel(): void } {
    if (delayMs > 0) return super.after(delayMs, run)
    this.rests++
    queueMicrotask(run)
    return { cancel() {} }
  }
}

test('a window rests between two series of one extent', async () => {
  const clock = new SlowClock()
  const { extents } = make(clock)
  const window = new Window(1, { start: 0, slots: SLOTS }, { extents, onDamage() {} })
  const matrix = new SlotMatrix(
    Uint32Array.from({ length: SERIES }, (_, k) => k),
    0,
    SLOTS,
  )
  await window.read(matrix, new TimeSlice(clock), [new OneExtent(true)])
  expect(matrix.values).toEqual(values)
  expect(clock.rests).toBeGreaterThanOrEqual(2)
})
