/** carbonapi's functions that graphite-web does not have, worked out by hand from what it documents. */
import { describe, expect, test } from 'bun:test'
import { evaluateTargets } from '../../../src/api/evaluator.ts'
import { contextOver, FROM, MemorySource, render, valuesOf } from '../render-fixture.ts'

const MINUTE = 60
/** Ten points of the range, and ten of each of the two ranges before. */
const START = FROM + MINUTE - (FROM % MINUTE)

const SERIES = {
  'a.x': [1, 2, null, 4, 5, 6, 7, 8, 9, 10],
  'a.y': [10, 20, 30, null, 50, 60, 70, 80, 90, 100],
  'b.flat': [3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
  'b.zero': [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  'b.reset': [0, 0, 0, 1, 0, 0, null, 1, 0, 0],
  'b.small': [1, 2, 1, 2, 3, 1, 1, null, 2, 2],
  'q.spike': [1, 2, 3, 4, 100, 6, 7, 8, 9, 10],
  'q.quiet': [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
  'old.m': {
    start: START - 20 * MINUTE,
    values: [
      ...Array.from({ length: 10 }, () => 2),
      ...Array.from({ length: 10 }, () => 4),
      ...Array.from({ length: 10 }, (_, i) => i),
    ],
  },
}

type Row = [target: string, name: string, values: (number | null)[]]

describe('one series', () => {
  test.each([
    [
      'median(a.x,a.y,b.flat)',
      'medianSeries(a.x,a.y,b.flat)',
      [3, 3, 16.5, 3.5, 5, 6, 7, 8, 9, 10],
    ],
    ['first(a.y,a.x)', 'firstSeries(a.y,a.x)', [10, 20, 30, 4, 50, 60, 70, 80, 90, 100]],
    ['last(a.y,a.x)', 'lastSeries(a.y,a.x)', [1, 2, 30, 4, 5, 6, 7, 8, 9, 10]],
    ['max(a.*)', 'maxSeries(a.*)', [10, 20, 30, 4, 50, 60, 70, 80, 90, 100]],
    ['total(a.*)', 'totalSeries(a.*)', [11, 22, 30, 4, 55, 66, 77, 88, 99, 110]],
    ['range(a.*)', 'rangeSeries(a.*)', [9, 18, 0, 0, 45, 54, 63, 72, 81, 90]],
    ['count(a.*)', 'countSeries(a.*)', [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]],
    ['isNotNull(a.x)', 'isNonNull(a.x)', [1, 1, 0, 1, 1, 1, 1, 1, 1, 1]],
    ['logarithm(b.flat,3)', 'log(b.flat, 3)', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]],
    [
      'highestMin(group(a.*,b.flat),1)|alias("n")',
      'n',
      [10, 20, 30, null, 50, 60, 70, 80, 90, 100],
    ],
    ['lowestMax(group(a.*,b.flat),1)', 'b.flat', [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]],
    ['lowestMin(a.*,1)', 'a.x', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    ['removeZeroSeries(b.{zero,flat})', 'b.flat', [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]],
    ['aboveSeries(a.*,50)', 'a.y', [10, 20, 30, null, 50, 60, 70, 80, 90, 100]],
    ['aboveSeries(a.*,50,"a.(.)","\\1")', 'y', [10, 20, 30, null, 50, 60, 70, 80, 90, 100]],
    ['toUpperCase(a.x)', 'A.X', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    ['toUpperCase(a.x,-1)', 'a.X', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    [
      'powSeriesLists(b.flat,b.small)',
      'powSeries(b.flat,b.small)',
      [3, 9, 3, 9, 27, 3, 3, null, 9, 9],
    ],
    ['powSeriesLists(b.flat,nothing,2)', 'powSeries(b.flat,2)', [9, 9, 9, 9, 9, 9, 9, 9, 9, 9]],
    [
      'integralWithReset(b.flat,b.reset)',
      'integralWithReset(b.flat,b.reset)',
      [3, 6, 9, 0, 3, 6, 9, 0, 3, 6],
    ],
    [
      'ewma(a.x,0.5)',
      'ewma(a.x,0.5)',
      [1, 1.5, null, 2.75, 3.875, 4.9375, 5.96875, 6.984375, 7.9921875, 8.99609375],
    ],
    ['lpf(b.flat,40)', 'lowPass(b.flat,40)', [3, 3, null, null, null, null, null, null, 3, 3]],
    ['polyfit(a.x,1)', 'polyfit(a.x,1)', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['polyfit(a.x,1,"2min")', "polyfit(a.x,1,'2min')", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
    ['pearson(a.x,a.y,3)', 'pearson(a.x,a.y,3)', [null, null, 1, null, null, 1, 1, 1, 1, 1]],
    ['tukeyAbove(q.*,1.5,1)', 'q.spike', [1, 2, 3, 4, 100, 6, 7, 8, 9, 10]],
    ['baseline(old.m,"10min",1,3)', 'baseline(old.m)', [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]],
    [
      'baselineAberration(old.m,"10min",1,3)',
      'baselineAberration(old.m)',
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => value / 3),
    ],
    ['slo(a.x,"5min","above",4)', 'slo(a.x, 5min, above, 4)', [0.25, 1]],
    ['slo(a.x,"5min","belowOrEqual",4)', 'slo(a.x, 5min, belowOrEqual, 4)', [0.75, 0]],
    [
      'sloErrorBudget(a.x,"5min","aboveOrEqual",5,0.5)',
      'sloErrorBudget(a.x, 5min, aboveOrEqual, 5, 0.5)',
      [-75, 150],
    ],
  ] as Row[])('%s', async (target, name, values) => {
    const [[actualName, actual], ...others] = (await valuesOf(target, SERIES)) as [
      [string, (number | null)[]],
    ]
    expect(others).toEqual([])
    expect(actualName).toBe(name)
    expect(actual.map((value) => value !== null && Number(value.toFixed(9)))).toEqual(
      values.map((value) => value !== null && Number(value.toFixed(9))),
    )
  })
})

test('baseline() leaves out what is missing or small', async () => {
  expect(await valuesOf('baseline(old.m,"10min",1,3,50,4)', SERIES)).toEqual([])
  expect(await valuesOf('baseline(a.x,"10min",1,3,10)', SERIES)).toEqual([])
})

test('scaleAfterTimestamp() leaves older values alone', async () => {
  const target = `scaleAfterTimestamp(b.flat,2,${START + 8 * MINUTE})`
  expect(await valuesOf(target, SERIES)).toEqual([
    [`scale(b.flat,2,${START + 8 * MINUTE})`, [3, 3, 3, 3, 3, 3, 3, 3, 6, 6]],
  ])
})

test('join() takes sets by name', async () => {
  const names = async (type: string): Promise<string[]> =>
    (await valuesOf(`join(a.*,group(a.y,b.flat),"${type}")`, SERIES)).map(([name]) => name)
  expect(await names('AND')).toEqual(['a.y'])
  expect(await names('or')).toEqual(['a.x', 'a.y', 'b.flat'])
  expect(await names('XOR')).toEqual(['a.x', 'b.flat'])
  expect(await names('SUB')).toEqual(['a.x'])
})

test('countValues() draws a line for each number, up to a limit', async () => {
  expect(await valuesOf('countValues(b.{small,flat})', SERIES)).toEqual([
    ['1', [1, 0, 1, 0, 0, 1, 1, 0, 0, 0]],
    ['2', [0, 1, 0, 1, 0, 0, 0, 0, 1, 1]],
    ['3', [1, 1, 1, 1, 2, 1, 1, 1, 1, 1]],
  ])
  expect(await valuesOf('countValues(a.y,3)', SERIES)).toEqual([
    ['error.too.many.values.limit.reached', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])
})

test('heatMap() answers the differences of neighbours', async () => {
  expect(await valuesOf('heatMap(group(a.y,b.flat,a.x))', SERIES)).toEqual([
    ['heatMap(b.flat,a.x)', [2, 1, null, -1, -2, -3, -4, -5, -6, -7]],
    ['heatMap(a.y,b.flat)', [7, 17, 27, null, 47, 57, 67, 77, 87, 97]],
  ])
})

test('pearsonClosest() ranks by correlation', async () => {
  const series = {
    'c.up': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    'c.down': [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    'c.wave': [1, 3, 1, 3, 1, 3, 1, 3, 1, 3],
    'c.flat': [2, 2, 2, 2, 2, 2, 2, 2, 2, 2],
  }
  const names = async (target: string): Promise<string[]> =>
    (await valuesOf(target, series)).map(([name]) => name)
  expect(await names('pearsonClosest(c.up,c.*,2,"pos")')).toEqual(['c.up', 'c.wave'])
  expect(await names('pearsonClosest(c.up,c.*,5,"neg")')).toEqual(['c.down'])
  expect(await names('pearsonClosest(c.up,c.*,2)')).toEqual(['c.down', 'c.up'])
})

test('ksTest2() tells how probable it is that two windows are alike', async () => {
  const [[name, values]] = (await valuesOf('ksTest2(b.flat,q.spike,4)', SERIES)) as [
    [string, (number | null)[]],
  ]
  expect(name).toBe('kolmogorovSmirnovTest2(b.flat,q.spike,4)')
  expect(values.slice(0, 4)).toEqual([null, null, null, null])
  // Distance 1, √(16/8) = 1.4142: 2·exp(−2·(1.4142 + 0.12 + 0.0778)²) = 0.01107.
  expect(values[9]).toBeCloseTo(0.011066, 4)
  const [[, same]] = (await valuesOf('ksTest2(b.flat,b.flat,4)', SERIES)) as [
    [string, (number | null)[]],
  ]
  expect(same[9]).toBe(1)
})

test('fft() and ifft() undo each other', async () => {
  const [abs, phase] = await render('fft(a.y)', SERIES)
  expect([abs!.name, phase!.name]).toEqual(['fft(a.y,abs)', 'fft(a.y,phase)'])
  expect(abs!.values[0]).toBeCloseTo(510, 9)
  const [back] = await render('ifft(fft(a.y,"abs"),fft(a.y,"phase"))', SERIES)
  expect(back!.name).toBe('ifft(fft(a.y,abs), fft(a.y,phase))')
  const expected = [10, 20, 30, 0, 50, 60, 70, 80, 90, 100]
  expect([...back!.values].map((value) => Number(value.toFixed(9)))).toEqual(expected)
})

test('timeShiftByMetric() moves older versions to the newest release', async () => {
  const series = {
    'mark.64_0': [1, null, null, null, null, null, null, null, null, null],
    'mark.64_2': [null, null, 1, null, null, null, null, null, null, null],
    'mark.65_1': [null, null, null, null, null, 1, null, null, null, null],
    'load.64_2': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    'load.65_1': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    'load.x': [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  }
  const list = await render('timeShiftByMetric(load.*,mark.*,1)', series)
  expect(list.map(({ name, start }) => [name, (start - START) / MINUTE])).toEqual([
    ['timeShiftByMetric(load.64_2)', 3],
    ['timeShiftByMetric(load.65_1)', 0],
  ])
})

test('aliasByBase64() decodes names', async () => {
  const name = Buffer.from('disk.sda').toString('base64')
  const series = { [name]: SERIES['a.x'], 'a.aGk=.b': SERIES['a.x'] }
  expect((await valuesOf(`aliasByBase64(${name})`, series))[0]![0]).toBe('disk.sda')
  expect((await valuesOf('aliasByBase64(a.*.b,2)', series))[0]![0]).toBe('a.hi.b')
})

test('aliasByRedis() and aliasByPostgres() ask a table of names', async () => {
  const source = new MemorySource(SERIES)
  const [redis] = await evaluateTargets(['aliasByRedis(a.x,"hosts",true)'], contextOver(source))
  expect(redis!.name).toBe('a.{"table":"redis","key":"hosts","field":"x"}')
  const [postgres] = await evaluateTargets(
    ['aliasByPostgres(a.x,"db","k",1,0)'],
    contextOver(source),
  )
  expect(postgres!.name).toBe('{"table":"postgres","database":"db","key":"k","nodes":["x","a"]}')
})
