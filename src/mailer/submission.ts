/**
 * A whole message from a program on this machine, with its envelope: what mail.sock and queue/drop bring.
 * Who sent it is the kernel's word, not the program's.
 */

import type { MailAnswer, MailEnvelope } from '../ipc/mail-protocol.ts'
import { ByteWriter } from '../lib/bytes.ts'
import type { Intake, Refusal } from './intake.ts'
import { LineNormaliser } from './line-normaliser.ts'

export interface Submitter {
  /** How it came: `mail.sock`, `drop`. */
  readonly input: string
  /** Its file in queue/drop. */
  readonly drop?: string
  readonly uid: number | undefined
}

export async function submit(
  intake: Intake,
  submitter: Submitter,
  mail: { envelope: MailEnvelope; message: Uint8Array },
): Promise<MailAnswer> {
  const { envelope, message } = mail
  const lines = normalise(message)
  const from = intake.sender(envelope.from)
  if (!from.ok) return refused(from.error)
  const recipients: string[] = []
  for (const text of envelope.recipients) {
    const recipient = intake.recipient(text)
    if (!recipient.ok) return refused(recipient.error)
    recipients.push(recipient.value)
  }
  const max = intake.options.settings().mailer.recipients_max
  if (recipients.length === 0 || recipients.length > max) {
    return { ok: false, temporary: false, text: `5.5.3 there must be 1 to ${max} recipients` }
  }
  const who = submitter.uid === undefined ? 'unknown uid' : `uid ${submitter.uid}`
  const announcement = {
    from: from.value,
    recipients,
    origin: `${submitter.input} ${who}`,
    receivedFrom: '',
    protocol: `local (${who})`,
    ...(submitter.drop === undefined ? {} : { drop: submitter.drop }),
  }
  const taken = await intake.take(announcement, lines)
  return taken.ok ? { ok: true, queueId: taken.value } : refused(taken.error)
}

/** A copy: the message may be a view into a buffer that is used again. */
function normalise(message: Uint8Array): Uint8Array {
  const lines = new ByteWriter(message.length + 1024)
  const normaliser = new LineNormaliser({ dots: false })
  normaliser.feed(message, lines)
  normaliser.finish(lines)
  return lines.written()
}

function refused({ code, enhanced, text }: Refusal): MailAnswer {
  return { ok: false, temporary: code < 500, text: `${enhanced} ${text}` }
}
