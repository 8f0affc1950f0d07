import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { realDisk } from '../../../src/lib/disk.ts'
import { Aggregator } from '../../../src/relay/aggregation/aggregator.ts'
import { AggregatorJournal } from '../../../src/relay/aggregation/aggregator-journal.ts'
import type { AggregateStep } from '../../../src/relay/routing/plan.ts'
import { parseRelayText } from '../../../src/relay/config/relay-conf.ts'
import { Router } from '../../../src/relay/routing/router.ts'
import { SimDisk, SimulatedCrash } from '../../sim/disk.ts'

const FUNCTIONS = [
  'sum',
  'count',
  'max',
  'min',
  'average',
  'median',
  'percentile90',
  'variance',
  'stddev',
]
const CONF = `aggregate ^in\\.(.*)$ every 10 seconds expire after 25 seconds timestamp at start of bucket
  ${FUNCTIONS.map((name) => `compute ${name} write to ${name}.\\1`).join(' ')};`

function router(conf: string): Router {
  const parsed = parseRelayText(realDisk, conf, 't')
  if (!parsed.ok) throw new Error(parsed.error)
  return new Router(parsed.value, 1)
}

function step(of: Router, name: string): AggregateStep {
  return of.plan(Buffer.from(name)).steps.find((one) => one.kind === 'aggregate')!
}

/** Results as `name value time`, sorted. */
function due(aggregator: Aggregator, now: number): string[] {
  const lines: string[] = []
  aggregator.due(now, (_sendTo, name, value, timestamp) =>
    lines.push(`${name} ${value} ${timestamp}`),
  )
  return lines.sort()
}

