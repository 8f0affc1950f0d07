/**
 * A check of a live store took what was logged while it read the log for damage, and no checkpoint came until it was
 * over, so that points were late once the head was full.
 */
import { expect, test } from 'bun:test'
import { SimClock } from '../sim/clock.ts'
import { EngineBed, START } from '../store/engine-bed.ts'

async function filledBed(): Promise<{ bed: EngineBed; second: () => void }> {
  const bed = new EngineBed()
  await bed.open()
  const ids = Array.from({ length: 50 }, (_, i) => bed.define(`live.s${i}`))
  let time = START - 150
  const second = (): void => {
    expect(bed.write(ids.map((id) => [id, time, time % (id + 7)]))).toBeTrue()
    time++
  }
  while (time < START) {
    second()
    await bed.engine.whenRoom()
  }
  return { bed, second }
}

test('what is logged while a check reads the log is no damage', async () => {
  const { bed, second } = await filledBed()
  const { clock } = bed
  let looks = 0
  // Points come whenever it looks whether it should rest.
  clock.monotonicMs = () => {
    if (looks++ < 40) second()
    return SimClock.prototype.monotonicMs.call(clock)
  }
  expect((await bed.engine.check()).problems).toEqual([])
  expect(looks).toBeGreaterThan(5)
})

test('a checkpoint that is due comes while a check reads the files', async () => {
  const { bed, second } = await filledBed()
  await bed.clock.advance(61_000)
  second()
  await bed.clock.advance(1_000)
  const segments = (): string[] => bed.disk.list('/store/wal')
  const before = segments()
  const { clock } = bed
  clock.monotonicMs = () => SimClock.prototype.monotonicMs.call(clock) + 61_000
  expect((await bed.engine.check()).problems).toEqual([])
  expect(segments()).not.toEqual(before)
})
