/**
 * The edges of carbonapi's own functions: gaps, series of nothing, lists of none, numbers that are negative or larger
 * than the list; worked out by hand. Every one of the 59 names has a row here.
 */
import { describe, expect, test } from 'bun:test'
import { FUNCTIONS } from '../../../src/api/functions/registry.ts'
import { FROM, render, valuesOf } from '../render-fixture.ts'

const MINUTE = 60
const START = FROM + MINUTE - (FROM % MINUTE)

const _ = null
const NOTHING = [_, _, _, _, _, _, _, _, _, _]

const SERIES = {
  'g.a': [1, _, 3, _, 5, _, 7, _, 9, _],
  'g.b': [_, 2, _, 4, _, 6, _, 8, _, 10],
  'g.c': [1, _, _, 4, _, _, 7, _, _, 10],
  'e.null': NOTHING,
  'f.flat': [3, 3, 3, 3, 3, 3, 3, 3, 3, 3],
  'f.neg': [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4],
  'f.zero': [0, 0, _, 0, 0, 0, _, 0, 0, 0],
  'f.some': [0, 0, 0, 0, 0, 0, 0, 0, 0, 8],
  // Ten points of the range, and of the two ranges before.
  'old.gaps': {
    start: START - 20 * MINUTE,
    values: [
      [_, 2, 2, 2, 2, 2, 2, 2, 2, 2],
      [_, _, 4, 4, 4, 4, 4, 4, 4, 4],
      [1, 1, 1, _, 0, 6, 6, 6, 6, 6],
    ].flat(),
  },
}

type Values = (number | null)[]
/** A target and all series of its answer. */
type Row = readonly [target: string, ...series: [name: string, values: Values][]]

const COMBINED: Row[] = [
  ['average(g.*)', ['averageSeries(g.*)', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]],
  ['avgSeries(g.*)', ['avgSeries(g.*)', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]],
  [
    'avg_zero(g.*)',
    ['avg_zeroSeries(g.*)', [2, 2, 3, 8, 5, 6, 14, 8, 9, 20].map((sum) => sum / 3)],
  ],
  [
    'avg_zeroSeries(g.a,e.null)',
    ['avg_zeroSeries(g.a,e.null)', [0.5, _, 1.5, _, 2.5, _, 3.5, _, 4.5, _]],
  ],
  ['current(g.a,g.c)', ['currentSeries(g.a,g.c)', [1, _, 3, 4, 5, _, 7, _, 9, 10]]],
  ['currentSeries(g.c,g.b)', ['currentSeries(g.c,g.b)', [1, 2, _, 4, _, 6, 7, 8, _, 10]]],
  ['first(e.null,g.a)', ['firstSeries(e.null,g.a)', [1, _, 3, _, 5, _, 7, _, 9, _]]],
  ['firstSeries(f.neg,g.a)', ['firstSeries(f.neg,g.a)', [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4]]],
  ['last(g.b,e.null)', ['lastSeries(g.b,e.null)', [_, 2, _, 4, _, 6, _, 8, _, 10]]],
  ['lastSeries(f.neg,g.a)', ['lastSeries(f.neg,g.a)', [1, -4, 3, -2, 5, 0, 7, 2, 9, 4]]],
  ['median(f.*)', ['medianSeries(f.*)', [0, 0, 0, 0, 0, 0, 1, 1, 1.5, 3.5]]],
  ['medianSeries(e.null)', ['medianSeries(e.null)', NOTHING]],
  ['range(f.neg,f.flat)', ['rangeSeries(f.neg,f.flat)', [8, 7, 6, 5, 4, 3, 2, 1, 0, 1]]],
  ['rangeOf(g.*)', ['rangeOfSeries(g.*)', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]],
  ['rangeSeries(e.null,e.null)', ['rangeSeries(e.null)', NOTHING]],
  ['total(g.*)', ['totalSeries(g.*)', [2, 2, 3, 8, 5, 6, 14, 8, 9, 20]]],
  ['totalSeries(g.a,e.null)', ['totalSeries(g.a,e.null)', [1, _, 3, _, 5, _, 7, _, 9, _]]],
  ['count(g.*)', ['countSeries(g.*)', [3, 3, 3, 3, 3, 3, 3, 3, 3, 3]]],
  ['diff(f.flat,g.a)', ['diffSeries(f.flat,g.a)', [2, 3, 0, 3, -2, 3, -4, 3, -6, 3]]],
  ['max(f.neg,g.a)', ['maxSeries(f.neg,g.a)', [1, -4, 3, -2, 5, 0, 7, 2, 9, 4]]],
  ['min(f.neg,g.a)', ['minSeries(f.neg,g.a)', [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4]]],
  ['multiply(f.flat,g.a)', ['multiplySeries(f.flat,g.a)', [3, _, 9, _, 15, _, 21, _, 27, _]]],
  [
    'stddev(f.neg,f.flat)',
    ['stddevSeries(f.neg,f.flat)', [4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0, 0.5]],
  ],
]

