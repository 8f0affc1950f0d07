import { expect, test } from 'bun:test'
import { collectGarbage, GROWTH_BYTES_MAX, type Memory } from '../../src/lib/collector.ts'
import { SimClock } from '../sim/clock.ts'

const MIB = 1024 * 1024

test('garbage is collected when the process has grown by so much since it was smallest', async () => {
  const clock = new SimClock()
  let bytes = 100 * MIB
  let live = 100 * MIB
  let collections = 0
  const memory: Memory = {
    resident: () => bytes,
    collect() {
      collections++
      bytes = live
    },
  }
  collectGarbage(clock, memory)
  const after = async (size: number): Promise<number> => {
    bytes = size
    await clock.advance(5_000)
    return collections
  }
  expect(await after(100 * MIB)).toBe(0)
  expect(await after(80 * MIB)).toBe(0)
  expect(await after(80 * MIB + GROWTH_BYTES_MAX)).toBe(0)
  expect(await after(81 * MIB + GROWTH_BYTES_MAX)).toBe(1)
  // What lives has grown too: that is where it begins again.
  live = 200 * MIB
  expect(await after(210 * MIB)).toBe(2)
  expect(await after(210 * MIB)).toBe(2)
})
