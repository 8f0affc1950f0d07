/**
 * Seven days in compressed time: ./scripts/soak store-week [DAYS] [SERIES]. An engine on a simulated disk and clock
 * takes 100 series every second; a hundredth of the points comes up to three hours late. Every simulated half day
 * it says what is on the disk; at the end neither disk nor memory (in which the simulated disk is) may have grown
 * since the finest archive was full, and a sample of every archive must be what was written.
 */
import { EngineBed, START } from '../store/engine-bed.ts'

const RULE = {
  archives: [
    { step: 1, count: 21_600 },
    { step: 10, count: 17_280 },
    { step: 60, count: 7_200 },
  ],
  method: 'max',
  xFilesFactor: 0.5,
} as const

const days = Number(Bun.argv[2] ?? 7)
const series = Number(Bun.argv[3] ?? 100)
const MIB = 1024 ** 2
/** Noise with two decimals: what does not compress to nothing. */
const valueAt = (id: number, time: number): number =>
  (Math.imul(Math.imul(time, 0x9e3779b1) ^ id, 0x85ebca6b) >>> 16) / 100

const bed = new EngineBed()
await bed.open()
for (let id = 0; id < series; id++) bed.define(`week.s${id}`, RULE)
const started = performance.now()
const sizes: number[] = []
const memory: number[] = []
for (let hour = 0; hour < days * 24; hour++) {
  for (let second = 0; second < 3_600; second++) {
    const { now } = bed
    const points: [number, number, number][] = []
    for (let id = 0; id < series; id++) points.push([id, now, valueAt(id, now)])
    if (second % 100 === 7 && hour > 3) {
      const late = now - 60 - ((second * 97) % 10_000)
      for (let id = 0; id < series; id++) points.push([id, late, valueAt(id, late)])
    }
    bed.write(points)
    await bed.clock.advance(1000)
  }
  const bytes = [...bed.disk.contents()].reduce((sum, [, file]) => sum + file.length, 0)
  sizes.push(bytes)
  // What is left when garbage is gone: there is much of it when an hour takes a second.
  if (hour % 12 === 11) {
    Bun.gc(true)
    memory.push(process.memoryUsage().rss / MIB)
    const files = bed.disk.contents().size
    const rss = memory.at(-1)!.toFixed(0)
    console.log(`hour ${hour + 1}: ${bytes} bytes in ${files} files, ${rss} MiB resident`)
  }
}

let wrong = 0
let seen = 0
for (const { step, count } of RULE.archives) {
  const from = bed.now - Math.min(step * count, bed.now - START) + step
  for (let id = 0; id < series; id += 17) {
    const slots = await bed.read(id, { from, until: bed.now - 2 * step })
    for (const [i, value] of slots!.values.entries()) {
      let best = -Infinity
      const start = slots!.start + i * slots!.step
      for (let k = 0; k < slots!.step; k++) best = Math.max(best, valueAt(id, start + k))
      seen++
      if (value !== best) wrong++
    }
  }
}
const settled = sizes.slice(2 * 24 + 1)
const growth = Math.max(...settled.slice(-24)) / Math.max(...settled.slice(0, 24))
const memoryGrowth = memory.at(-1)! / Math.max(...memory.slice(4, 6))
console.log(`${days} days in ${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${seen} slots read, ${wrong} wrong`)
console.log(`disk: last day over day three: ${growth.toFixed(3)}`)
console.log(`memory: the end over day three: ${memoryGrowth.toFixed(3)}`)
console.log(
  `late ${bed.counter('late')}, dropped ${bed.counter('dropped.old')}, damaged ${bed.counter('damaged')}`,
)
if (wrong > 0 || (days >= 5 && (growth > 1.6 || memoryGrowth > 1.3))) process.exit(1)
