/**
 * mail.sock: one message in, answered when it is in the queue and synced.
 *
 * ```
 * → MAIL    u32 length of JSON, JSON of a MailEnvelope, the message (RFC 5322)
 * ← ANSWER  JSON of a MailAnswer
 * ```
 *
 * Any number of messages may follow one another on a connection, each answered in turn.
 */

import { ByteReader, ByteWriter, fromUtf8, toUtf8 } from '../lib/bytes.ts'
import { appendFrame, beginFrame, endFrame, FrameError, FrameType } from './frame-format.ts'

export interface MailEnvelope {
  /** '' is the null sender: nothing bounces to it. */
  readonly from: string
  readonly recipients: readonly string[]
}

export type MailAnswer =
  | { readonly ok: true; readonly queueId: string }
  /** `temporary`: try again later; otherwise the message will never be taken. */
  | { readonly ok: false; readonly temporary: boolean; readonly text: string }

export function encodeMail(envelope: MailEnvelope, message: Uint8Array): Uint8Array {
  const json = toUtf8(JSON.stringify(envelope))
  const out = new ByteWriter(message.length + json.length + 16)
  const at = beginFrame(out, FrameType.mail)
  out.u32(json.length)
  out.raw(json)
  out.raw(message)
  endFrame(out, at)
  return out.written()
}

/** The envelope's shape is checked: mail.sock is open to every user. The message is a view. */
export function decodeMail(payload: Uint8Array): { envelope: MailEnvelope; message: Uint8Array } {
  const reader = new ByteReader(payload)
  try {
    const envelope: unknown = JSON.parse(fromUtf8(reader.raw(reader.u32())))
    if (!isEnvelope(envelope)) throw new FrameError('MAIL frame without from and recipients')
    return { envelope, message: reader.raw(reader.remaining) }
  } catch (error) {
    if (error instanceof FrameError) throw error
    throw new FrameError('MAIL frame is malformed')
  }
}

export function encodeAnswer(answer: MailAnswer): Uint8Array {
  const out = new ByteWriter(128)
  appendFrame(out, FrameType.answer, toUtf8(JSON.stringify(answer)))
  return out.written()
}

export function decodeAnswer(payload: Uint8Array): MailAnswer {
  try {
    return JSON.parse(fromUtf8(payload)) as MailAnswer
  } catch {
    throw new FrameError('ANSWER frame without JSON')
  }
}

function isEnvelope(value: unknown): value is MailEnvelope {
  if (typeof value !== 'object' || value === null) return false
  if (!('from' in value) || !('recipients' in value)) return false
  const { from, recipients } = value
  return (
    typeof from === 'string' &&
    Array.isArray(recipients) &&
    recipients.every((recipient) => typeof recipient === 'string')
  )
}
