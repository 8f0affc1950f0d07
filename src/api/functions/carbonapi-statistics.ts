/**
 * carbonapi's functions that graphite-web does not have: smoothing, frequencies, correlation, outliers.
 */

import { RenderError, renameSeries, type RenderSeries } from '../render-series.ts'
import { isKnown, sortedKnown } from './aggregation.ts'
import { alignRows, wholeColumns } from './alignment.ts'
import { complexOf, transform, transformBack } from './fourier.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { shortNumber } from './naming.ts'
import { correlation, fitPolynomial, kolmogorovSmirnov } from './statistics.ts'
import { offsetOf } from './time-arguments.ts'

const ewma: RenderFunction = {
  name: 'ewma',
  aliases: ['exponentialWeightedMovingAverage'],
  origin: 'carbonapi',
  group: 'Calculate',
  description:
    'A moving average in which a new value weighs `alpha`, and all older ones together the rest.',
  params: [SERIES_LIST, required('float', 'alpha', { suggestions: [0.1, 0.5, 0.7] })],
  signature: 'exponentialWeightedMovingAverage(seriesList, alpha)',
  run(call) {
    const alpha = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const values = new Float64Array(series.values.length)
      let mean = NaN
      for (let i = 0; i < values.length; i++) {
        const value = series.values[i]!
        if (isKnown(value)) mean = isKnown(mean) ? mean + alpha * (value - mean) : value
        values[i] = isKnown(value) ? mean : NaN
      }
      return renameSeries(series, `ewma(${series.name},${shortNumber(alpha)})`, { values })
    })
  },
}

/** Missing values count as 0: a transform has no gaps. */
function zerosForGaps(values: Float64Array): Float64Array {
  return values.map((value) => (isKnown(value) ? value : 0))
}

const fft: RenderFunction = {
  name: 'fft',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'The frequencies in the series: their sizes (`abs`), their phases (`phase`), or `both`.',
  params: [SERIES_LIST, optional('string', 'mode', { options: ['abs', 'phase', 'both'] })],
  signature: 'fft(seriesList, mode)',
  async run(call) {
    const mode = call.args.text(1, 'both')
    const result: RenderSeries[] = []
    await eachSeries(call, call.args.series(0), (series) => {
      const signal = complexOf(zerosForGaps(series.values))
      transform(signal)
      const { real, imaginary } = signal
      if (mode !== 'phase') {
        const values = real.map((part, i) => Math.hypot(part, imaginary[i]!))
        result.push(renameSeries(series, `fft(${series.name},abs)`, { values }))
      }
      if (mode !== 'abs') {
        const values = real.map((part, i) => Math.atan2(imaginary[i]!, part))
        result.push(renameSeries(series, `fft(${series.name},phase)`, { values }))
      }
      return undefined
    })
    return result
  },
}

const ifft: RenderFunction = {
  name: 'ifft',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'The series that has these frequencies, given by their sizes and, in the second list, their phases.',
  params: [SERIES_LIST, optional('seriesList', 'phaseSeriesList')],
  signature: 'ifft(seriesList, phaseSeriesList)',
  run(call) {
    const phases = call.args.series(1)
    const indexes = new Map(call.args.series(0).map((series, i) => [series, i]))
    return eachSeries(call, call.args.series(0), (series) => {
      const phase = phases[indexes.get(series)!]
      const signal = complexOf(zerosForGaps(series.values))
      const { real, imaginary } = signal
      if (phase) {
        for (let i = 0; i < real.length; i++) {
          const angle = phase.values[i] ?? NaN
          const size = real[i]!
          real[i] = isKnown(angle) ? size * Math.cos(angle) : size
          imaginary[i] = isKnown(angle) ? size * Math.sin(angle) : 0
        }
      }
      transformBack(signal)
      const values = real.map((part, i) => Math.hypot(part, imaginary[i]!))
      const suffix = phase ? `, ${phase.name}` : ''
      return renameSeries(series, `ifft(${series.name}${suffix})`, { values })
    })
  },
}

const lowPass: RenderFunction = {
  name: 'lowPass',
  aliases: ['lpf'],
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'Of the sizes that fft() answers, those of the lowest `cutPercent` percent of frequencies.',
  params: [SERIES_LIST, required('float', 'cutPercent')],
  run(call) {
    const cutPercent = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const { length } = series.values
      const low = Math.trunc((cutPercent / 200) * length)
      const values = series.values.slice()
      if (low < length - low) values.fill(NaN, Math.max(low, 0), length - low)
      return renameSeries(series, `lowPass(${series.name},${shortNumber(cutPercent)})`, { values })
    })
  },
}

