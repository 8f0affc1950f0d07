/**
 * The store's slots over those of a Whisper file for the same range: where the store knows nothing, the file's
 * value shows.
 *
 * The answer has the store's step, if the store knows any slot; else the file's answer goes as it is. Finer
 * slots of the file are rolled up by the series' rule; a coarser slot shows in the first of the finer slots that
 * it stands for.
 */

import { aggregate, countKnown, meetsXFilesFactor } from '../../metric/consolidation.ts'
import type { FetchedSlots, SeriesRule } from '../engine.ts'

export function showUnder(
  own: FetchedSlots | undefined,
  file: FetchedSlots | undefined,
  rule: SeriesRule,
): FetchedSlots | undefined {
  if (!own || !file) return own ?? file
  const { values, start, step } = own
  if (countKnown(values, 0, values.length) === 0) return file
  const under = onStep(file, step, rule)
  for (let i = 0; i < values.length; i++) {
    if (values[i] === values[i]) continue
    const at = (start + i * step - under.start) / under.step
    if (Number.isInteger(at)) values[i] = under.values[at] ?? NaN
  }
  return own
}

/** Finer slots as slots of `step`; coarser ones as they are. */
function onStep(slots: FetchedSlots, step: number, rule: SeriesRule): FetchedSlots {
  if (slots.step >= step) return slots
  const ratio = step / slots.step
  if (!Number.isInteger(ratio)) return slots
  const start = slots.start - (slots.start % step)
  const end = slots.start + slots.values.length * slots.step
  const values = new Float64Array(Math.ceil((end - start) / step))
  const window = new Float64Array(ratio)
  for (let i = 0; i < values.length; i++) {
    const from = (start + i * step - slots.start) / slots.step
    for (let k = 0; k < ratio; k++) window[k] = slots.values[from + k] ?? NaN
    const known = countKnown(window, 0, ratio)
    values[i] = meetsXFilesFactor(known, ratio, rule.xFilesFactor)
      ? aggregate(rule.method, window, 0, ratio)
      : NaN
  }
  return { start, step, values }
}
