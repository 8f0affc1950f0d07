/**
 * The discrete Fourier transform of any length: Cooley and Tukey's for powers of two, Bluestein's convolution
 * for the others, both in O(n log n).
 */

/** Complex numbers as two columns; changed in place. */
export interface Complex {
  readonly real: Float64Array
  readonly imaginary: Float64Array
}

export function complexOf(real: Float64Array): Complex {
  return { real: real.slice(), imaginary: new Float64Array(real.length) }
}

export function transform(signal: Complex): void {
  const { length } = signal.real
  if (length < 2) return
  if ((length & (length - 1)) === 0) transformPowerOfTwo(signal)
  else transformAnyLength(signal)
}

/** Divided by the length, so that it undoes `transform`. */
export function transformBack(signal: Complex): void {
  const { real, imaginary } = signal
  transform({ real: imaginary, imaginary: real })
  for (let i = 0; i < real.length; i++) {
    real[i]! /= real.length
    imaginary[i]! /= real.length
  }
}

function transformPowerOfTwo({ real, imaginary }: Complex): void {
  const { length } = real
  reverseBits(real)
  reverseBits(imaginary)
  const cosines = new Float64Array(length / 2)
  const sines = new Float64Array(length / 2)
  for (let i = 0; i < length / 2; i++) {
    cosines[i] = Math.cos((2 * Math.PI * i) / length)
    sines[i] = Math.sin((2 * Math.PI * i) / length)
  }
  for (let size = 2; size <= length; size *= 2) {
    const half = size / 2
    const stride = length / size
    for (let block = 0; block < length; block += size) {
      for (let i = 0; i < half; i++) {
        const [low, high] = [block + i, block + i + half]
        const cosine = cosines[i * stride]!
        const sine = sines[i * stride]!
        const partReal = real[high]! * cosine + imaginary[high]! * sine
        const partImaginary = imaginary[high]! * cosine - real[high]! * sine
        real[high] = real[low]! - partReal
        imaginary[high] = imaginary[low]! - partImaginary
        real[low]! += partReal
        imaginary[low]! += partImaginary
      }
    }
  }
}

function reverseBits(values: Float64Array): void {
  const { length } = values
  for (let i = 1, j = 0; i < length; i++) {
    let bit = length >> 1
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      const value = values[i]!
      values[i] = values[j]!
      values[j] = value
    }
  }
}

/** The transform as a convolution with a chirp, exp(iπk²/n), of a power of two's length. */
function transformAnyLength({ real, imaginary }: Complex): void {
  const { length } = real
  const size = 2 ** Math.ceil(Math.log2(2 * length + 1))
  const cosines = new Float64Array(length)
  const sines = new Float64Array(length)
  const signal = { real: new Float64Array(size), imaginary: new Float64Array(size) }
  const chirp = { real: new Float64Array(size), imaginary: new Float64Array(size) }
  for (let i = 0; i < length; i++) {
    // i² is reduced first: large angles lose digits.
    const angle = (Math.PI * ((i * i) % (2 * length))) / length
    cosines[i] = Math.cos(angle)
    sines[i] = Math.sin(angle)
    signal.real[i] = real[i]! * cosines[i]! + imaginary[i]! * sines[i]!
    signal.imaginary[i] = imaginary[i]! * cosines[i]! - real[i]! * sines[i]!
    chirp.real[i] = cosines[i]!
    chirp.imaginary[i] = sines[i]!
    if (i > 0) {
      chirp.real[size - i] = cosines[i]!
      chirp.imaginary[size - i] = sines[i]!
    }
  }
  convolve(signal, chirp)
  for (let i = 0; i < length; i++) {
    real[i] = signal.real[i]! * cosines[i]! + signal.imaginary[i]! * sines[i]!
    imaginary[i] = signal.imaginary[i]! * cosines[i]! - signal.real[i]! * sines[i]!
  }
}

/** Circular; the result is in `a`. */
function convolve(a: Complex, b: Complex): void {
  transformPowerOfTwo(a)
  transformPowerOfTwo(b)
  for (let i = 0; i < a.real.length; i++) {
    const real = a.real[i]! * b.real[i]! - a.imaginary[i]! * b.imaginary[i]!
    a.imaginary[i] = a.real[i]! * b.imaginary[i]! + a.imaginary[i]! * b.real[i]!
    a.real[i] = real
  }
  transformBack(a)
}
