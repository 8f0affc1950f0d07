/**
 * Whose points a POINTS frame passes on. A relay that is killed sends what it had been given and had not confirmed
 * again, under sequences of its own; whoever has these points says so by where they come from:
 *
 * ```
 * SOURCES  repeated: 8 bytes source, u64 sequence, u32 start, u32 count, u8 1 = the last of them
 * ```
 *
 * Points `[start, start + count)` of the POINTS frame that follows came from that source under that sequence: from a
 * sender in one of its frames, or from what the relay makes itself. Sequences of a source rise. A receiver
 * that has taken the last span of a sequence takes no span of it, or of one before it, again from the same sender.
 * Spans lie one behind another; what is between them has no source. A receiver may skip the frame.
 */

import { ByteReader, type ByteWriter } from '../lib/bytes.ts'
import { FrameError } from './frame-format.ts'

const SOURCE_BYTES = 8

export interface SourceSpan {
  /** 16 hex digits. */
  readonly source: string
  readonly sequence: number
  readonly start: number
  readonly count: number
  /** No span of that source and sequence follows. */
  readonly isLast: boolean
}

export function encodeSources(dst: ByteWriter, spans: readonly SourceSpan[]): void {
  for (const { source, sequence, start, count, isLast } of spans) {
    dst.raw(Buffer.from(source, 'hex'))
    dst.u64(sequence)
    dst.u32(start)
    dst.u32(count)
    dst.u8(isLast ? 1 : 0)
  }
}

export function decodeSources(payload: Uint8Array): SourceSpan[] {
  const reader = new ByteReader(payload)
  const spans: SourceSpan[] = []
  let end = 0
  try {
    while (reader.remaining > 0) {
      const source = Buffer.from(reader.raw(SOURCE_BYTES)).toString('hex')
      const sequence = reader.u64()
      const start = reader.u32()
      const count = reader.u32()
      if (start < end) throw new FrameError('SOURCES frame with spans that overlap')
      end = start + count
      spans.push({ source, sequence, start, count, isLast: reader.u8() === 1 })
    }
  } catch (error) {
    if (error instanceof RangeError) throw new FrameError('SOURCES frame is cut short')
    throw error
  }
  return spans
}