// ── two series ──────────────────────────────────────────────────────────────────────────────────────

function onlySeries(call: FunctionCall, position: number, name: string): RenderSeries {
  const list = call.args.series(position)
  if (list.length !== 1) throw new RenderError(`${name}(): takes one series, not ${list.length}`)
  return list[0]!
}

type WindowTest = (a: Float64Array, b: Float64Array, from: number, to: number) => number

/** A number for each window of two series; nothing before the first `skip` points. */
async function compareWindows(
  call: FunctionCall,
  name: string,
  test: WindowTest,
  skip: (window: number) => number,
): Promise<RenderSeries[]> {
  const [a, b] = [onlySeries(call, 0, name), onlySeries(call, 1, name)]
  const window = call.args.number(2)
  if (window < 1) throw new RenderError(`${name}(): the window must be at least 1 point`)
  const rows = alignRows([a, b])!
  const [first, second] = wholeColumns(rows)
  const values = new Float64Array(rows.count).fill(NaN)
  for (let i = skip(window); i < rows.count; i++) {
    values[i] = test(first!, second!, i - window + 1, i + 1)
    const pause = call.pace.spend(window * 4)
    if (pause) await pause
  }
  const title = `${name}(${a.name},${b.name},${window})`
  return [renameSeries(a, title, { values, start: rows.start, step: rows.step, end: rows.end })]
}

const OTHER_LIST = required('seriesList', 'seriesList')

const ksTest2: RenderFunction = {
  name: 'kolmogorovSmirnovTest2',
  aliases: ['ksTest2'],
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'How probable it is that the last `window` values of both series are of the same distribution.',
  params: [SERIES_LIST, OTHER_LIST, required('integer', 'window')],
  signature: 'kolmogorovSmirnovTest2(seriesList, seriesList, windowSize)',
  run: (call) =>
    compareWindows(call, 'kolmogorovSmirnovTest2', kolmogorovSmirnov, (window) => window),
}

const pearson: RenderFunction = {
  name: 'pearson',
  origin: 'carbonapi',
  group: 'Transform',
  description: 'How much the last `windowSize` values of both series go together: from −1 to 1.',
  params: [SERIES_LIST, OTHER_LIST, required('integer', 'windowSize')],
  run: (call) => compareWindows(call, 'pearson', correlation, (window) => window - 1),
}

const pearsonClosest: RenderFunction = {
  name: 'pearsonClosest',
  origin: 'carbonapi',
  group: 'Transform',
  description:
    'The `n` series of the second list that go together best with the first: in the same direction (`pos`), ' +
    'in the opposite one (`neg`), or in any (`abs`).',
  params: [
    SERIES_LIST,
    OTHER_LIST,
    required('integer', 'n'),
    optional('string', 'direction', { default: 'abs', options: ['abs', 'pos', 'neg'] }),
  ],
  signature: 'pearsonClosest(seriesList, seriesList, n, direction)',
  run(call) {
    const reference = onlySeries(call, 0, 'pearsonClosest')
    const direction = call.args.text(3, 'abs')
    const ranked: { series: RenderSeries; score: number }[] = []
    for (const series of call.args.series(1)) {
      if (series.values.length !== reference.values.length) continue
      const score = correlation(reference.values, series.values, 0, series.values.length)
      const fits = direction === 'abs' || (direction === 'pos' ? score >= 0 : score <= 0)
      if (isKnown(score) && fits) ranked.push({ series, score: Math.abs(score) })
    }
    ranked.sort((a, b) => b.score - a.score)
    return ranked.slice(0, Math.max(call.args.number(2), 0)).map(({ series }) => series)
  },
}

// ── lines and outliers ──────────────────────────────────────────────────────────────────────────────

const DEGREE_MAX = 20

