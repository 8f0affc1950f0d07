import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { LatePoints } from '../../../src/store/engine/late.ts'
import { LateOrder } from '../../../src/store/engine/late-order.ts'

const WINDOW = 3_600
/** Few different ones, on both sides of what one pass of the sort tells apart. */
const ids = fc.nat({ max: 5 }).map((n) => n * 40_000)
const slots = fc.nat({ max: 5 }).map((n) => 1_800_000_000 + n * 1_700)

test('sort() orders by window, id and arrival, whatever was sorted before', () => {
  const order = new LateOrder()
  const sorts = fc.array(fc.tuple(ids, slots), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(sorts, (points) => {
      const late = new LatePoints()
      for (const [id, slot] of points) late.push(id, slot, 0)
      const window = (at: number): number => Math.floor(late.slots[at]! / WINDOW)
      const wanted = points
        .map((_, at) => at)
        .sort((a, b) => window(a) - window(b) || late.ids[a]! - late.ids[b]! || a - b)
      expect([...order.sort(late, WINDOW)]).toEqual(wanted)
    }),
  )
})
