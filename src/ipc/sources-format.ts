/**
 * Whose points a POINTS frame passes on. A relay that is killed sends what it had been given and had not confirmed
 * again, under sequences of its own; whoever has these points says so by where they come from:
 *
 * ```
 * SOURCES  repeated: 8 bytes source, u64 sequence, u32 start, u32 count, u8 1 = the last of them
 * ```
 *
 * Points `[start, start + count)` of the POINTS frame that follows came from that source under that sequence. A source
 * is where a point first had a sequence, however many relays have passed it on since: the frames of a sender that was
 * told it by somebody else (`framesSource`), or what a relay makes itself. Sequences of a source rise. A receiver
 * that has taken the last span of a sequence takes no span of it, or of one before it, again from the same sender.
 * Spans lie one behind another; what is between them has no source. A receiver may skip the frame.
 *
 * One sequence is one *part*, of PART_POINTS points at most, cut the same way however often it is sent. What a part
 * becomes for a destination stays in one frame, so that a receiver has all of it or nothing.
 */

import { createHash } from 'node:crypto'
import { ByteReader, type ByteWriter } from '../lib/bytes.ts'
import { FrameError } from './frame-format.ts'

/** Sixteen times as many fit a frame: rules may make so many of each. */
export const PART_POINTS = 512

const SOURCE_BYTES = 8
/** More than a frame has. */
const PLACES_A_FRAME = 65_536

export interface SourceSpan {
  /** 16 hex digits. */
  readonly source: string
  readonly sequence: number
  readonly start: number
  readonly count: number
  /** False when a part did not fit a frame of its own: more of it follows. */
  readonly isLast: boolean
}

/** The source of what a sender's frames hold and say no source of; not its own id, under which it numbers frames. */
export function framesSource(sender: string): string {
  return sourceId(`frames of ${sender}`)
}

/** The sequence of the part that begins with a frame's point `index`. */
export function partSequence(frameSequence: number, index: number): number {
  return frameSequence * PLACES_A_FRAME + index
}

/** A source that is always the same for the same text. */
export function sourceId(text: string): string {
  return createHash('sha256')
    .update(text)
    .digest('hex')
    .slice(0, 2 * SOURCE_BYTES)
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
