/** StatsD: lines in every dialect, and what a flush sends. Expected values are those of Etsy's statsd 0.10. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  type EmitPoint,
  KEPT_BYTES_MAX,
  Statsd,
  type StatsdSettings,
} from '../../../src/relay/inputs/statsd.ts'
import { StatsdAdmin } from '../../../src/relay/inputs/statsd-admin.ts'
import { StatsdJournal } from '../../../src/relay/inputs/statsd-journal.ts'
import { parseHistogram } from '../../../src/relay/inputs/timer-summary.ts'
import { parseSample, splitSamples } from '../../../src/relay/inputs/statsd-line.ts'
import { SimDisk } from '../../sim/disk.ts'

const SETTINGS: StatsdSettings = {
  flushSeconds: 10,
  percentiles: [90],
  histograms: [],
  legacyNamespace: true,
  deleteIdle: new Set(),
}
const NAMES_MAX = 100

function flushed(statsd: Statsd, timestamp = 1_000): Record<string, number> {
  const points: Record<string, number> = {}
  statsd.flush(timestamp, (name, value) => (points[name] = value))
  return points
}

function gather(
  lines: readonly string[],
  settings: Partial<StatsdSettings> = {},
  namesMax = NAMES_MAX,
): Statsd {
  const statsd = new Statsd({ ...SETTINGS, ...settings }, namesMax)
  for (const line of lines) take(statsd, line)
  return statsd
}

function take(statsd: Statsd, line: string, emit: EmitPoint = () => undefined): void {
  const bytes = Buffer.from(line, 'latin1')
  statsd.take(bytes, 0, bytes.length, emit)
}

describe('parseSample()', () => {
  const ok = (line: string, want: object): void =>
    test(line, () => expect(parseSample(line)).toMatchObject(want))
  const bad = (line: string): void =>
    test(`${line} is none`, () => expect(parseSample(line)).toBeUndefined())

  ok('a;k=v;b=2:1|c', { name: 'a', tags: ';b=2;k=v' })
  ok('a.b:1|c', { type: 'counter', name: 'a.b', values: ['1'], rate: 1, tags: '' })
  ok('a.b:1|c|@0.1', { rate: 0.1 })
  ok('a:-3|g', { type: 'gauge', relative: true, values: ['-3'] })
  ok('a:3|g', { relative: false })
  ok('a:1:2:3|ms', { type: 'timer', values: ['1', '2', '3'] })
  ok('a:1.5|h', { type: 'timer' })
  ok('a:1.5|d', { type: 'timer' })
  ok('a:anna|s', { type: 'set', values: ['anna'] })
  ok('a:1|c|#host:x,env:prod', { tags: ';env=prod;host=x' })
  ok('a:1|c|@0.5|#flag|c:1234|T1700000000', {
    tags: ';flag=true',
    rate: 0.5,
    timestamp: 1_700_000_000,
  })
  ok('a#k=v,b=c:1|c', { name: 'a', tags: ';b=c;k=v' })
  ok('a,k=v:1|c', { name: 'a', tags: ';k=v' })
  ok('a.b[k=v,x=y]:1|c', { name: 'a.b', tags: ';k=v;x=y' })
  ok('a b/c$:1|c', { name: 'a_b-c' })
  bad('a')
  bad('a:1')
  bad('a:1|x')
  bad(':1|c')
  bad('a:one|c')
  bad('a:1|c|@0')
  bad('a:1|c|@nan')
  bad('a:|c')

  test('never throws, whatever comes', () => {
    fc.assert(fc.property(fc.string(), (line) => void parseSample(line)))
  })
})

describe('Statsd', () => {
  test('counters: rate and count, sampled, zero when idle', () => {
    const statsd = gather(['c:1|c', 'c:2|c|@0.1', 'c:3|c|#k:v'])
    expect(flushed(statsd)).toMatchObject({
      'stats.c': 2.1,
      'stats_counts.c': 21,
      'stats_counts.c;k=v': 3,
      'stats.statsd.metrics_received': 0.3,
      'stats_counts.statsd.bad_lines_seen': 0,
      'statsd.numStats': 5,
    })
    expect(flushed(statsd)).toMatchObject({ 'stats.c': 0, 'stats_counts.c': 0 })
  })

  test('several samples of a name in a line, each with its type', () => {
    const statsd = gather(['m:1|c:2|c|@0.5:7|ms:3|g', 'm:1|c:x|c', 'm:1|c:2'])
    expect(statsd.badLines).toBe(2)
    expect(flushed(statsd)).toMatchObject({
      'stats_counts.m': 6,
      'stats.gauges.m': 3,
      'stats.timers.m.upper': 7,
    })
  })

  test('the other namespace', () => {
    const points = flushed(gather(['c:5|c'], { legacyNamespace: false }))
    expect(points).toMatchObject({ 'stats.counters.c.count': 5, 'stats.counters.c.rate': 0.5 })
  })

  test('gauges: set, changed, kept', () => {
    const statsd = gather(['g:10|g', 'g:-3|g', 'g:+1|g'])
    expect(flushed(statsd)['stats.gauges.g']).toBe(8)
    expect(flushed(statsd)['stats.gauges.g']).toBe(8)
  })

  test('timers: percentiles and summary', () => {
    const lines = [450, 120, 553, 994, 334, 844, 675, 496].map((value) => `t:${value}|ms`)
    expect(flushed(gather(lines))).toMatchObject({
      'stats.timers.t.count': 8,
      'stats.timers.t.count_ps': 0.8,
      'stats.timers.t.upper': 994,
      'stats.timers.t.lower': 120,
      'stats.timers.t.sum': 4466,
      'stats.timers.t.mean': 558.25,
      'stats.timers.t.median': 524.5,
      'stats.timers.t.count_90': 7,
      'stats.timers.t.upper_90': 844,
      'stats.timers.t.sum_90': 3472,
      'stats.timers.t.mean_90': 496,
    })
  })

  test('an only value belongs to every percentile, and ms are never negative', () => {
    const statsd = gather(['t:1|ms', 't:-1|ms', 'd:-5|d'], { percentiles: [5, -5] })
    expect(statsd.badLines).toBe(1)
    expect(flushed(statsd)).toMatchObject({
      'stats.timers.t.count_5': 1,
      'stats.timers.t.lower_top5': 1,
      'stats.timers.d.lower': -5,
    })
  })

  test('histograms: the first whose text is in the name', () => {
    const histograms = ['web. 10,100.5,inf', '2'].map(parseHistogram)
    const points = flushed(gather(['web.t:10:100:101:7|ms', 't:1:2:3|ms'], { histograms }))
    const bins = Object.entries(points).filter(([name]) => name.includes('bin_'))
    expect(Object.fromEntries(bins)).toEqual({
      'stats.timers.web.t.histogram.bin_10': 1,
      'stats.timers.web.t.histogram.bin_100_5': 2,
      'stats.timers.web.t.histogram.bin_inf': 1,
      'stats.timers.t.histogram.bin_2': 1,
    })
  })

  test('bad lines count on, a flush tells those since the last one', () => {
    const statsd = gather(['bad', 'worse'])
    expect(flushed(statsd)['stats_counts.statsd.bad_lines_seen']).toBe(2)
    take(statsd, 'bad')
    expect(flushed(statsd)['stats_counts.statsd.bad_lines_seen']).toBe(1)
    expect(statsd.badLines).toBe(3)
  })

  test('a negative percentile is of the greatest values', () => {
    const points = flushed(gather(['t:1:2:3:4|ms'], { percentiles: [-50] }))
    expect(points).toMatchObject({
      'stats.timers.t.lower_top50': 3,
      'stats.timers.t.sum_top50': 7,
      'stats.timers.t.count_top50': 2,
    })
  })

  test('sets, idle keys deleted, limits and what is no point', () => {
    const lines = ['s:a|s', 's:b|s', 's:a|s', '_e{1,1}:a|b', '_sc|x|0', 'bad']
    const statsd = gather(lines, { deleteIdle: new Set(['sets']) }, 1)
    take(statsd, 't:1|ms')
    expect([statsd.ignored, statsd.badLines, statsd.refused]).toEqual([2, 1, 1])
    expect(flushed(statsd)['stats.sets.s.count']).toBe(2)
    expect(flushed(statsd)['stats.sets.s.count']).toBeUndefined()
  })

  test('keeps so many values and members between two flushes, and names of at most 1,024 bytes', () => {
    const member = 'm'.repeat(60_000)
    const lines = Array.from({ length: 2_000 }, (_, i) => `s:${i}${member}|s`)
    const statsd = gather([...lines, 't:1|ms|@0.5', `${'n'.repeat(1_025)}:1|c`])
    const kept = Math.floor(KEPT_BYTES_MAX / 60_066)
    expect(statsd.sets.get('s')!.size).toBeWithin(kept - 2, kept + 3)
    expect(statsd.left).toBe(2_000 - statsd.sets.get('s')!.size)
    expect(statsd.refused).toBe(1)
    flushed(statsd)
    take(statsd, 's:again|s')
    expect(statsd.sets.get('s')!.size).toBe(1)
  })

  test('a sample with a time of its own goes on at once', () => {
    const points: [string, number, number][] = []
    const statsd = new Statsd(SETTINGS, NAMES_MAX)
    take(statsd, 'g:7|g|T1700000000', (...point) => points.push(point))
    expect(points).toEqual([['stats.gauges.g', 7, 1_700_000_000]])
  })
})

describe('Statsd and lines that it knows', () => {
  /** What the lines mean, one parsed after the other. */
  function naive(lines: readonly string[]): Pick<Statsd, 'counters' | 'gauges' | 'timers'> {
    const counters = new Map<string, number>()
    const gauges = new Map<string, number>()
    const timers = new Map<string, { values: number[]; count: number }>()
    for (const line of lines) {
      const sample = parseSample(line)
      if (!sample) continue
      const { type, values, rate, relative } = sample
      const key = sample.name + sample.tags
      for (const value of values.map(Number)) {
        if (type === 'counter') counters.set(key, (counters.get(key) ?? 0) + value / rate)
        if (type === 'gauge') gauges.set(key, relative ? (gauges.get(key) ?? 0) + value : value)
        if (type !== 'timer') continue
        const timer = timers.get(key) ?? { values: [], count: 0 }
        timer.values.push(value)
        timer.count += 1 / rate
        timers.set(key, timer)
      }
    }
    return { counters, gauges, timers }
  }

  const pieces = [
    'a',
    'b',
    ':',
    '|',
    'c',
    'g',
    'ms',
    '@0.5',
    '#k:v',
    '1',
    '-2',
    '+3',
    '[',
    ']',
    '|c',
    'a|c',
    '.',
  ]
  const usual = fc
    .tuple(
      fc.constantFrom('a', 'b.c', 'a|c', 'n[k=v]', 'x,k=v', 'ä'),
      fc.constantFrom('1', '-1', '+1', '2.5', '1e3', '1:2', 'inf', '0x10', '', ' 1'),
      fc.constantFrom('c', 'g', 'ms', 'ms|@0.1', 'c|#k:v', 'c|@0', 'g|x', 'h'),
    )
    .map(([name, value, rest]) => `${name}:${value}|${rest}`)
  const odd = fc.array(fc.constantFrom(...pieces), { maxLength: 10 }).map((list) => list.join(''))

  test('are what they are when they are parsed', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(usual, odd), { maxLength: 60 }), (list) => {
        const single = list.filter((line) => splitSamples(line) === undefined)
        const { counters, gauges, timers } = gather(single)
        expect({ counters, gauges, timers }).toEqual(naive(single))
      }),
      { numRuns: 500 },
    )
  })
})

