import { expect, test } from 'bun:test'
import { EngineBed, SECONDS, START } from '../engine-bed.ts'

const SERIES = 70
const HOUR = 3_600
/** Sealed by the time that points come late to it. */
const WINDOW = START - (START % HOUR) - 2 * HOUR

async function sealedBed(): Promise<EngineBed> {
  const bed = new EngineBed()
  await bed.open()
  for (let i = 0; i < SERIES; i++) bed.define(`s${i}`, SECONDS)
  bed.write([[0, START, 0]])
  for (let second = 0; second < 120; second++)
    bed.write(Array.from({ length: SERIES }, (_, id) => [id, WINDOW + second, id]))
  await bed.engine.flush()
  return bed
}

/** The slot of a coarser archive that holds `time`. */
async function coarseAt(
  bed: EngineBed,
  id: number,
  time: number,
  step: number,
): Promise<number | undefined> {
  const age = step === 10 ? 86_400 + 10 : 8 * 86_400
  const read = await bed.read(id, { from: bed.now - age, until: bed.now })
  expect(read?.step).toBe(step)
  return read?.values[Math.floor((time - read.start) / step)]
}

test('coarser slots over all that came late since a checkpoint are made anew with it', async () => {
  const bed = await sealedBed()
  for (let second = 0; second < 60; second++)
    bed.write(Array.from({ length: SERIES }, (_, id) => [id, WINDOW + second, id + 1_000]))
  await bed.engine.flush()
  expect(await coarseAt(bed, 7, WINDOW + 30, 10)).toBe(1_007)
  expect(await coarseAt(bed, 7, WINDOW + 70, 10)).toBe(7)
  expect(await coarseAt(bed, 69, WINDOW, 60)).toBe(1_069)
  expect(await coarseAt(bed, 69, WINDOW + 60, 60)).toBe(69)
})

test('a crash before the checkpoint loses none of it', async () => {
  const bed = await sealedBed()
  bed.write([[3, WINDOW + 5, 500]])
  await bed.engine.sync()
  await bed.open()
  await bed.engine.flush()
  expect(await coarseAt(bed, 3, WINDOW, 10)).toBe((3 * 9 + 500) / 10)
})