const CHANGED: Row[] = [
  ['isNotNull(g.a)', ['isNonNull(g.a)', [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]]],
  ['isNotNull(e.null)', ['isNonNull(e.null)', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]],
  // The logarithm of what is not above 0 is nothing.
  ['logarithm(f.neg,2)', ['log(f.neg, 2)', [_, _, _, _, _, _, 0, 1, Math.log2(3), 2]]],
  ['logarithm(f.some)', ['log(f.some, 10)', [_, _, _, _, _, _, _, _, _, Math.log10(8)]]],
  ['toLowerCase(alias(f.flat,"A.B.C"))', ['a.b.c', SERIES['f.flat']]],
  ['toLowerCase(alias(f.flat,"A.B.C"),0,7)', ['a.B.C', SERIES['f.flat']]],
  ['toUpperCase(f.flat,-2,1)', ['f.flAt', SERIES['f.flat']]],
  ['aliasByBase64(e.null)', ['e.null', NOTHING]],
  ['aliasByBase64(e.null,9)', ['e.null', NOTHING]],
  ['ewma(g.a,0.5)', ['ewma(g.a,0.5)', [1, _, 2, _, 3.5, _, 5.25, _, 7.125, _]]],
  ['ewma(g.a,1)', ['ewma(g.a,1)', SERIES['g.a']]],
  [
    'exponentialWeightedMovingAverage(f.neg,0)',
    ['ewma(f.neg,0)', [-5, -5, -5, -5, -5, -5, -5, -5, -5, -5]],
  ],
  ['ewma(e.null,0.1)', ['ewma(e.null,0.1)', NOTHING]],
  ['lowPass(f.neg,0)', ['lowPass(f.neg,0)', NOTHING]],
  ['lowPass(f.neg,100)', ['lowPass(f.neg,100)', SERIES['f.neg']]],
  ['lpf(g.b,60)', ['lowPass(g.b,60)', [_, 2, _, _, _, _, _, 8, _, 10]]],
  ['lpf(f.flat,1000)', ['lowPass(f.flat,1000)', SERIES['f.flat']]],
  ['polyfit(g.a)', ['polyfit(g.a)', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]],
  ['polyfit(e.null,2)', ['polyfit(e.null,2)', NOTHING]],
  [
    'polyfit(f.neg,1,"3min")',
    ["polyfit(f.neg,1,'3min')", [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7]],
  ],
  [
    'polyfit(f.neg,offset="1min")',
    ["polyfit(f.neg,1,'1min')", [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]],
  ],
  [
    'integralWithReset(g.a,f.zero)',
    ['integralWithReset(g.a,f.zero)', [1, _, 4, _, 9, _, 16, _, 25, _]],
  ],
  [
    'integralWithReset(f.neg,f.flat)',
    ['integralWithReset(f.neg,f.flat)', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ],
  [
    'integralWithReset(f.flat,e.null)',
    ['integralWithReset(f.flat,e.null)', [3, 6, 9, 12, 15, 18, 21, 24, 27, 30]],
  ],
  ['scaleAfterTimestamp(g.a,-1)', ['scale(g.a,-1)', [-1, _, -3, _, -5, _, -7, _, -9, _]]],
  [
    `scaleAfterTimestamp(f.flat,10,${START + 9 * MINUTE - 1})`,
    [`scale(f.flat,10,${START + 9 * MINUTE - 1})`, [3, 3, 3, 3, 3, 3, 3, 3, 3, 30]],
  ],
  [
    `scaleAfterTimestamp(f.flat,10,${START + 100 * MINUTE})`,
    [`scale(f.flat,10,${START + 100 * MINUTE})`, SERIES['f.flat']],
  ],
  ['pearson(f.neg,f.neg,4)', ['pearson(f.neg,f.neg,4)', [_, _, _, 1, 1, 1, 1, 1, 1, 1]]],
  [
    'pearson(f.neg,scale(f.neg,-2),4)',
    ['pearson(f.neg,scale(f.neg,-2),4)', [_, _, _, -1, -1, -1, -1, -1, -1, -1]],
  ],
  // What does not vary goes together with nothing; nor do windows longer than the series.
  ['pearson(f.neg,f.flat,4)', ['pearson(f.neg,f.flat,4)', NOTHING]],
  ['pearson(f.neg,f.neg,11)', ['pearson(f.neg,f.neg,11)', NOTHING]],
  ['ksTest2(f.neg,e.null,3)', ['kolmogorovSmirnovTest2(f.neg,e.null,3)', NOTHING]],
  [
    'kolmogorovSmirnovTest2(f.neg,f.neg,9)',
    ['kolmogorovSmirnovTest2(f.neg,f.neg,9)', [_, _, _, _, _, _, _, _, _, 1]],
  ],
  ['fft(f.some,"abs")', ['fft(f.some,abs)', [8, 8, 8, 8, 8, 8, 8, 8, 8, 8]]],
  // Gaps are zeros.
  ['fft(e.null,"phase")', ['fft(e.null,phase)', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]],
  ['ifft(e.null)', ['ifft(e.null)', [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]],
  ['ifft(scale(f.some,1.25))', ['ifft(scale(f.some,1.25))', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]],
  ['slo(g.a,"2min","above",2)', ['slo(g.a, 2min, above, 2)', [0, 1, 1, 1, 1]]],
  ['slo(e.null,"5min","below",0)', ['slo(e.null, 5min, below, 0)', [_, _]]],
  ['slo(f.neg,"4min","below",-2)', ['slo(f.neg, 4min, below, -2)', [0.75, 0, 0]]],
  // Finer than the step: nothing can be said.
  ['slo(f.neg,"30s","above",0)', ['slo(f.neg, 30s, above, 0)', NOTHING]],
  [
    'sloErrorBudget(g.a,"5min","above",2,0.5)',
    ['sloErrorBudget(g.a, 5min, above, 2, 0.5)', [50, 150]],
  ],
  ['baseline(old.gaps,"10min",1,3)', ['baseline(old.gaps)', [_, 2, 3, 3, 3, 3, 3, 3, 3, 3]]],
  [
    'baselineAberration(old.gaps,"10min",1,3)',
    ['baselineAberration(old.gaps)', [_, 0.5, 1 / 3, _, 0, 2, 2, 2, 2, 2]],
  ],
  [
    'powSeriesLists(f.neg,f.flat)',
    ['powSeries(f.neg,f.flat)', [-125, -64, -27, -8, -1, 0, 1, 8, 27, 64]],
  ],
  [
    'powSeriesLists(f.flat,g.b)',
    ['powSeries(f.flat,g.b)', [_, 9, _, 81, _, 729, _, 6561, _, 59049]],
  ],
  // The square root of what is negative is nothing.
  [
    'powSeriesLists(f.neg,nothing,0.5)',
    ['powSeries(f.neg,0.5)', [_, _, _, _, _, 0, 1, Math.SQRT2, Math.sqrt(3), 2]],
  ],
]

const CHOSEN: Row[] = [
  ['highestMin(f.{flat,neg,some},2)', ['f.flat', SERIES['f.flat']], ['f.some', SERIES['f.some']]],
  ['highestMin(f.{flat,neg},9)', ['f.flat', SERIES['f.flat']], ['f.neg', SERIES['f.neg']]],
  ['highestMin(f.{flat,neg},0)'],
  ['lowestMin(f.{flat,neg,some},1)', ['f.neg', SERIES['f.neg']]],
  ['lowestMin(f.{flat,neg},9)', ['f.neg', SERIES['f.neg']], ['f.flat', SERIES['f.flat']]],
  ['lowestMax(f.{flat,neg,some},2)', ['f.flat', SERIES['f.flat']], ['f.neg', SERIES['f.neg']]],
  ['lowestMax(nothing,2)'],
  ['removeZeroSeries(f.zero)'],
  ['removeZeroSeries(e.null)'],
  ['removeZeroSeries(f.some,0.1)', ['f.some', SERIES['f.some']]],
  ['removeZeroSeries(f.some,0.11)'],
  ['removeZeroSeries(g.a,0.5)', ['g.a', SERIES['g.a']]],
  ['aboveSeries(e.null,-100)'],
  ['aboveSeries(f.flat,3)'],
  ['aboveSeries(f.neg,3.9)', ['f.neg', SERIES['f.neg']]],
  ['aboveSeries(f.neg,3,"f\\.","x.")', ['x.neg', SERIES['f.neg']]],
  ['tukeyAbove(f.{flat,neg},1,1)'],
  ['tukeyAbove(f.{some,zero},0.5,9)', ['f.some', SERIES['f.some']], ['f.zero', SERIES['f.zero']]],
  ['tukeyBelow(f.{flat,neg},0.5,1)', ['f.neg', SERIES['f.neg']]],
  ['tukeyBelow(f.{flat,neg},0.25,1,-5)', ['f.neg', SERIES['f.neg']]],
  ['tukeyBelow(nothing,1,1)'],
  ['pearsonClosest(f.neg,f.*,0)'],
  ['pearsonClosest(f.neg,f.{flat,neg},9,"pos")', ['f.neg', SERIES['f.neg']]],
  ['pearsonClosest(f.neg,f.{flat,neg},9,"neg")'],
  ['pearsonClosest(f.neg,e.null,1)'],
  ['join(g.a,nothing)'],
  ['join(g.a,nothing,"or")', ['g.a', SERIES['g.a']]],
  ['join(nothing,g.a,"xor")', ['g.a', SERIES['g.a']]],
  ['join(g.a,g.a,"sub")'],
  ['heatMap(f.flat)'],
  ['heatMap(nothing)'],
  ['heatMap(f.{flat,neg})', ['heatMap(f.flat,f.neg)', [8, 7, 6, 5, 4, 3, 2, 1, 0, -1]]],
  ['countValues(e.null)'],
  [
    'countValues(g.{a,c})',
    ['1', [2, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['3', [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]],
    ['4', [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]],
    ['5', [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]],
    ['7', [0, 0, 0, 0, 0, 0, 2, 0, 0, 0]],
    ['9', [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]],
    ['10', [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ],
  ['countValues(scale(f.flat,-1.2))', ['-3', [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]],
  ['powSeriesLists(g.{a,b},f.{flat,neg,some})'],
  ['baseline(nothing,"10min",1,3)'],
  ['baseline(old.gaps,"10min",1,3,5)'],
  ['slo(nothing,"5min","above",0)'],
]

/** Names with tables of their own in carbonapi.test.ts, for their answers are no plain rows. */
const ELSEWHERE = ['aliasByRedis', 'aliasByPostgres', 'timeShiftByMetric']

function rounded(values: Values): Values {
  return values.map((value) => (value === null ? null : Number(value.toFixed(9)) + 0))
}

describe.each([
  ['combining', COMBINED],
  ['one by one', CHANGED],
  ['choosing', CHOSEN],
] as const)('%s', (_name, rows) => {
  test.each(rows.map((row) => [row[0], row] as const))('%s', async (target, [, ...expected]) => {
    const found = await valuesOf(target, SERIES)
    expect(found.map(([name, values]) => [name, rounded(values)])).toEqual(
      expected.map(([name, values]) => [name, rounded(values)]),
    )
  })
})

describe('refused are', () => {
  test.each([
    ['pearson(f.*,f.neg,3)', 'takes one series, not 4'],
    ['pearson(nothing,f.neg,3)', 'takes one series, not 0'],
    ['pearson(f.neg,f.neg,0)', 'at least 1 point'],
    ['ksTest2(f.neg,f.neg,-1)', 'at least 1 point'],
    ['pearsonClosest(f.neg,f.*,1,"up")', 'must be one of'],
    ['integralWithReset(f.neg,f.*)', 'must be one series'],
    ['integralWithReset(f.neg,nothing)', 'must be one series'],
    ['heatMap(group(f.flat,timeSlice(f.neg,"-5min"),constantLine(1)))', 'differ in step or length'],
    ['polyfit(f.neg,0)', 'degree must be 1 to 20'],
    ['tukeyAbove(f.*,0,1)', 'basis must be over 0'],
    ['tukeyBelow(f.*,1,0)', 'n must be at least 1'],
    ['join(f.flat,f.neg,"nor")', 'type must be one of'],
    ['timeShiftByMetric(f.*,f.flat,1)', 'at least two series and two marks'],
    ['slo(f.neg,"1h","over",1)', 'must be one of'],
    ['baseline(f.neg,"1s",0,5000)', 'at most 1000 ranges'],
    ['fft(f.neg,"angle")', 'must be one of'],
  ])('%s', async (target, text) => {
    const refusal = await render(target, SERIES).catch(String)
    expect(refusal as string).toContain(text)
  })
})

test('every function that only carbonapi has is in a table', () => {
  const own = [...FUNCTIONS].filter(([, { origin }]) => origin === 'carbonapi')
  const rows = [...COMBINED, ...CHANGED, ...CHOSEN].map(([target]) => target)
  const absent = own
    .map(([name]) => name)
    .filter(
      (name) => !ELSEWHERE.includes(name) && !rows.some((target) => target.startsWith(`${name}(`)),
    )
  expect(absent).toEqual([])
})
