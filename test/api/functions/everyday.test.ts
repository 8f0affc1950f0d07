/** The functions that dashboards use every day: names and values, worked out by hand. */
import { describe, expect, test } from 'bun:test'
import { FROM, render, valuesOf } from '../render-fixture.ts'

const SERIES = {
  'a.x': [1, 2, null, 4, 5, 6, 7, 8, 9, 10],
  'a.y': [10, 20, 30, null, 50, 60, 70, 80, 90, 100],
  'count.z': [5, 6, 9, 2, 3, null, 4, 5, 5, 6],
}

type Row = [target: string, name: string, values: (number | null)[]]

describe('one series of one or more', () => {
  test.each([
    ['sumSeries(a.*)', 'sumSeries(a.*)', [11, 22, 30, 4, 55, 66, 77, 88, 99, 110]],
    ['sum(a.x,a.y)', 'sumSeries(a.x,a.y)', [11, 22, 30, 4, 55, 66, 77, 88, 99, 110]],
    ['avg(a.*)', 'averageSeries(a.*)', [5.5, 11, 30, 4, 27.5, 33, 38.5, 44, 49.5, 55]],
    ['minSeries(a.*)', 'minSeries(a.*)', [1, 2, 30, 4, 5, 6, 7, 8, 9, 10]],
    ['maxSeries(a.*)', 'maxSeries(a.*)', [10, 20, 30, 4, 50, 60, 70, 80, 90, 100]],
    ['diffSeries(a.y,a.x)', 'diffSeries(a.y,a.x)', [9, 18, 30, 4, 45, 54, 63, 72, 81, 90]],
    ['countSeries(a.*)', 'countSeries(a.*)', [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]],
    ['groupByNode(a.*,0,"max")', 'a', [10, 20, 30, 4, 50, 60, 70, 80, 90, 100]],
    [
      'sumSeries(scale(a.*,2))',
      'sumSeries(scale(a.x,2),scale(a.y,2))',
      [22, 44, 60, 8, 110, 132, 154, 176, 198, 220],
    ],
    ['alias(a.x,"my name")', 'my name', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    [
      'aliasByNode(perSecond(a.x),1,0)',
      'x.a',
      [null, 0.016667, null, null, 0.016667, 0.016667, 0.016667, 0.016667, 0.016667, 0.016667],
    ],
    [
      'aliasSub(a.x,"^(?P<first>\\w)\\.(.*)$","\\2:\\g<first>")',
      'x:a',
      [1, 2, null, 4, 5, 6, 7, 8, 9, 10],
    ],
    ['scale(a.x,0.5)', 'scale(a.x,0.5)', [0.5, 1, null, 2, 2.5, 3, 3.5, 4, 4.5, 5]],
    ['offset(a.x,-1)', 'offset(a.x,-1)', [0, 1, null, 3, 4, 5, 6, 7, 8, 9]],
    ['derivative(count.z)', 'derivative(count.z)', [null, 1, 3, -7, 1, null, null, 1, 0, 1]],
    [
      'nonNegativeDerivative(count.z)',
      'nonNegativeDerivative(count.z)',
      [null, 1, 3, null, 1, null, null, 1, 0, 1],
    ],
    [
      'nonNegativeDerivative(count.z,9)',
      'nonNegativeDerivative(count.z)',
      [null, 1, 3, 3, 1, null, null, 1, 0, 1],
    ],
    ['keepLastValue(count.z)', 'keepLastValue(count.z)', [5, 6, 9, 2, 3, 3, 4, 5, 5, 6]],
    ['constantLine(123.456)', '123.456', [123.456, 123.456, 123.456]],
    ['consolidateBy(a.x,"max")', 'consolidateBy(a.x,"max")', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    ['limit(a.*,1)', 'a.x', [1, 2, null, 4, 5, 6, 7, 8, 9, 10]],
    ['highestAverage(a.*,1)|alias("top")', 'top', [10, 20, 30, null, 50, 60, 70, 80, 90, 100]],
    ['asPercent(a.x,a.y)', 'asPercent(a.x,a.y)', [10, 10, null, null, 10, 10, 10, 10, 10, 10]],
    [
      'asPercent(a.x,50)',
      'asPercent(a.x,50)',
      [2, 4, null, 8, 10, 12, 14.000000000000002, 16, 18, 20],
    ],
    ['timeShift(a.x,"2min")', 'timeShift(a.x, "-2min")', [null, null, 1, 2, null, 4, 5, 6, 7, 8]],
    ['summarize(a.x,"5min","max")', 'summarize(a.x, "5min", "max")', [4, 9, 10]],
    ['summarize(a.x,"5min","max",true)', 'summarize(a.x, "5min", "max", true)', [5, 10]],
    ['movingAverage(a.x,2)', 'movingAverage(a.x,2)', [1, 1.5, 2, 4, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]],
    ['movingMedian(a.x,"3min")', 'movingMedian(a.x,"3min")', [1, 1.5, 1.5, 3, 4.5, 5, 6, 7, 8, 9]],
    ['movingMax(a.x,3,0.9)', 'movingMax(a.x,3)', [null, null, null, null, null, 6, 7, 8, 9, 10]],
  ] as Row[])('%s', async (target, name, values) => {
    expect(await valuesOf(target, SERIES)).toEqual([[name, values]])
  })
})

test('sortByName() and lists keep all series', async () => {
  const names = async (target: string): Promise<string[]> =>
    (await valuesOf(target, SERIES)).map(([name]) => name)
  expect(await names('sortByName(a.*,reverse=true)')).toEqual(['a.y', 'a.x'])
  expect(await names('group(count.z,a.*)')).toEqual(['count.z', 'a.x', 'a.y'])
  expect(await names('exclude(*.*,"^a")')).toEqual(['count.z'])
})

test('series of different steps and starts are combined by time', async () => {
  const start = 1_700_002_200
  const minutes = { start, step: 60, values: [1, 2, 3] }
  const seconds = { start: start + 90, step: 30, values: [10, 20, 30] }
  const range = { from: start - 1, until: start + 179 }
  const series = { minutes, seconds }
  expect(await valuesOf('sumSeries(minutes,seconds)', series, range)).toEqual([
    ['sumSeries(minutes,seconds)', [1, 12, 28]],
  ])
})

test('windows and shifts that reach back before all data keep their times', async () => {
  const [plain] = await render('a.x', SERIES)
  for (const target of [
    'movingSum(a.x,"8d")',
    'movingSum(a.x,20000)',
    'exponentialMovingAverage(a.x,"8d")',
  ]) {
    const [series] = await render(target, SERIES)
    expect(series!.start).toBe(plain!.start)
  }
  const [sums] = await render('movingSum(a.x,"8d")', SERIES)
  expect([...sums!.values]).toEqual([1, 3, 3, 7, 12, 18, 25, 33, 42, 52])
  const week = 7 * 86_400
  const old = { start: FROM - week, values: Array.from({ length: 20_000 }, (_, i) => i) }
  const [shifted] = await render('timeShift(old,"10075min")', { old })
  // Nothing is older than seven days before the end of the range: half of the points are gone.
  expect([shifted!.start - plain!.start, shifted!.values.length]).toEqual([300, 5])
})