describe('Aggregator', () => {
  test('computes every function, and emits at start + expire', () => {
    const of = router(CONF)
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    const points = step(of, 'in.x')
    const given = [0.9, 5.2, 0.1, 3.3, 0.5, 0.2, 4.4]
    for (const value of given) aggregator.put(points, value, 103, 104)
    expect(due(aggregator, 124.9)).toEqual([])
    const values = Object.fromEntries(
      due(aggregator, 125).map((line) => line.split(' ').slice(0, 2) as [string, string]),
    )
    expect(values['median.x']).toBe('0.9')
    expect(values['percentile90.x']).toBe('5.2')
    expect(values['count.x']).toBe('7')
    expect(values['max.x']).toBe('5.2')
    expect(values['min.x']).toBe('0.1')
    const mean = given.reduce((a, b) => a + b) / given.length
    const variance = given.reduce((a, b) => a + (b - mean) ** 2, 0) / given.length
    expect(Number(values['sum.x'])).toBeCloseTo(mean * given.length, 12)
    expect(Number(values['average.x'])).toBeCloseTo(mean, 12)
    expect(Number(values['variance.x'])).toBeCloseTo(variance, 12)
    expect(Number(values['stddev.x'])).toBeCloseTo(Math.sqrt(variance), 12)
    expect(due(aggregator, 200)).toEqual([])
  })

  test.each([
    ['start', 100],
    ['middle', 105],
    ['end', 110],
  ])('stamps results at the %s of the bucket', (when, want) => {
    const of = router(
      `aggregate x every 10 seconds expire after 20 seconds timestamp at ${when} of bucket compute sum write to s;`,
    )
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    aggregator.put(step(of, 'x'), 1, 109, 109)
    expect(due(aggregator, 120)).toEqual([`s 1 ${want}`])
  })

  test('refuses points of emitted buckets and of far ahead, and counts them', () => {
    const of = router(CONF)
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    const points = step(of, 'in.x')
    aggregator.put(points, 1, 100, 124)
    aggregator.put(points, 1, 99, 124)
    aggregator.put(points, 1, 139, 124)
    aggregator.put(points, 1, 140, 124)
    expect(aggregator.received).toBe(4)
    expect(aggregator.dropped).toBe(2)
    expect(due(aggregator, 125).filter((line) => line.startsWith('count'))).toEqual([
      'count.x 1 100',
    ])
    aggregator.put(points, 1, 100, 120)
    expect(aggregator.dropped).toBe(3)
  })

  test('groups by what the templates make of names', () => {
    const of = router(
      'aggregate ^web\\.([^.]+)\\.([^.]+)$ every 1 seconds expire after 2 seconds compute sum write to all.\\2 compute count write to n.\\1;',
    )
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    aggregator.put(step(of, 'web.a.cpu'), 1, 10, 10)
    aggregator.put(step(of, 'web.b.cpu'), 2, 10, 10)
    aggregator.put(step(of, 'web.b.io'), 4, 10, 10)
    expect(due(aggregator, 12)).toEqual(['all.cpu 3 11', 'all.io 4 11', 'n.a 1 11', 'n.b 2 11'])
  })

  test('keeps buckets of rules that stay over a reload, and emits those of rules that go', () => {
    const first = router(
      `${CONF} aggregate ^old every 10 seconds expire after 20 seconds compute sum write to old;`,
    )
    const second = router(
      `aggregate ^new every 10 seconds expire after 20 seconds compute sum write to new; ${CONF}`,
    )
    const aggregator = new Aggregator()
    aggregator.configure(first.routing.aggregations)
    aggregator.put(step(first, 'in.x'), 1, 100, 100)
    aggregator.put(step(first, 'old'), 5, 100, 100)
    aggregator.configure(second.routing.aggregations)
    aggregator.put(step(second, 'in.x'), 2, 100, 100)
    aggregator.put(step(second, 'new'), 7, 100, 100)
    expect(due(aggregator, 120)).toEqual(['new 7 110', 'old 5 110'])
    expect(due(aggregator, 125)).toContain('sum.x 3 100')
  })

  test('refuses results whose name is too long or empty, and counts them', () => {
    const of = router(
      'aggregate ^(.*)$ every 1 seconds expire after 2 seconds compute sum write to \\1;',
    )
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    aggregator.put(step(of, 'x'.repeat(1025)), 1, 10, 10)
    expect(aggregator.dropped).toBe(1)
    aggregator.put(step(of, 'x'.repeat(1024)), 1, 10, 10)
    expect(due(aggregator, 12)).toHaveLength(1)
  })

  test('emits very many outputs in several calls, each once', () => {
    const of = router(CONF)
    const aggregator = new Aggregator()
    aggregator.configure(of.routing.aggregations)
    for (let i = 0; i < 3000; i++) aggregator.put(step(of, `in.${i}`), i, 100, 100)
    const names = new Set<string>()
    let calls = 0
    for (let more = true; more; calls++) {
      let emitted = 0
      more = aggregator.due(125, (_sendTo, name) => {
        emitted++
        names.add(name)
      })
      expect(emitted).toBeLessThanOrEqual(10_000)
      aggregator.put(step(of, 'in.late'), 1, 100, 120)
    }
    expect(calls).toBeGreaterThan(2)
    expect(names.size).toBe(3000 * FUNCTIONS.length)
    expect(aggregator.sent).toBe(3000 * FUNCTIONS.length)
    expect(due(aggregator, 125)).toEqual([])
  })

  test('takes a frame of a sender once', () => {
    const aggregator = new Aggregator()
    expect(aggregator.takes('a', 1)).toBe(true)
    expect(aggregator.takes('a', 1)).toBe(false)
    expect(aggregator.takes('b', 1)).toBe(true)
    expect(aggregator.takes('a', 3)).toBe(true)
    expect(aggregator.takes('a', 2)).toBe(false)
  })

  test('remembers the senders that it heard of last', () => {
    const aggregator = new Aggregator()
    for (let i = 0; i < 10_001; i++) aggregator.takes(String(i), 5)
    expect(aggregator.sequences.size).toBe(10_000)
    expect(aggregator.takes('10000', 5)).toBe(false)
    expect(aggregator.sequences.has('0')).toBe(false)
  })
})

