/**
 * An imported window whose live points waited for a full disk longer than the finest archive reaches kept the imported
 * coarser values: when there was room again the first new point moved the time on before they were written.
 */
import { expect, test } from 'bun:test'
import { EngineBed, SECONDS, START } from '../store/engine-bed.ts'

test.each(['whisper', 'exact'] as const)(
  'points that waited for a disk are rolled up with an import: %s',
  async (rollup) => {
    const bed = new EngineBed(START + 5)
    await bed.open({ rollup })
    const archives = [
      { step: 1, count: 3_600 },
      { step: 10, count: 60_480 },
    ]
    const id = bed.define('a', { ...SECONDS, archives })
    // Half of a coarse slot is imported, as a file has it that was written until now …
    const values = Float64Array.of(1, 1, 1, 1, 1)
    expect(await bed.engine.load(id, { start: START, step: 1, values })).toBe(true)
    expect(await bed.engine.load(id, { start: START, step: 10, values: Float64Array.of(1) })).toBe(
      true,
    )
    // … the other half comes live, and the disk is full before it is written.
    for (let second = 5; second < 10; second++) {
      expect(bed.write([[id, START + second, 3]])).toBe(true)
      await bed.clock.advance(1000)
    }
    bed.disk.capacityBytes = 1
    await bed.clock.advance(3 * 3_600_000)
    expect(bed.engine.acceptsPoints()).toBe(false)
    bed.disk.capacityBytes = Infinity
    for (let second = 0; second < 300; second++) {
      bed.write([[id, bed.now, 5]])
      await bed.clock.advance(1000)
    }
    const coarse = await bed.read(id, { from: START - 1, until: START + 9, now: bed.now })
    expect(coarse).toEqual({ start: START, step: 10, values: [2] })
  },
)
