import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteWriter } from '../../src/lib/bytes.ts'
import {
  appendFrame,
  FLAG_ZSTD,
  type Frame,
  FrameError,
  FrameReader,
  FrameType,
} from '../../src/ipc/frame-format.ts'

function collect(bytesMax = 1 << 20): { frames: Frame[]; reader: FrameReader } {
  const frames: Frame[] = []
  const reader = new FrameReader({
    bytesMax,
    onFrame: ({ type, flags, payload }) => frames.push({ type, flags, payload: payload.slice() }),
  })
  return { frames, reader }
}

describe('FrameReader', () => {
  test('finds the same frames however the bytes are cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 8 })
    fc.assert(
      fc.property(payloads, fc.array(fc.nat(300)), fc.boolean(), (wanted, cuts, compress) => {
        const out = new ByteWriter()
        for (const payload of wanted) appendFrame(out, FrameType.points, payload, { compress })
        const { frames, reader } = collect()
        let at = 0
        for (const cut of cuts) {
          reader.feed(out.written().subarray(at, at + cut))
          at = Math.min(at + cut, out.length)
        }
        reader.feed(out.written().subarray(at))
        expect(frames.map(({ payload }) => payload)).toEqual(wanted)
        expect(reader.waitingBytes).toBe(0)
      }),
    )
  })

  test('compresses what gains by it and only that', () => {
    const out = new ByteWriter()
    appendFrame(out, FrameType.names, new Uint8Array(10_000), { compress: true })
    appendFrame(out, FrameType.names, new Uint8Array(10), { compress: true })
    expect(out.length).toBeLessThan(200)
    const { frames, reader } = collect()
    reader.feed(out.written())
    expect(frames.map(({ flags, payload }) => [flags, payload.length])).toEqual([
      [FLAG_ZSTD, 10_000],
      [0, 10],
    ])
  })

  test('refuses a frame over the limit, also when only unpacking shows it', () => {
    const out = new ByteWriter()
    appendFrame(out, FrameType.names, new Uint8Array(2_000))
    expect(() => collect(1_000).reader.feed(out.written())).toThrow(FrameError)
    out.reset()
    appendFrame(out, FrameType.names, new Uint8Array(2_000), { compress: true })
    expect(() => collect(1_000).reader.feed(out.written())).toThrow(FrameError)
  })

  test('refuses a packed frame that is damaged', () => {
    const out = new ByteWriter()
    appendFrame(out, FrameType.names, Uint8Array.of(1, 2, 3), { flags: FLAG_ZSTD })
    expect(() => collect().reader.feed(out.written())).toThrow(FrameError)
  })

  test('random bytes end in a FrameError or wait, never in anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        try {
          collect(10_000).reader.feed(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
