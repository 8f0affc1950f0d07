/** Where points come from: round trip, and what is refused. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrameError } from '../../src/ipc/frame-format.ts'
import { decodeSources, encodeSources, type SourceSpan } from '../../src/ipc/sources-format.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'

function encoded(spans: readonly SourceSpan[]): Uint8Array {
  const out = new ByteWriter()
  encodeSources(out, spans)
  return out.copy()
}

const span = fc.record({
  source: fc.stringMatching(/^[0-9a-f]{16}$/),
  sequence: fc.nat(Number.MAX_SAFE_INTEGER),
  gap: fc.nat(100),
  count: fc.nat(10_000),
  isLast: fc.boolean(),
})

/** One behind another. */
const spans = fc.array(span).map((parts): SourceSpan[] => {
  let end = 0
  return parts.map(({ gap, ...part }) => {
    const start = end + gap
    end = start + part.count
    return { ...part, start }
  })
})

describe('SOURCES', () => {
  test('what is encoded is decoded', () => {
    fc.assert(fc.property(spans, (given) => expect(decodeSources(encoded(given))).toEqual(given)))
  })

  test('any bytes are spans or a FrameError', () => {
    const decode = (bytes: Uint8Array): void => {
      try {
        decodeSources(bytes)
      } catch (error) {
        if (!(error instanceof FrameError)) throw error
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), decode))
  })

  test('spans that overlap, or are cut short, are refused', () => {
    const one = { source: '00000000000000aa', sequence: 1, start: 0, count: 10, isLast: true }
    expect(() => decodeSources(encoded([one, { ...one, start: 9 }]))).toThrow(FrameError)
    expect(() => decodeSources(encoded([one]).subarray(0, 20))).toThrow('cut short')
  })
})
