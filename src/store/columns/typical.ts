/** A typical number of a column, from which the others lie not too far: the median of some of them. */

const SAMPLES = 15
/** Rising. */
const samples = new Float64Array(SAMPLES)

/** The median of fifteen of the first `count` numbers, which a few peaks do not move. */
export function typical(numbers: Float64Array, count: number): number {
  for (let i = 0; i < SAMPLES; i++) {
    const number = numbers[Math.floor((i * count) / SAMPLES)]!
    let at = i
    // So few are sorted in less time than it takes to call `sort`.
    for (; at > 0 && samples[at - 1]! > number; at--) samples[at] = samples[at - 1]!
    samples[at] = number
  }
  return samples[SAMPLES >> 1]!
}
