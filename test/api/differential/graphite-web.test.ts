/**
 * Every function of graphite-web 1.1.8, the real one, beside ours, over the same Whisper files and with the
 * clock pinned by `now=`: names, tags, timestamps and values are the same but for the departures below. Ours
 * answer twice: evaluated over the files, and by an api over a store that imported them.
 *
 * Skipped, with the reason printed, where Debian's graphite-web is not installed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { GraphiteWeb, graphiteWebIsMissing } from '../../peers/graphite-web.ts'
import {
  type Answer,
  askServer,
  askUs,
  differenceOf,
  pointsFrom,
  pointsLater,
  type Window,
  withoutInfinities,
} from './answers.ts'
import { askEndpoint, ENDPOINTS, EVENTS } from './endpoint-questions.ts'
import { NOW, TAGGED, writeFixtures } from './fixtures.ts'
import { FURTHER_TARGETS } from './further-targets.ts'
import { OurStack } from './our-stack.ts'
import { CONSOLIDATED_TARGETS, TARGETS, ZONED_TARGETS } from './targets.ts'
import { WhisperSource } from './whisper-source.ts'

/** A quarter of an hour at one second; two hours, from another archive; four hours of yesterday, off every step. */
const WINDOWS = [
  { from: NOW - 900, until: NOW },
  { from: NOW - 7_203, until: NOW - 5 },
  { from: NOW - 90_037, until: NOW - 75_611 },
] as const

const CONSOLIDATED_WINDOWS: readonly Window[] = [1, 7, 100, 1_000].flatMap((maxDataPoints) =>
  WINDOWS.map((window) => ({ ...window, maxDataPoints })),
)

const MILLISECONDS_MAX = 180_000

