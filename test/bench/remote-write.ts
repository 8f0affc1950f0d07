/**
 * Prometheus remote write 1.0: a protobuf WriteRequest in snappy's block format, literals only (which is
 * valid snappy, not smaller). Names become `__name__` with what Prometheus does not allow as underscores.
 */
import { ByteWriter, toUtf8 } from '../../src/lib/bytes.ts'
import type { HostMetrics } from './host-metrics.ts'

const LITERAL_BYTES_MAX = 65_536

/** Seconds [from, to) of the recording; second 0 is at `first`, Unix time. */
export function encodeWriteRequest(
  metrics: HostMetrics,
  range: { from: number; to: number; first: number },
): Uint8Array {
  const request = new ByteWriter(1 << 16)
  for (let k = 0; k < metrics.names.length; k++) {
    const series = encodeSeries(metrics, k, range)
    if (series) field(request, 1, series)
  }
  return snappyLiterals(request.written())
}

function encodeSeries(
  { names, seconds, values }: HostMetrics,
  k: number,
  { from, to, first }: { from: number; to: number; first: number },
): Uint8Array | undefined {
  const series = new ByteWriter(1 << 10)
  const label = new ByteWriter(256)
  field(label, 1, toUtf8('__name__'))
  field(label, 2, toUtf8(names[k]!.replaceAll(/[^A-Za-z0-9_:]/g, '_')))
  field(series, 1, label.written())
  let count = 0
  for (let second = from; second < to; second++) {
    const value = values[k * seconds + second]!
    if (value !== value) continue
    const sample = new ByteWriter(24)
    sample.u8((1 << 3) | 1)
    sample.f64(value)
    sample.u8(2 << 3)
    sample.varint((first + second) * 1000)
    field(series, 2, sample.written())
    count++
  }
  return count > 0 ? series.written() : undefined
}

function field(dst: ByteWriter, number: number, bytes: Uint8Array): void {
  dst.u8((number << 3) | 2)
  dst.varint(bytes.length)
  dst.raw(bytes)
}

function snappyLiterals(bytes: Uint8Array): Uint8Array {
  const dst = new ByteWriter(bytes.length + 64)
  dst.varint(bytes.length)
  for (let at = 0; at < bytes.length; at += LITERAL_BYTES_MAX) {
    const part = bytes.subarray(at, at + LITERAL_BYTES_MAX)
    dst.u8(61 << 2)
    dst.u16(part.length - 1)
    dst.raw(part)
  }
  return dst.copy()
}
