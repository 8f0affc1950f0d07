/**
 * The one way into the queue, whichever input a message came by. An input announces the envelope,
 * writes the message with its line ends already normalised, and commits; what is refused is refused with
 * an SMTP reply.
 *
 * Here addresses are completed and rewritten, Received:, Date: and Message-ID: added, loops found, sizes
 * and the room in the queue and on the disk guarded, and duplicates suppressed where that is wanted.
 */

import { ByteWriter } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { type Disk, isDiskFull } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Stats } from '../lib/stats.ts'
import { parseSeconds } from '../metric/retention.ts'
import { parseAddress } from './address.ts'
import type { Duplicates } from './duplicates.ts'
import { Headers, mailDate } from './headers.ts'
import type { MailQueue, QueueEntry } from './mail-queue.ts'
import type { Envelope } from './queue-format.ts'
import type { QueueWriter } from './queue-writer.ts'
import type { MailerSettings } from './settings.ts'
import { SpaceGuard } from './space-guard.ts'

/** An SMTP reply that says no. Below 500 the client is to try again. */
export interface Refusal {
  readonly code: number
  readonly enhanced: string
  readonly text: string
}

/** What an input knows about a message before its first byte. */
export interface Announcement {
  readonly from: string
  readonly recipients: readonly string[]
  /** For people and the log. */
  readonly origin: string
  /** How the Received: field begins: `from helo ([127.0.0.1])`, or nothing. */
  readonly receivedFrom: string
  /** `ESMTP`, `local` … */
  readonly protocol: string
  /** The file in queue/drop that it is read from. */
  readonly drop?: string
}

/** What a frame may hold beside the message: the envelope of 1,000 recipients, and more. */
export const ENVELOPE_BYTES_MAX = 1024 * 1024

const HOPS_MAX = 50
const HEADER_BYTES_MAX = 256 * 1024
const END_OF_HEADER = Buffer.from('\r\n\r\n')

/** Gives one message its own lifetime, such as `1d` for an alert that nobody needs next week. */
const LIFETIME_FIELD = 'X-Emon-Lifetime'

export interface IntakeOptions {
  readonly queue: MailQueue
  readonly disk: Disk
  readonly dir: string
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly duplicates: Duplicates
  readonly settings: () => MailerSettings
  readonly onAccepted: (entry: QueueEntry) => void
}

export class Intake {
  readonly options: IntakeOptions
  private readonly space: SpaceGuard

  constructor(options: IntakeOptions) {
    this.options = options
    this.space = new SpaceGuard(options)
  }

  /** Why nothing at all is taken now. */
  closed(): Refusal | undefined {
    const { mailer } = this.options.settings()
    const { queue } = this.options
    if (this.space.full()) return refusal(452, '4.3.1', 'the disk is nearly full, try again later')
    if (queue.entries.size >= mailer.queue_max || queue.bytes >= mailer.queue_bytes_max) {
      return refusal(452, '4.3.1', 'the queue is full, try again later')
    }
    return undefined
  }

  sender(text: string): Result<string, Refusal> {
    return text === '' ? ok('') : this.address(text, '5.1.7')
  }

  recipient(text: string): Result<string, Refusal> {
    return this.address(text, '5.1.3')
  }

  tooBig(bytes: number): Refusal | undefined {
    const max = this.options.settings().mailer.message_size_max
    return bytes > max ? refusal(552, '5.3.4', `message over ${max} bytes`) : undefined
  }

  /** Opens a message; the addresses are taken as `sender` and `recipient` gave them. */
  begin(announcement: Announcement): IncomingMessage {
    return new IncomingMessage(this, announcement)
  }

  /** A whole message that is at hand. */
  async take(announcement: Announcement, message: Uint8Array): Promise<Result<string, Refusal>> {
    const closed = this.closed()
    if (closed) return err(closed)
    const incoming = this.begin(announcement)
    const refused = incoming.write(message)
    if (refused) {
      incoming.abort()
      return err(refused)
    }
    return await incoming.commit()
  }

  private address(text: string, enhanced: string): Result<string, Refusal> {
    const address = parseAddress(text, this.options.settings().hostname)
    return address.ok ? address : err(refusal(553, enhanced, address.error))
  }
}

export class IncomingMessage {
  private readonly intake: Intake
  private readonly announcement: Announcement
  private readonly arrivalMs: number
  private readonly writer: QueueWriter
  /** The header until it is whole; then undefined. */
  private header: ByteWriter | undefined
  private envelope: Envelope | undefined
  private duplicateKey: string
  private received: number

  constructor(intake: Intake, announcement: Announcement) {
    this.intake = intake
    this.announcement = announcement
    this.arrivalMs = intake.options.clock.nowMs()
    this.writer = intake.options.queue.create()
    this.header = new ByteWriter(4096)
    this.envelope = undefined
    this.duplicateKey = ''
    this.received = 0
  }