const polyfit: RenderFunction = {
  name: 'polyfit',
  origin: 'carbonapi',
  group: 'Combine',
  description:
    'The polynomial of the given degree that fits the series best, drawn up to `offset` into the future.',
  params: [
    SERIES_LIST,
    optional('integer', 'degree', { default: 1 }),
    optional('interval', 'offset', { default: '0d' }),
  ],
  signature: 'polyfit(seriesList, degree=1, offset="0d")',
  run(call) {
    const { args } = call
    const degree = args.number(1, 1)
    if (degree < 1 || degree > DEGREE_MAX) {
      throw new RenderError(`polyfit(): degree must be 1 to ${DEGREE_MAX}, not ${degree}`)
    }
    const offset = Math.max(offsetOf(args.text(2, '0d')), 0)
    const shown = args.has(2) ? `,${degree},'${args.text(2)}'` : args.has(1) ? `,${degree}` : ''
    return eachSeries(call, args.series(0), (series) => {
      const count = series.values.length + Math.floor(offset / series.step)
      call.pace.reserve(count)
      const values = new Float64Array(count).fill(NaN)
      const known = sortedKnown(series.values, 0, series.values.length).length
      const fit = fitPolynomial(series.values, degree)
      if (!fit && known >= 2) return undefined
      if (fit && known >= 2) for (let i = 0; i < count; i++) values[i] = fit(i)
      return renameSeries(series, `polyfit(${series.name}${shown})`, {
        values,
        end: series.end + offset,
      })
    })
  },
}

/** The series with the most values beyond the quartiles by `basis` times the distance of those. */
function tukey(name: string, description: string, above: boolean): RenderFunction {
  return {
    name,
    origin: 'carbonapi',
    group: 'Transform',
    description,
    params: [
      SERIES_LIST,
      required('float', 'basis'),
      required('integer', 'n'),
      optional('intOrInterval', 'interval', { default: 0 }),
    ],
    signature: `${name}(seriesList, basis, n, interval=0)`,
    run(call) {
      const list = call.args.series(0)
      const [basis, n] = [call.args.number(1), call.args.number(2)]
      if (!(basis > 0)) throw new RenderError(`${name}(): basis must be over 0`)
      if (n < 1) throw new RenderError(`${name}(): n must be at least 1`)
      const [first] = list
      if (!first) return []
      const [from, to] = stretchOf(call, first)
      const limit = outlierLimit(list, from, to, basis, above)
      const ranked = list.map((series) => ({
        series,
        outliers: outliersOf(series, from, to, limit, above),
      }))
      return ranked
        .filter(({ outliers }) => outliers > 0)
        .sort((a, b) => b.outliers - a.outliers)
        .slice(0, n)
        .map(({ series }) => series)
    },
  }
}

/** The last so many points, or all before the last so many when negative; all when that is nothing. */
function stretchOf(call: FunctionCall, first: RenderSeries): [from: number, to: number] {
  const { length } = first.values
  const given = call.args.at(3)
  const points =
    given.kind === 'string' ? Math.trunc(offsetOf(given.text) / first.step) : call.args.number(3, 0)
  if (points < 0 && -points < length) return [0, length + points]
  return points > 0 && points < length ? [length - points, length] : [0, length]
}

function outlierLimit(
  list: readonly RenderSeries[],
  from: number,
  to: number,
  basis: number,
  above: boolean,
): number {
  const all = new Float64Array(list.length * (to - from)).fill(NaN)
  for (let i = 0; i < list.length; i++) {
    all.set(list[i]!.values.subarray(from, to), i * (to - from))
  }
  const sorted = sortedKnown(all, 0, all.length)
  const low = sorted[Math.trunc(0.25 * sorted.length)] ?? NaN
  const high = sorted[Math.trunc(0.75 * sorted.length)] ?? NaN
  return above ? high + basis * (high - low) : low - basis * (high - low)
}

function outliersOf(
  { values }: RenderSeries,
  from: number,
  to: number,
  limit: number,
  above: boolean,
): number {
  let outliers = 0
  for (let i = from; i < Math.min(to, values.length); i++) {
    if (above ? values[i]! >= limit : values[i]! <= limit) outliers++
  }
  return outliers
}

export const CARBONAPI_STATISTICS_FUNCTIONS: readonly RenderFunction[] = [
  ewma,
  fft,
  ifft,
  lowPass,
  ksTest2,
  pearson,
  pearsonClosest,
  polyfit,
  tukey('tukeyAbove', "The `n` series with the most outliers upwards, by Tukey's test.", true),
  tukey('tukeyBelow', "The `n` series with the most outliers downwards, by Tukey's test.", false),
]