describe('StatsdJournal', () => {
  const PATH = '/d/statsd.journal'
  const ID = new Uint8Array(8).fill(7)

  /** What a process finds after this one was killed. */
  function recovered(disk: SimDisk): { statsd: Statsd; flushed: [string, number, number][] } {
    const journal = new StatsdJournal(disk, PATH, ID)
    const statsd = new Statsd(SETTINGS, NAMES_MAX)
    const flushed: [string, number, number][] = []
    journal.read({
      sample: (bytes, start, end) => statsd.take(bytes, start, end, () => undefined),
      idle: (line) => statsd.restore(line),
      flush(timestamp) {
        statsd.flush(timestamp, (...point) => flushed.push(point))
        journal.flushed(statsd.idleLines())
      },
    })
    return { statsd, flushed }
  }

  function journalOn(disk: SimDisk): StatsdJournal {
    disk.makeDir('/d')
    return new StatsdJournal(disk, PATH, ID)
  }

  function note(journal: StatsdJournal, line: string): void {
    const bytes = Buffer.from(line, 'latin1')
    journal.note(bytes, 0, bytes.length)
  }

  test('brings back what was gathered', () => {
    const disk = new SimDisk()
    const journal = journalOn(disk)
    for (const line of ['c:1|c', 'g:-5|g', 'c:2|c|#k:v']) note(journal, line)
    journal.write()
    note(journal, 'c:9|c')
    const { statsd, flushed } = recovered(disk)
    expect(Object.fromEntries(statsd.counters)).toEqual({ c: 1, 'c;k=v': 2 })
    expect(flushed).toEqual([])
  })

  test('a flush that may not have got anywhere is made again, one that has settled is not', () => {
    const disk = new SimDisk()
    const journal = journalOn(disk)
    for (const line of ['c:1|c', 'g:-5|g']) note(journal, line)
    journal.noteFlush(1_700_000_010)
    journal.flushed(['counter c', 'gauge -5 g'])
    note(journal, 'c:3|c')
    journal.write()
    const killed = recovered(disk)
    expect(killed.flushed).toContainEqual(['stats_counts.c', 1, 1_700_000_010])
    expect(Object.fromEntries(killed.statsd.counters)).toEqual({ c: 3 })
    note(journal, 'c:4|c')
    journal.write()
    journal.settle()
    const { statsd, flushed } = recovered(disk)
    expect(flushed).toEqual([])
    expect(Object.fromEntries(statsd.counters)).toEqual({ c: 7 })
    expect(Object.fromEntries(statsd.gauges)).toEqual({ g: -5 })
  })

  test('the next flush has the same points in the same order as if nobody had been killed', () => {
    const disk = new SimDisk()
    const journal = journalOn(disk)
    const statsd = gather([
      't:1|ms',
      's:x|s|#k:v:w',
      'g:-5|g',
      'c:1|c|#url:http_//x',
      'c:2|c',
      'g:1e300|g',
    ])
    statsd.flush(1_700_000_010, () => undefined)
    journal.flushed(statsd.idleLines())
    for (const line of ['u:1|ms', 't:2|ms', 'd:1|c', 'c:7|c']) {
      note(journal, line)
      statsd.take(Buffer.from(line), 0, line.length, () => undefined)
    }
    journal.write()
    journal.settle()
    const points: [string, number, number][] = []
    statsd.flush(1_700_000_020, (...point) => points.push(point))
    const again: [string, number, number][] = []
    recovered(disk).statsd.flush(1_700_000_020, (...point) => again.push(point))
    expect(again).toEqual(points)
  })

  test('reads what version 3 left of a flush', () => {
    const disk = new SimDisk()
    disk.makeDir('/d')
    const text = 'emon-statsd 3 5e1ff00dcafe0123 41\nc:0|c\ng:0|g\ng:-5|g\nc:3|c\n'
    disk.replaceFile(PATH, Buffer.from(text))
    const { statsd } = recovered(disk)
    expect([statsd.counters.get('c'), statsd.gauges.get('g')]).toEqual([3, -5])
  })

  test('what a full disk took half of is not there twice when it has room', () => {
    const disk = new SimDisk()
    const journal = journalOn(disk)
    note(journal, 'c:1|c')
    journal.write()
    disk.capacityBytes = disk.readFile(PATH).length + 'c:2|c\nc:4|c\nc:'.length
    for (const line of ['c:2|c', 'c:4|c', 'c:8|c']) note(journal, line)
    journal.write()
    disk.capacityBytes = Infinity
    journal.write()
    expect(Object.fromEntries(recovered(disk).statsd.counters)).toEqual({ c: 15 })
  })

  test('goes on behind a torn line', () => {
    const disk = new SimDisk()
    const journal = journalOn(disk)
    note(journal, 'c:1|c')
    journal.write()
    // What is left of it is a line by itself.
    disk.crashAfter(0, 'c:5|c'.length)
    note(journal, 'c:5|c|@0.1')
    expect(() => journal.write()).toThrow()
    disk.revive()
    const next = journalOn(disk)
    note(next, 'c:2|c')
    next.write()
    expect(Object.fromEntries(recovered(disk).statsd.counters)).toEqual({ c: 3 })
  })
})

describe('StatsdAdmin', () => {
  test('answers as Etsy does', () => {
    const statsd = gather(['a.x:1|c', 'a.y:2|c', 'g:1|g'])
    const admin = new StatsdAdmin({
      statsd,
      config: {},
      uptimeSeconds: () => 5.5,
      silentSeconds: () => 2.5,
    })
    expect(admin.answer('health')).toBe('health: up\n')
    expect(admin.answer('health down')).toBe('health: down\n')
    expect(admin.answer('counters')).toContain('"a.x": 1')
    expect(admin.answer('delcounters a.* nope')).toBe(
      'deleted: a.x\ndeleted: a.y\nmetric nope not found\nEND\n\n',
    )
    expect(statsd.counters.size).toBe(0)
    expect(admin.answer('stats')).toStartWith('uptime: 5\nmessages.last_msg_seen: 2\n')
    expect(admin.answer('what')).toBe('ERROR\n')
    expect(admin.answer('quit')).toBeUndefined()
  })
})