/** Functions that 1.1.8 does not have yet, and what it does not take although master does. */
const NOT_IN_1_1_8 = /compressPeriodicGaps|upper\(|lower\(|"sumSeries",1/

/** Series of different steps that do not start together: ours are combined by time, theirs by index. */
const COMBINED_BY_TIME = /^\w+\(steps\.|cpu\.user ?, +edge\.gaps|cpu\.user,edge\.gaps\)$/

/**
 * Running sums of squares cancel: their last place is 1e-11 where they come to 1e5, and a deviation of 0.002 is made of
 * that, so that its seventh digit depends on how a square is rounded (by C's pow there, as a product here).
 */
const ILL_CONDITIONED = /^stdev/
const ILL_CONDITIONED_TOLERANCE = 1e-6

/** 1.1.8 ends each moving window one point before the point that it is for; master and we end it with it. */
function windowsBehind(target: string): number {
  return [...target.matchAll(/moving[A-Z]/g)].length
}

function compare(target: string, ours: Answer, theirs: Answer): string | undefined {
  if ('refused' in theirs) {
    // They fail with a traceback, or by a rule that is not ours: whatever we answer is better.
    if (theirs.refused.startsWith('500') || NOT_IN_1_1_8.test(target)) return undefined
  }
  const behind = windowsBehind(target)
  const tolerance = ILL_CONDITIONED.test(target) ? ILL_CONDITIONED_TOLERANCE : 1e-11
  const difference = differenceOf(pointsLater(ours, behind), pointsFrom(theirs, behind), tolerance)
  return difference !== undefined && COMBINED_BY_TIME.test(target) ? undefined : difference
}

const missing = graphiteWebIsMissing()
if (missing !== undefined) console.log(`skipped: graphite-web beside ours: ${missing}`)

describe.skipIf(missing !== undefined)('graphite-web beside ours', () => {
  let peer: GraphiteWeb
  let source: WhisperSource
  let stack: OurStack

  beforeAll(async () => {
    peer = await GraphiteWeb.start(writeFixtures)
    source = await WhisperSource.open(`${peer.home}/whisper`)
    stack = await OurStack.start(`${peer.home}/whisper`)
    const tagged = await peer.ask(
      '/tags/tagMultiSeries',
      TAGGED.map((path) => ['path', path]),
    )
    expect(tagged.status).toBe(200)
    for (const event of EVENTS) {
      for (const url of [peer.url, stack.url]) {
        const made = await fetch(`${url}/events/`, { method: 'POST', body: JSON.stringify(event) })
        expect(made.status).toBe(200)
      }
    }
  }, MILLISECONDS_MAX)

  afterAll(async () => {
    await peer?.stop()
    await stack?.stop()
  })

  async function differences(targets: readonly string[], window: Window): Promise<string[]> {
    const found: string[] = []
    for (const target of targets) {
      const [theirs, answer] = await Promise.all([
        askServer(peer.url, target, window),
        askServer(stack.url, target, window),
      ])
      const ours = compare(target, await askUs(source, target, window), theirs)
      if (ours !== undefined) found.push(`${target}: ${ours.slice(0, 400)}`)
      if (ours !== undefined) continue
      const stored = compare(target, answer, withoutInfinities(theirs))
      if (stored !== undefined) found.push(`${target}, stored: ${stored.slice(0, 400)}`)
    }
    return found
  }

  describe.each(ENDPOINTS.map((one) => [one.name, one] as const))('%s', (name, endpoint) => {
    test(
      'are answered alike',
      async () => {
        const found: string[] = []
        let answered = 0
        for (const question of endpoint.questions) {
          const [theirs, ours] = await Promise.all([
            askEndpoint(peer.url, question),
            askEndpoint(stack.url, question),
          ])
          if (theirs.status === 500) continue
          if (theirs.status < 400) answered++
          const same =
            theirs.status >= 400
              ? ours.status >= 400 && ours.status < 500
              : ours.status === theirs.status &&
                Bun.deepEquals(endpoint.read(ours.text), endpoint.read(theirs.text))
          if (same) continue
          const [us, them] = [ours, theirs].map(
            ({ status, text }) => `${status} ${text.slice(0, 200)}`,
          )
          found.push(`${question.path} ${question.form ?? ''}: ${us} ≠ ${them}`)
        }
        expect(found).toEqual([])
        expect(answered / endpoint.questions.length, name).toBeGreaterThan(0.5)
      },
      MILLISECONDS_MAX,
    )
  })

  test('there is something to compare', async () => {
    expect(TARGETS.length).toBeGreaterThan(600)
    const answers = await askUs(source, 'servers.*.cpu.user', WINDOWS[0])
    expect('refused' in answers ? [] : answers.map(({ values }) => values.length)).toEqual([
      900, 900, 900, 900,
    ])
  })

  test.each([
    ['a quarter of an hour', WINDOWS[0]],
    ['two hours', WINDOWS[1]],
    ['four hours of yesterday', WINDOWS[2]],
  ] as const)(
    'all targets over %s',
    async (_, window) => {
      expect(await differences(TARGETS, window)).toEqual([])
    },
    MILLISECONDS_MAX,
  )

  test.each(WINDOWS.map((window, i) => [i, window] as const))(
    'further targets, a third of them over window %d',
    async (i, window) => {
      const third = FURTHER_TARGETS.filter((_, at) => at % WINDOWS.length === i)
      expect(await differences(third, window)).toEqual([])
    },
    MILLISECONDS_MAX,
  )

  test(
    'with maxDataPoints',
    async () => {
      for (const window of CONSOLIDATED_WINDOWS) {
        expect(await differences(CONSOLIDATED_TARGETS, window)).toEqual([])
      }
    },
    MILLISECONDS_MAX,
  )

  test.each(['America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Kiritimati'])(
    'in the time zone %s',
    async (timeZone) => {
      for (const window of WINDOWS) {
        expect(await differences(ZONED_TARGETS, { ...window, timeZone })).toEqual([])
      }
    },
    MILLISECONDS_MAX,
  )

  test.each([
    [7, 0],
    [100, 2],
    [1_000, 4],
  ] as const)(
    'targets with maxDataPoints=%d, the sixth from the %dth on',
    async (maxDataPoints, first) => {
      // Windows that end a point earlier do not fall into the same buckets.
      const all = [...TARGETS, ...FURTHER_TARGETS].filter((target) => windowsBehind(target) === 0)
      const some = all.filter((_, i) => i % 6 === first)
      expect(await differences(some, { ...WINDOWS[1], maxDataPoints })).toEqual([])
    },
    MILLISECONDS_MAX,
  )

  test('targets of one request share stacks and xFilesFactor', async () => {
    const window = WINDOWS[1]
    const targets = [
      'stacked(edge.gaps)',
      'stacked(edge.wrap)',
      'stacked(edge.steps,"other")',
      'sumSeries(edge.{gaps,sparse})',
      'setXFilesFactor(edge.gaps,0.6)',
      'sumSeries(edge.{gaps,sparse})',
    ]
    const theirs = await askServer(peer.url, targets, window)
    expect(differenceOf(await askUs(source, targets, window), theirs)).toBeUndefined()
    expect(differenceOf(await askServer(stack.url, targets, window), theirs)).toBeUndefined()
  })
})