  /** Takes the next bytes; a refusal is final, and `abort` must follow. */
  write(bytes: Uint8Array): Refusal | undefined {
    this.received += bytes.length
    const tooBig = this.intake.tooBig(this.received)
    if (tooBig) return tooBig
    return this.guarded(() => {
      if (!this.header) this.writer.write(bytes)
      else {
        const from = Math.max(0, this.header.length - END_OF_HEADER.length + 1)
        this.header.raw(bytes)
        const whole = Buffer.from(this.header.bytes.buffer, 0, this.header.length)
        if (whole.indexOf(END_OF_HEADER, from) >= 0 || this.header.length > HEADER_BYTES_MAX) {
          return this.endHeader()
        }
      }
      return undefined
    })
  }

  /** Resolves with the queue id once the message is safe. */
  async commit(): Promise<Result<string, Refusal>> {
    const { queue, stats, log, duplicates, onAccepted, clock } = this.intake.options
    const refused = this.header ? this.guarded(() => this.endHeader()) : undefined
    if (refused) {
      this.abort()
      return err(refused)
    }
    if (duplicates.has(this.duplicateKey)) {
      this.abort()
      stats.counter('duplicates').value++
      log.info('suppressed a duplicate', this.describe())
      return ok('duplicate')
    }
    const startMs = clock.monotonicMs()
    try {
      await this.writer.commit()
    } catch (error) {
      return err(this.failure(error))
    }
    duplicates.add(this.duplicateKey)
    const entry = queue.add(this.writer, this.envelope!)
    stats.counter('accepted').value++
    stats.counter('acceptedBytes').value += entry.bytes
    stats.counter('commitMicroseconds').value += Math.round((clock.monotonicMs() - startMs) * 1000)
    log.debug('accepted', { id: entry.id, bytes: entry.bytes, ...this.describe() })
    onAccepted(entry)
    return ok(entry.id)
  }

  abort(): void {
    this.writer.abort()
  }

  private describe(): { from: string; recipients: number; origin: string } {
    const { from, recipients, origin } = this.announcement
    return { from: `<${from}>`, recipients: recipients.length, origin }
  }

  /** The header is whole: completes it, and starts the file. */
  private endHeader(): Refusal | undefined {
    const { headers, rest } = Headers.parse(this.header!.written())
    if (headers.count('Received') >= HOPS_MAX) {
      return refusal(554, '5.4.6', `too many hops: ${HOPS_MAX}, this mail goes in circles`)
    }
    if (rest.length <= 2 && this.header!.length > HEADER_BYTES_MAX) {
      return refusal(552, '5.3.4', `header over ${HEADER_BYTES_MAX} bytes`)
    }
    this.envelope = this.makeEnvelope(headers)
    const subject = headers.get('Subject')
    this.duplicateKey = [this.envelope.from, ...this.envelope.recipients, subject].join('\n')
    this.completeHeaders(headers)
    this.header = undefined
    this.writer.envelope(this.envelope)
    this.writer.write(headers.toBytes())
    this.writer.write(rest)
    return undefined
  }

  private makeEnvelope(headers: Headers): Envelope {
    const { mailer, rewriter } = this.intake.options.settings()
    const { from, recipients, origin, drop } = this.announcement
    const own = parseSeconds(headers.get(LIFETIME_FIELD))
    const seconds = own.ok ? Math.min(own.value, mailer.lifetime) : mailer.lifetime
    return {
      from: rewriter.sender(from).address,
      recipients: [...new Set(recipients.flatMap((address) => rewriter.recipients(address)))],
      arrivalMs: this.arrivalMs,
      expiresMs: this.arrivalMs + seconds * 1000,
      origin,
      ...(drop === undefined ? {} : { drop }),
    }
  }

  private completeHeaders(headers: Headers): void {
    const { hostname, rewriter } = this.intake.options.settings()
    const { receivedFrom, protocol, from } = this.announcement
    const date = mailDate(this.arrivalMs)
    const by = `by ${hostname} (emon-metrics) with ${protocol} id ${this.writer.id};`
    const sender = rewriter.sender(from)
    headers.remove(LIFETIME_FIELD)
    headers.remove('Bcc')
    if (!headers.has('Date')) headers.prepend('Date', date)
    if (!headers.has('Message-ID')) headers.prepend('Message-ID', `<${this.writer.id}@${hostname}>`)
    if (!headers.has('From')) headers.prepend('From', sender.address || rewriter.daemonAddress)
    else if (sender.rewritten) {
      if (!headers.has('Reply-To')) headers.append('Reply-To', headers.get('From'))
      headers.set('From', sender.address)
    }
    headers.prepend('Received', `${receivedFrom}${receivedFrom && '\r\n '}${by}\r\n ${date}`)
  }

  private guarded(run: () => Refusal | undefined): Refusal | undefined {
    try {
      return run()
    } catch (error) {
      return this.failure(error)
    }
  }

  private failure(error: unknown): Refusal {
    const { stats, log } = this.intake.options
    stats.counter('commitFailures').value++
    log.error('cannot write to the queue', { id: this.writer.id, reason: reason(error) })
    return isDiskFull(error)
      ? refusal(452, '4.3.1', 'the disk is full, try again later')
      : refusal(451, '4.3.0', 'the queue cannot be written, try again later')
  }
}

export function refusal(code: number, enhanced: string, text: string): Refusal {
  return { code, enhanced, text }
}
