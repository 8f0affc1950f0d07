import { expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  type Frame,
  FrameError,
  FrameReader,
  FrameType,
  QUERY_FRAME_BYTES_MAX,
} from '../../src/ipc/frame-format.ts'
import {
  appendCancel,
  appendJson,
  appendRequest,
  appendSeries,
  decodeJson,
  decodeSeries,
  type FetchedSeries,
  frameId,
  seriesFrameBytes,
  type StoreRequest,
} from '../../src/ipc/store-protocol.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'

function framesOf(out: ByteWriter): Frame[] {
  const frames: Frame[] = []
  const reader = new FrameReader({
    bytesMax: QUERY_FRAME_BYTES_MAX,
    onFrame: ({ type, flags, payload }) => frames.push({ type, flags, payload: payload.slice() }),
  })
  reader.feed(out.written())
  return frames
}

test('a series crosses with every bit of it', () => {
  const names = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  fc.assert(
    fc.property(names, fc.array(fc.double()), fc.nat(9), (name, values, selector) => {
      const series: FetchedSeries = {
        name,
        selector,
        start: 1_800_000_000,
        step: 10,
        values: Float64Array.from(values),
        xFilesFactor: 0.5,
        method: 'last',
        isShown: selector % 2 === 1,
      }
      const out = new ByteWriter()
      appendSeries(out, 77, series)
      const [frame] = framesOf(out)
      expect(frame?.type).toBe(FrameType.series)
      expect(frameId(frame!.payload)).toBe(77)
      expect(frame!.payload.length).toBe(
        seriesFrameBytes(new TextEncoder().encode(name).length, values.length),
      )
      const decoded = decodeSeries(frame!.payload)
      // as arrays: two Float64Arrays with NaN in the same place are not equal to Bun
      expect({ ...decoded, values: [...decoded.values] }).toEqual({
        ...series,
        values: [...values],
      })
    }),
  )
})

test('requests and answers are JSON behind an id', () => {
  const request: StoreRequest = {
    op: 'find',
    patterns: ['a.*'],
    now: 1,
    deadlineMs: 1_000,
    leavesOnly: false,
    namesMax: 10,
  }
  const out = new ByteWriter()
  appendRequest(out, 1, request)
  appendCancel(out, 2)
  appendJson(out, FrameType.failure, 3, { code: 'bad', text: 'ä' })
  const [asked, cancelled, failed] = framesOf(out)
  expect(decodeJson<StoreRequest>(asked!.payload)).toEqual(request)
  expect([cancelled!.type, frameId(cancelled!.payload)]).toEqual([FrameType.cancel, 2])
  expect(decodeJson<unknown>(failed!.payload)).toEqual({ code: 'bad', text: 'ä' })
})

test('damaged payloads are FrameErrors', () => {
  expect(() => frameId(Uint8Array.of(1))).toThrow(FrameError)
  expect(() => decodeJson(Uint8Array.of(0, 0, 0, 0, 123))).toThrow(FrameError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
      try {
        decodeSeries(payload)
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError)
      }
    }),
  )
})

test('a series that came in a Buffer, as sockets give it, is a copy', () => {
  const out = new ByteWriter()
  const values = Float64Array.of(1.5, 2.5)
  const method = 'average'
  appendSeries(out, 1, {
    name: 'a',
    selector: 0,
    start: 1,
    step: 1,
    values,
    xFilesFactor: 0,
    method,
    isShown: false,
  })
  const received = Buffer.concat([Buffer.alloc(3), out.written()]).subarray(3)
  let series: FetchedSeries | undefined
  const reader = new FrameReader({
    bytesMax: QUERY_FRAME_BYTES_MAX,
    onFrame: ({ payload }) => (series = decodeSeries(payload)),
  })
  reader.feed(received)
  received.fill(0)
  expect(series?.values).toEqual(values)
})

test('a series goes where it is told to', () => {
  const out = new ByteWriter()
  const values = Float64Array.of(1.5, NaN, -2.5)
  const rest = {
    name: 'a.b',
    selector: 0,
    start: 1,
    step: 1,
    xFilesFactor: 0,
    method: 'sum',
    isShown: false,
  } as const
  appendSeries(out, 1, { ...rest, values })
  const room = new Float64Array(10).fill(7)
  const decoded = decodeSeries(framesOf(out)[0]!.payload, (count) => room.subarray(2, 2 + count))
  expect([...decoded.values]).toEqual([...values])
  expect([...room]).toEqual([7, 7, 1.5, NaN, -2.5, 7, 7, 7, 7, 7])
})