describe('AggregatorJournal', () => {
  const FIRST = '/spool/aggregations-00000001.journal'

  function openJournal(
    disk: SimDisk,
    of: Router,
  ): { aggregator: Aggregator; journal: AggregatorJournal } {
    disk.makeDir('/spool')
    const aggregator = new Aggregator()
    const options = {
      disk,
      dir: '/spool',
      corruptDir: '/corrupt',
      aggregator,
      onDamage() {},
      logBytesMin: 500,
    }
    const journal = new AggregatorJournal(options)
    aggregator.configure(of.routing.aggregations)
    return { aggregator, journal }
  }

  test('brings back open buckets, ids and sequences after kill -9', () => {
    const disk = new SimDisk()
    const of = router(CONF)
    const before = openJournal(disk, of)
    before.journal.write(0)
    before.aggregator.takes('sender', 7)
    for (let i = 0; i < 100; i++) {
      before.aggregator.put(step(of, `in.${i % 5}`), i / 3, 100 + (i % 20), 110)
      if (i % 10 === 0) before.journal.write(i * 200)
    }
    before.journal.write(30_000)
    const after = openJournal(disk, of)
    expect(after.aggregator.takes('sender', 7)).toBe(false)
    expect(due(after.aggregator, 200)).toEqual(due(before.aggregator, 200))
  })

  test('emits again what was emitted just before, and not what was long before', () => {
    const disk = new SimDisk()
    const of = router(CONF)
    const { aggregator, journal } = openJournal(disk, of)
    aggregator.put(step(of, 'in.x'), 1, 100, 100)
    aggregator.put(step(of, 'in.y'), 1, 110, 110)
    journal.write(0)
    const first = due(aggregator, 125)
    journal.write(200)
    expect(due(openJournal(disk, of).aggregator, 125)).toEqual(first)
    journal.write(800)
    expect(due(openJournal(disk, of).aggregator, 125)).toEqual([])
    expect(due(openJournal(disk, of).aggregator, 135).length).toBe(FUNCTIONS.length)
  })

  test('says which results were counted by an aggregation of their own', () => {
    const disk = new SimDisk()
    const of = router(CONF)
    const { aggregator, journal } = openJournal(disk, of)
    aggregator.put(step(of, 'in.x'), 1, 100, 100)
    journal.write(0)
    const counted = (again: Aggregator): boolean[] => {
      const answers: boolean[] = []
      again.due(125, (_sendTo, _name, _value, _timestamp, isCounted) => answers.push(isCounted))
      return answers
    }
    expect(counted(openJournal(disk, of).aggregator)).toEqual(FUNCTIONS.map(() => false))
    expect(counted(aggregator)).toEqual(FUNCTIONS.map(() => false))
    journal.write(200)
    const next = openJournal(disk, of)
    next.journal.write(0)
    expect(counted(next.aggregator)).toEqual(FUNCTIONS.map(() => true))
    // Not emitted by it, but by the one before: the third has to know too.
    expect(counted(openJournal(disk, of).aggregator)).toEqual(FUNCTIONS.map(() => true))
  })

  test('the newest journal is the one of the highest number, however many digits that has', () => {
    const disk = new SimDisk()
    const of = router(CONF)
    const write = (sequence: number): void => {
      const { aggregator, journal } = openJournal(disk, of)
      aggregator.takes('sender', sequence)
      journal.write(0)
    }
    write(1)
    disk.rename(FIRST, '/spool/aggregations-99999999.journal')
    write(2)
    expect(disk.list('/spool')).toContain('aggregations-100000000.journal')
    expect(openJournal(disk, of).aggregator.wasTaken('sender', 2)).toBe(true)
  })

  test('brings back as many senders as are remembered', () => {
    const disk = new SimDisk()
    const of = router(CONF)
    const { aggregator, journal } = openJournal(disk, of)
    for (let i = 0; i < 20_000; i++) {
      aggregator.takes(`s${i}`, 1)
      if (i % 5_000 === 0) journal.write(i)
    }
    journal.write(20_000)
    const { sequences } = openJournal(disk, of).aggregator
    expect([...sequences.keys()]).toEqual([...aggregator.sequences.keys()])
  })

  test('moves a file away that is no journal', () => {
    const disk = new SimDisk()
    disk.makeDir('/spool')
    disk.replaceFile(FIRST, Buffer.from('something else'))
    const { aggregator, journal } = openJournal(disk, router(CONF))
    aggregator.takes('a', 1)
    journal.write(0)
    expect(disk.list('/corrupt')).toEqual(['aggregations-00000001.journal'])
    expect(disk.list('/spool')).toEqual(['aggregations-00000001.journal'])
  })

  test('has everything up to the last whole write, wherever a crash comes', () => {
    const of = router(CONF)
    const run = (disk: SimDisk): { written: number } => {
      const state = { written: 0 }
      try {
        const { aggregator, journal } = openJournal(disk, of)
        for (let i = 1; i <= 30; i++) {
          aggregator.takes('s', i)
          aggregator.put(step(of, `in.${i % 3}`), i, 100 + i, 100 + i)
          aggregator.due(100 + i, () => {})
          journal.write(i * 1000)
          state.written = i
        }
      } catch (error) {
        if (!(error instanceof SimulatedCrash)) throw error
      }
      return state
    }
    const changes = (() => {
      const disk = new SimDisk()
      run(disk)
      return disk.changes
    })()
    for (let at = 1; at <= changes; at++) {
      for (const partial of [0, 5, 40]) {
        const disk = new SimDisk()
        disk.crashAfter(at, partial)
        const { written } = run(disk)
        disk.revive()
        const { aggregator } = openJournal(disk, of)
        const sequence = aggregator.sequences.get('s') ?? 0
        expect([written, written + 1]).toContain(sequence)
        expect(due(aggregator, 1000)).toEqual(expected(sequence))
      }
    }

    /** What is left open after `count` points, by arithmetic. */
    function expected(count: number): string[] {
      const twin = new Aggregator()
      twin.configure(of.routing.aggregations)
      const emittedAt = new Map<number, number>()
      for (let i = 1; i <= count; i++) {
        twin.put(step(of, `in.${i % 3}`), i, 100 + i, 100 + i)
        twin.due(100 + i, (_sendTo, _name, _value, timestamp) => emittedAt.set(timestamp, i))
      }
      // Buckets emitted at the last write are not settled yet, and come again.
      const again = [...emittedAt].filter(([, i]) => i === count).map(([start]) => start)
      const lines = due(twin, 1000)
      if (again.length === 0) return lines
      const full = new Aggregator()
      full.configure(of.routing.aggregations)
      const all: string[] = []
      for (let i = 1; i <= count; i++) {
        full.put(step(of, `in.${i % 3}`), i, 100 + i, 100 + i)
        full.due(100 + i, (_sendTo, name, value, timestamp) => {
          if (again.includes(timestamp)) all.push(`${name} ${value} ${timestamp}`)
        })
      }
      return [...lines, ...all].sort()
    }
  })

  test('has what was synced after a power cut, wherever it comes', async () => {
    const of = router(CONF)
    const run = async (disk: SimDisk): Promise<{ synced: number }> => {
      const state = { synced: 0 }
      try {
        const { aggregator, journal } = openJournal(disk, of)
        for (let i = 1; i <= 30; i++) {
          aggregator.takes('s', i)
          aggregator.put(step(of, `in.${i % 3}`), i, 1000 + (i % 7), 1000)
          journal.write(i * 1000)
          if (i % 3 !== 0) continue
          await journal.sync()
          state.synced = i
        }
      } catch (error) {
        if (!(error instanceof SimulatedCrash)) throw error
      }
      return state
    }
    const whole = new SimDisk()
    await run(whole)
    expect(whole.list('/spool')).toHaveLength(1)
    for (let at = 1; at <= whole.changes; at++) {
      for (const tornBytes of [0, 7, 100_000]) {
        const disk = new SimDisk()
        disk.crashAfter(at)
        const { synced } = await run(disk)
        disk.revive()
        disk.powerCut({ tornBytes })
        const { aggregator } = openJournal(disk, of)
        const sequence = aggregator.sequences.get('s') ?? 0
        expect(sequence).toBeGreaterThanOrEqual(synced)
        const twin = new Aggregator()
        twin.configure(of.routing.aggregations)
        for (let i = 1; i <= sequence; i++) {
          twin.put(step(of, `in.${i % 3}`), i, 1000 + (i % 7), 1000)
        }
        expect(due(aggregator, 2000)).toEqual(due(twin, 2000))
      }
    }
  })

  test('leaves out what follows a damaged record, and keeps a copy of the file', () => {
    const of = router(CONF)
    const disk = new SimDisk()
    const { aggregator, journal } = openJournal(disk, of)
    for (let i = 1; i <= 4; i++) {
      aggregator.takes('s', i)
      journal.write(i * 1000)
    }
    const damaged = disk.readFile(FIRST).length - 1
    disk.corrupt(FIRST, damaged)
    expect(openJournal(disk, of).aggregator.sequences.get('s')).toBe(3)
    expect(disk.list('/corrupt')).toEqual(['aggregations-00000001.journal'])
  })

  test('refuses a journal of a later version', () => {
    const disk = new SimDisk()
    disk.makeDir('/spool')
    disk.replaceFile(FIRST, Buffer.from('EMONAGGR\x03\0\0\0rest'))
    expect(() => openJournal(disk, router(CONF))).toThrow('version 3')
  })

  test('goes on in a new journal when the disk did not take a record whole', () => {
    const of = router(CONF)
    const disk = new SimDisk()
    const { aggregator, journal } = openJournal(disk, of)
    aggregator.put(step(of, 'in.a'), 1, 1000, 1000)
    journal.write(0)
    disk.capacityBytes = 1
    aggregator.put(step(of, 'in.b'), 2, 1000, 1000)
    expect(() => journal.write(200)).toThrow()
    disk.capacityBytes = Infinity
    aggregator.put(step(of, 'in.a'), 3, 1000, 1000)
    journal.write(400)
    expect(due(openJournal(disk, of).aggregator, 2000)).toEqual(due(aggregator, 2000))
  })

  test('keeps the same state as one that never stopped, whatever happens', () => {
    const event = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          put: fc.nat(4),
          value: fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
          late: fc.nat(30),
        }),
      },
      { weight: 2, arbitrary: fc.constant('tick' as const) },
      { weight: 2, arbitrary: fc.constant('write' as const) },
      { weight: 1, arbitrary: fc.constant('restart' as const) },
    )
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const of = router(CONF)
        const disk = new SimDisk()
        let { aggregator, journal } = openJournal(disk, of)
        const twin = new Aggregator()
        twin.configure(of.routing.aggregations)
        let now = 1000
        for (const one of events) {
          if (one === 'tick') {
            now += 4
            expect(due(aggregator, now)).toEqual(due(twin, now))
            journal.write(now * 1000)
            journal.write(now * 1000 + 600)
          } else if (one === 'write') journal.write(now * 1000 + 600)
          else if (one === 'restart') {
            journal.write(now * 1000 + 600)
            ;({ aggregator, journal } = openJournal(disk, of))
          } else {
            const points = [step(of, `in.${one.put}`), step(of, `in.${one.put}`)] as const
            aggregator.put(points[0], one.value, now - one.late, now)
            twin.put(points[1], one.value, now - one.late, now)
          }
        }
        expect(due(aggregator, now + 100)).toEqual(due(twin, now + 100))
      }),
      { numRuns: 200 },
    )
  })
})
