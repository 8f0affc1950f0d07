/**
 * The report that a message was not delivered: multipart/report with delivery status (RFC 3464) and the
 * header of the message. It goes to the sender, with the null sender as its own; what has the null sender
 * itself (a bounce that bounced) goes to the postmaster; a report for the postmaster that fails is dropped.
 */

import { toUtf8 } from '../lib/bytes.ts'
import { Headers, mailDate, oneLine, toLatin1 } from './headers.ts'
import type { QueueEntry } from './mail-queue.ts'
import type { QueueFile } from './queue-file.ts'
import type { Envelope } from './queue-format.ts'
import type { MailerSettings } from './settings.ts'
import type { Outcome } from './transport.ts'

export interface BounceReport {
  readonly entry: QueueEntry
  readonly file: QueueFile
  readonly failed: ReadonlyMap<string, Outcome>
  readonly nowMs: number
}

const HEADER_BYTES_MAX = 64 * 1024

/** Undefined when there is nobody left to tell. */
export function composeBounce(
  report: BounceReport,
  settings: MailerSettings,
  id: string,
): { envelope: Envelope; message: Uint8Array } | undefined {
  const to = recipientOf(report, settings)
  if (to === undefined) return undefined
  const envelope: Envelope = {
    from: '',
    recipients: [...settings.rewriter.recipients(to)],
    arrivalMs: report.nowMs,
    expiresMs: report.nowMs + settings.mailer.lifetime * 1000,
    origin: `bounce of ${report.entry.id}`,
    bounceOf: report.entry.id,
    reported: [...report.failed.keys()],
  }
  return { envelope, message: compose(report, settings, { id, to }) }
}

function recipientOf(report: BounceReport, settings: MailerSettings): string | undefined {
  const { from, recipients } = report.file.envelope
  if (from !== '') return from
  // The null sender: this is a bounce. The postmaster hears of it, but not of failing to hear.
  const postmaster = settings.rewriter.postmaster
  const heard = settings.rewriter.recipients(postmaster)
  const toPostmaster = recipients.every((address) => heard.includes(address))
  return toPostmaster ? undefined : postmaster
}

function compose(
  report: BounceReport,
  settings: MailerSettings,
  own: { id: string; to: string },
): Uint8Array {
  const { hostname, rewriter } = settings
  const boundary = `=_${own.id}_report`
  const lines = [
    `Received: by ${hostname} (emon-metrics) id ${own.id};\r\n ${mailDate(report.nowMs)}`,
    `Date: ${mailDate(report.nowMs)}`,
    `From: Mail delivery <${rewriter.daemonAddress}>`,
    `To: <${own.to}>`,
    'Subject: Undelivered mail returned to sender',
    `Message-ID: <${own.id}@${hostname}>`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: 8bit',
    '',
    ...explanation(report, hostname),
    '',
    `--${boundary}`,
    'Content-Type: message/delivery-status',
    '',
    ...deliveryStatus(report, hostname),
    `--${boundary}`,
    'Content-Type: text/rfc822-headers',
    '',
  ]
  const end = ['', `--${boundary}--`, '']
  return Buffer.concat([
    toUtf8(lines.map((line) => `${line}\r\n`).join('')),
    headerOf(report.file),
    toUtf8(end.join('\r\n')),
  ])
}

function explanation(report: BounceReport, hostname: string): string[] {
  const lines = [
    `This is the mailer of ${hostname}. A message, queued as ${report.entry.id},`,
    `could not be delivered to:`,
    '',
  ]
  for (const [address, { reply }] of report.failed) lines.push(`<${address}>: ${oneLine(reply)}`)
  return lines
}

function deliveryStatus(report: BounceReport, hostname: string): string[] {
  const lines = [
    `Reporting-MTA: dns; ${hostname}`,
    `X-Emon-Queue-ID: ${report.entry.id}`,
    `Arrival-Date: ${mailDate(report.entry.arrivalMs)}`,
    '',
  ]
  for (const [address, { code, reply }] of report.failed) {
    lines.push(
      `Final-Recipient: rfc822; ${address}`,
      'Action: failed',
      `Status: ${code}`,
      `Diagnostic-Code: smtp; ${oneLine(reply).slice(0, 900)}`,
      '',
    )
  }
  return lines
}

function headerOf(file: QueueFile): Uint8Array {
  for (const first of file.chunks()) {
    const { headers } = Headers.parse(first)
    return toLatin1(headers.toString().slice(0, HEADER_BYTES_MAX))
  }
  return new Uint8Array(0)
}
