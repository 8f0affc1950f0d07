/** Runs every benchmark case once with tiny input, so that none of them rots; and tests the bench itself. */
import { describe, expect, test } from 'bun:test'
import { type BenchCase, checksumOf, findCases, measure, seededRandom } from './bench.ts'

const TINY = 0.001

describe.each(await findCases())('$file', ({ cases }) => {
  test('cases have names of their own', () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
  })
  for (const bench of cases.filter(({ peer }) => !peer)) {
    test(
      bench.name,
      async () => {
        const result = await measure(bench, { scale: TINY, once: true })
        if (typeof result === 'string') console.log(`${bench.name}: skipped: ${result}`)
        else expect(result.checksum).not.toBeNaN()
      },
      20_000,
    )
  }
})

describe('measure()', () => {
  const counting = (checksums: number[]): BenchCase => ({
    name: 'test: counts',
    unit: 'runs',
    prepare: () => ({ count: 10, run: () => ({ checksum: checksums.shift() ?? 7, seconds: 2 }) }),
  })

  test('takes the seconds that a case measured itself', async () => {
    const result = await measure(counting([]), { scale: TINY, once: true })
    expect(result).toMatchObject({ runs: 1, rate: 5, checksum: 7 })
  })

  test('throws when two runs disagree', async () => {
    const run = measure(counting([7, 8]), { scale: TINY })
    expect(run).rejects.toThrow('test: counts: checksum 8 after 7')
  })

  test('answers the reason why a case cannot run', async () => {
    const bench: BenchCase = { name: 'test: peer', unit: 'runs', prepare: () => 'no peer here' }
    expect(await measure(bench, { scale: TINY })).toBe('no peer here')
  })
})

test('seededRandom() gives the same numbers for the same seed', () => {
  const [a, b] = [seededRandom(1), seededRandom(1)]
  for (let i = 0; i < 100; i++) {
    const value = a()
    expect(value).toBe(b())
    expect(value >= 0 && value < 1).toBe(true)
  }
})

test('checksumOf() is FNV-1a', () => {
  expect(checksumOf(new TextEncoder().encode('foobar'))).toBe(0xbf9cf968)
})
