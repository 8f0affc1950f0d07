/**
 * go-graphite's fetch answers in protocol buffers (go-graphite/protocol, carbonapi_v2_pb.proto and
 * carbonapi_v3_pb.proto): MultiFetchResponse { repeated FetchResponse metrics = 1 }.
 *
 * v2: name 1, startTime 2, stopTime 3, stepTime 4, values 5, isAbsent 6.
 * v3: name 1, pathExpression 2, consolidationFunc 3, startTime 4, stopTime 5, stepTime 6, xFilesFactor 7,
 * highPrecisionTimestamps 8, values 9 (NaN for none), appliedFunctions 10, requestStartTime 11,
 * requestStopTime 12. Lists of numbers are packed; what is zero is left out, as proto3 does.
 */

import { ByteWriter, toUtf8 } from '../../lib/bytes.ts'
import type { RenderQuery } from '../render-query.ts'
import type { RenderSeries } from '../render-series.ts'

const VARINT = 0
const LENGTH = 2
const FIXED32 = 5

type Bytes = Uint8Array<ArrayBuffer>

export function encodeFetchV2(series: readonly RenderSeries[]): Bytes {
  return encodeAll(series, (out, one) => {
    appendText(out, 1, one.name)
    appendInteger(out, 2, one.start)
    appendInteger(out, 3, endOf(one))
    appendInteger(out, 4, one.step)
    const absent = Uint8Array.from(one.values, (value) => (value === value ? 0 : 1))
    appendDoubles(out, 5, one.values, 0)
    appendBytes(out, 6, absent)
  })
}

export function encodeFetchV3(
  series: readonly RenderSeries[],
  request: Pick<RenderQuery, 'from' | 'until'>,
): Bytes {
  return encodeAll(series, (out, one) => {
    appendText(out, 1, one.name)
    appendText(out, 2, one.pathExpression)
    appendText(out, 3, one.consolidation)
    appendInteger(out, 4, one.start)
    appendInteger(out, 5, endOf(one))
    appendInteger(out, 6, one.step)
    if (one.xFilesFactor !== 0) {
      appendKey(out, 7, FIXED32)
      out.f32(one.xFilesFactor)
    }
    appendDoubles(out, 9, one.values, NaN)
    appendInteger(out, 11, request.from)
    appendInteger(out, 12, request.until)
  })
}

function encodeAll(
  series: readonly RenderSeries[],
  append: (out: ByteWriter, one: RenderSeries) => void,
): Bytes {
  const out = new ByteWriter(4_096)
  const message = new ByteWriter(4_096)
  for (const one of series) {
    message.reset()
    append(message, one)
    appendBytes(out, 1, message.written())
  }
  return out.written() as Bytes
}

function endOf(series: RenderSeries): number {
  return series.start + series.step * series.values.length
}

function appendKey(out: ByteWriter, field: number, wireType: number): void {
  out.varint(field * 8 + wireType)
}

function appendInteger(out: ByteWriter, field: number, value: number): void {
  if (value === 0) return
  appendKey(out, field, VARINT)
  out.varint(value)
}

function appendText(out: ByteWriter, field: number, text: string): void {
  if (text !== '') appendBytes(out, field, toUtf8(text))
}

function appendBytes(out: ByteWriter, field: number, bytes: Uint8Array): void {
  appendKey(out, field, LENGTH)
  out.varint(bytes.length)
  out.raw(bytes)
}

/** NaN goes out as `missing`. */
function appendDoubles(
  out: ByteWriter,
  field: number,
  values: Float64Array,
  missing: number,
): void {
  const known = values.map((value) => (value === value ? value : missing))
  appendBytes(out, field, new Uint8Array(known.buffer))
}
