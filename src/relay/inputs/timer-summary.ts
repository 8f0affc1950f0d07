/**
 * What Etsy's statsd tells of a timer's values (lib/process_metrics.js): percentiles, sums, mean, deviation and
 * median, and how many fall into the bins of a histogram.
 *
 * ```
 *   90   count_90 mean_90 upper_90 sum_90 sum_squares_90           of the lowest 90 %
 *   -10  count_top10 mean_top10 lower_top10 sum_top10 …            of the greatest 10 %
 * ```
 */

export interface Histogram {
  /** Of timers that have this in their name; '' of all. */
  readonly inName: string
  /** Upper bounds, rising; a value belongs to the first bin above it, or to none. The last may be Infinity. */
  readonly bins: readonly number[]
}

/** `BIN,BIN…`, or `TEXT BIN,BIN…`; a bin may be `inf`. */
export function parseHistogram(text: string): Histogram {
  const blank = text.indexOf(' ')
  const bins = text.slice(blank + 1).split(',')
  return {
    inName: text.slice(0, Math.max(0, blank)),
    bins: bins.map((bin) => (bin === 'inf' ? Infinity : Number(bin))),
  }
}

type Put = (suffix: string, value: number) => void

/** `values`: at least one. */
export function summarize(
  values: readonly number[],
  { percentiles, bins }: { percentiles: readonly number[]; bins: readonly number[] },
  put: Put,
): void {
  const sorted = Float64Array.from(values).sort()
  for (const percentile of percentiles) putPercentile(put, sorted, percentile)
  putSummary(put, sorted)
  putBins(put, sorted, bins)
}

function putPercentile(put: Put, values: Float64Array, percentile: number): void {
  const { length } = values
  // An only value belongs to every percentile, however small.
  const taken = length === 1 ? 1 : Math.round((Math.abs(percentile) / 100) * length)
  if (taken === 0) return
  const part = percentile > 0 ? values.subarray(0, taken) : values.subarray(length - taken)
  const label = labelOf(percentile).replace('-', 'top')
  const { sum, squares } = sums(part)
  put(`count_${label}`, part.length)
  put(`mean_${label}`, sum / part.length)
  if (percentile > 0) put(`upper_${label}`, part.at(-1)!)
  else put(`lower_${label}`, part[0]!)
  put(`sum_${label}`, sum)
  put(`sum_squares_${label}`, squares)
}

function putSummary(put: Put, values: Float64Array): void {
  const { length } = values
  const { sum, squares } = sums(values)
  const mean = sum / length
  let deviation = 0
  for (let i = 0; i < length; i++) deviation += (values[i]! - mean) ** 2
  const middle = length >> 1
  put('std', Math.sqrt(deviation / length))
  put('upper', values.at(-1)!)
  put('lower', values[0]!)
  put('sum', sum)
  put('sum_squares', squares)
  put('mean', mean)
  put('median', length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2)
}

function putBins(put: Put, values: Float64Array, bins: readonly number[]): void {
  let at = 0
  for (const bound of bins) {
    const from = at
    while (at < values.length && (bound === Infinity || values[at]! < bound)) at++
    put(`histogram.bin_${bound === Infinity ? 'inf' : labelOf(bound)}`, at - from)
  }
}

function labelOf(number: number): string {
  return String(number).replaceAll('.', '_')
}

function sums(values: Float64Array): { sum: number; squares: number } {
  let sum = 0
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!
    squares += values[i]! ** 2
  }
  return { sum, squares }
}
