/**
 * Crashes of a simulated disk for as long as one likes: ./scripts/soak store-crash [SECONDS] [FIRST SEED].
 *
 * First every write of a short life of a store is torn at every byte, as a kill and as a power cut
 * (test/store/crash-plan.ts); then random lives go on until the time is over (test/store/store-life.ts). What is
 * wrong is printed with its seed; the test of that number replays it.
 */
import { reason } from '../../src/lib/log.ts'
import { CrashPlan, isWholeAfter } from '../store/crash-plan.ts'
import { StoreLife } from '../store/store-life.ts'

const STEPS = 300

const [seconds = 600, firstSeed = 100_000] = Bun.argv.slice(2).map(Number)
const endMs = performance.now() + seconds * 1000
let wrong = 0

const torn = await tearEverything(performance.now() + (seconds * 1000) / 2)
console.log(`${torn} torn writes`)
const ends = { kill: 0, powerCut: 0, stop: 0 }
let seed = firstSeed
for (; performance.now() < endMs; seed++) {
  const life = new StoreLife(seed)
  try {
    await life.live(STEPS)
  } catch (error) {
    complain(`seed ${seed}: ${reason(error)}`)
  }
  for (const end of ['kill', 'powerCut', 'stop'] as const) ends[end] += life.ends[end]
}
console.log(
  `${seed - firstSeed} lives: ${ends.kill} kills, ${ends.powerCut} power cuts, ${ends.stop} stops; ${wrong} wrong`,
)
process.exit(wrong === 0 ? 0 : 1)

/** As many as fit into the time; answers how many. */
async function tearEverything(untilMs: number): Promise<number> {
  const plan = await CrashPlan.record()
  let count = 0
  for (const [change, point] of plan.points.entries()) {
    for (let tornBytes = 0; tornBytes <= (point.append?.bytes.length ?? 0); tornBytes++) {
      if (performance.now() > untilMs) {
        console.log(`the time was over at change ${change} of ${plan.points.length}`)
        return count
      }
      for (const end of ['kill', 'power cut'] as const) {
        const random = (below: number): number => (change * 7_919 + tornBytes * 31) % below
        const problem = await isWholeAfter(point, { end, tornBytes, random, andOn: true })
        if (problem) complain(`change ${change}, byte ${tornBytes}, ${end}: ${problem}`)
        count++
      }
    }
  }
  return count
}

function complain(problem: string): void {
  wrong++
  console.log(`WRONG: ${problem}`)
}
