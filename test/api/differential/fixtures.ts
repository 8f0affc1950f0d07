/**
 * The data that graphite-web and we are asked about: one-second series with coarser archives, counters, gaps,
 * extremes, one series of every step, twelve days of a season, and tagged series.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { writeWhisper, type WhisperArchive } from '../../peers/whisper-file.ts'

/** The pinned clock: minutes ago, because a store does not keep what is older than its retention. */
export const NOW = Math.floor(Date.now() / 300_000) * 300

type Shape = (index: number, timestamp: number) => number | null

interface Fixture {
  readonly name: string
  /** Step and slots, finest first; coarser archives hold averages. */
  readonly archives: readonly (readonly [step: number, count: number])[]
  /** Seconds before NOW that the data begins. */
  readonly age: number
  readonly shape: Shape
}

const MINUTES = [[60, 10_080]] as const
const SECONDS = [
  [1, 3_600],
  [10, 8_640],
  [60, 10_080],
] as const

/** A small generator with a fixed seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

function servers(): Fixture[] {
  const fixtures: Fixture[] = []
  for (let host = 1; host <= 4; host++) {
    for (const [kind, level] of [
      ['user', 50],
      ['system', 20],
      ['idle', 30],
    ] as const) {
      fixtures.push({
        name: `servers.web0${host}.cpu.${kind}`,
        archives: SECONDS,
        age: 3 * 86_400,
        shape: (_, time) => rounded(level + 10 * Math.sin((time + 97 * host) / 60), 3),
      })
    }
    fixtures.push({
      name: `servers.web0${host}.requests.count`,
      archives: [[10, 17_280]],
      age: 86_400 + 7_200,
      shape: (i) => (i * host * 7) % 5_000,
    })
    fixtures.push({
      name: `servers.web0${host}.disk.used`,
      archives: MINUTES,
      age: 3 * 86_400,
      shape: (i) => 1_000 + i * host * 0.125,
    })
  }
  return fixtures
}

function edges(): Fixture[] {
  const next = random(7)
  const minutes = (name: string, shape: Shape): Fixture => ({
    name: `edge.${name}`,
    archives: MINUTES,
    age: 2 * 86_400,
    shape,
  })
  return [
    minutes('gaps', (i) => (i % 7 === 3 || i % 7 === 4 || i % 41 > 36 ? null : i % 100)),
    minutes('sparse', (i) => (i % 13 === 0 ? i / 4 : null)),
    minutes('late', (i) => (i > 2_860 ? i : null)),
    // No zeros after large numbers: infinity × 0 is NaN there, and no value here.
    minutes('wrap', (i) => 1 + ((i * 37) % 255)),
    minutes('empty', () => null),
    minutes('negative', (i) => 60.5 - (i % 150)),
    minutes('big', (i) => 1e300 * (1 + (i % 10))),
    minutes('tiny', (i) => 1e-300 * (1 + (i % 10))),
    minutes('constant', () => 42),
    minutes('zero', () => 0),
    minutes('random', () => next()),
    minutes('steps', (i) => Math.floor(i / 9) % 4),
  ]
}

function steps(): Fixture[] {
  return [1, 5, 10, 15, 60].map((step) => ({
    name: `steps.s${step}`,
    archives: [[step, 100_000]] as const,
    age: 8 * 3_600,
    shape: (i) => (i % 11 === 5 ? null : i * step),
  }))
}

function seasons(): Fixture[] {
  const next = random(11)
  return [0, 1].map((phase) => ({
    name: `season.daily${phase}`,
    archives: [[300, 288 * 30]] as const,
    age: 12 * 86_400,
    shape: (i) =>
      i % 97 === 40
        ? null
        : rounded(100 + 50 * Math.sin((2 * Math.PI * i) / 288 + phase) + next(), 4),
  }))
}

/** Names of the tagged series, which the peer must be told. */
export const TAGGED = [
  'disk.used;dc=eu;host=a',
  'disk.used;dc=eu;host=b',
  'disk.used;dc=us;host=a',
  'disk.used;dc=us;host=c',
  'disk.free;dc=eu;host=a',
]

function tagged(): Fixture[] {
  return TAGGED.map((name, index) => ({
    name,
    archives: MINUTES,
    age: 2 * 86_400,
    shape: (i) => (i % (9 + index) === 2 ? null : i * (index + 1)),
  }))
}

export const FIXTURES: readonly Fixture[] = [
  ...servers(),
  ...edges(),
  ...steps(),
  ...seasons(),
  ...tagged(),
]

/** Where a series' file lies below the folder of Whisper files. */
export function whisperPath(name: string): string {
  if (!name.includes(';')) return `${name.replaceAll('.', '/')}.wsp`
  const hash = createHash('sha256').update(name).digest('hex')
  return `_tagged/${hash.slice(0, 3)}/${hash.slice(3, 6)}/${name.replaceAll('.', '_DOT_')}.wsp`
}

export async function writeFixtures(dir: string): Promise<void> {
  for (const fixture of FIXTURES) {
    await writeWhisper(join(dir, whisperPath(fixture.name)), archivesOf(fixture))
  }
}

function archivesOf({ archives, age, shape }: Fixture): WhisperArchive[] {
  const finest = archives[0]![0]
  const first = NOW - age + finest - ((NOW - age) % finest)
  const points: [number, number][] = []
  for (let time = first, i = 0; time <= NOW; time += finest, i++) {
    const value = shape(i, time)
    if (value !== null) points.push([time, value])
  }
  return archives.map(([step, count]) => ({
    step,
    count,
    points: averages(points, step).filter(([time]) => time > NOW - step * count),
  }))
}

function averages(
  points: readonly (readonly [number, number])[],
  step: number,
): [number, number][] {
  const slots = new Map<number, { sum: number; count: number }>()
  for (const [time, value] of points) {
    const slot = slots.get(time - (time % step)) ?? { sum: 0, count: 0 }
    slot.sum += value
    slot.count++
    slots.set(time - (time % step), slot)
  }
  return [...slots].map(([time, { sum, count }]) => [time, sum / count])
}
