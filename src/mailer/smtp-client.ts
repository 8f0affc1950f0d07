/**
 * Carries mail to the next server with nodemailer's SMTP connection: which host, TLS, login, pooling,
 * DKIM, and the answers sorted by recipient. Retrying is the queue's business, not this file's.
 *
 * TLS by policy: none = plain; may = if offered, any certificate, plain if it fails; encrypt = or nothing,
 * any certificate; verify = and the certificate must be good. Ports 465 and 2465 are TLS from the start.
 * A connection carries up to 100 messages and is kept for 2 s without work; one that died meanwhile is
 * replaced before anything was said on it. Every wait has a limit.
 */

import { Readable } from 'node:stream'
import DKIM from 'nodemailer/lib/dkim'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { MailAnswer } from '../ipc/mail-protocol.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Stats } from '../lib/stats.ts'
import { type Names, nextHops } from './next-hop.ts'
import { accepted, outcomeOf, type SendError, serverOf } from './reply.ts'
import type { Host, MailerSettings } from './settings.ts'
import type { Outcome, Transaction, TransactionResult, Transport } from './transport.ts'

const CONNECT_MS_MAX = 30_000
const GREETING_MS_MAX = 60_000
const SILENCE_MS_MAX = 300_000
const IDLE_MS_MAX = 2_000
const MESSAGES_PER_CONNECTION_MAX = 100
const TLS_PORTS = new Set([465, 2465])

export interface SmtpClientOptions {
  readonly clock: Clock
  readonly stats: Stats
  readonly settings: () => MailerSettings
  readonly names: Names
}

/** A connection that has said EHLO and logged in. */
interface Ready {
  readonly connection: SMTPConnection
  readonly settings: MailerSettings
  readonly destination: string
  readonly relay: string
  messages: number
  idle: Timer | undefined
}

export class SmtpClient implements Transport {
  private readonly options: SmtpClientOptions
  private readonly idle: Map<string, Ready[]>

  constructor(options: SmtpClientOptions) {
    this.options = options
    this.idle = new Map()
  }

  async send(transaction: Transaction): Promise<TransactionResult> {
    const settings = this.options.settings()
    // A message that cannot be read is found out before anybody is connected to.
    whole(transaction)
    for (;;) {
      const reused = this.takeIdle(transaction.destination, settings)
      if (!reused) break
      const result = await this.transact(reused, transaction)
      if (result !== 'gone') return result
    }
    const hops = await nextHops(transaction.destination, settings, this.options)
    if (!hops.ok) {
      const server = hops.error.status === 'deferred' ? 'failed' : 'good'
      return { relay: 'none', outcomes: forAll(transaction, hops.error), server }
    }
    let failure: SendError = { message: 'no host to send to' }
    let relay = 'none'
    for (const host of hops.value) {
      relay = `${host.host}:${host.port}`
      try {
        const ready = await this.connect(transaction.destination, host, settings)
        const result = await this.transact(ready, transaction)
        if (result !== 'gone') return result
      } catch (error) {
        failure = error as SendError
      }
    }
    // Whatever a server says before the envelope is about us, not about the message: try again later.
    const { reply, status, code } = outcomeOf(failure)
    const answered = failure.responseCode !== undefined && status === 'deferred'
    const outcome: Outcome = { status: 'deferred', reply, code: answered ? code : '4.4.1' }
    const server = failure.responseCode === 454 ? 'throttled' : 'failed'
    return { relay, outcomes: forAll(transaction, outcome), server }
  }

  close(): void {
    for (const list of this.idle.values()) for (const ready of list) this.drop(ready)
    this.idle.clear()
  }

  /** Rejects with nodemailer's error. */
  private async connect(destination: string, host: Host, settings: MailerSettings): Promise<Ready> {
    this.options.stats.counter('delivery.connections').value++
    const connection = new SMTPConnection({
      host: host.host,
      port: host.port,
      name: settings.hostname,
      secure: TLS_PORTS.has(host.port),
      ignoreTLS: settings.tls === 'none',
      requireTLS: settings.tls === 'encrypt' || settings.tls === 'verify',
      opportunisticTLS: settings.tls === 'may',
      tls: {
        rejectUnauthorized: settings.tls === 'verify',
        ...(settings.tlsCa === undefined ? {} : { ca: settings.tlsCa }),
      },
      connectionTimeout: CONNECT_MS_MAX,
      greetingTimeout: GREETING_MS_MAX,
      socketTimeout: SILENCE_MS_MAX,
      allowInternalNetworkInterfaces: true,
    })
    try {
      await new Promise<void>((resolve, reject) => {
        // Later errors come to whoever waits for an answer; with nobody waiting they close the connection.
        connection.on('error', reject)
        connection.connect((error) => (error ? reject(error) : resolve()))
      })
      const { user, password } = settings.mailer
      if (user !== undefined && password !== undefined) {
        await new Promise<void>((resolve, reject) => {
          connection.once('error', reject)
          connection.login({ user, pass: password }, (error) => (error ? reject(error) : resolve()))
        })
      }
    } catch (error) {
      connection.close()
      throw error
    }
    const { _socket: socket } = connection
    const relay = `${host.host}[${(socket && socket.remoteAddress) ?? ''}]:${host.port}`
    return { connection, settings, destination, relay, messages: 0, idle: undefined }
  }

  /** 'gone': the connection had ended before anything was said on it. */
  private transact(ready: Ready, transaction: Transaction): Promise<TransactionResult | 'gone'> {
    const { connection, relay, settings } = ready
    const reused = ready.messages > 0
    ready.messages++
    const envelope = {
      from: transaction.from === '' ? (false as const) : transaction.from,
      to: [...transaction.recipients],
      size: transaction.bytes,
      use8BitMime: transaction.eightBit,
    }
    return new Promise((resolve) => {
      connection.send(envelope, content(transaction, settings), (error, info) => {
        if (!error) {
          this.keep(ready)
          const outcomes = new Map<string, Outcome>()
          for (const recipient of info.accepted) outcomes.set(recipient, accepted(info.response))
          addRejected(outcomes, info.rejectedErrors)
          return resolve({ relay, outcomes, server: 'good' })
        }
        const failure: SendError = error
        if (reused && isGone(failure)) {
          connection.close()
          return resolve('gone')
        }
        const outcomes = forAll(transaction, outcomeOf(failure))
        addRejected(outcomes, error.rejectedErrors)
        const result = { relay, outcomes, server: serverOf(failure) }
        if (failure.responseCode === undefined || failure.responseCode === 421) {
          connection.close()
          return resolve(result)
        }
        connection.reset((problem) => {
          if (problem) connection.close()
          else this.keep(ready)
          resolve(result)
        })
      })
    })
  }

  private keep(ready: Ready): void {
    if (ready.messages >= MESSAGES_PER_CONNECTION_MAX) return ready.connection.quit()
    const list = this.idle.get(ready.destination) ?? []
    list.push(ready)
    this.idle.set(ready.destination, list)
    ready.idle = this.options.clock.after(IDLE_MS_MAX, () => {
      const left = (this.idle.get(ready.destination) ?? []).filter((other) => other !== ready)
      if (left.length > 0) this.idle.set(ready.destination, left)
      else this.idle.delete(ready.destination)
      this.drop(ready)
    })
  }

  /** The connection that was used last: those that are not needed get old and go. */
  private takeIdle(destination: string, settings: MailerSettings): Ready | undefined {
    const list = this.idle.get(destination)
    for (let ready = list?.pop(); ready; ready = list?.pop()) {
      ready.idle?.cancel()
      if (!ready.connection.destroyed && ready.settings === settings) return ready
      this.drop(ready)
    }
    return undefined
  }

  private drop(ready: Ready): void {
    ready.idle?.cancel()
    ready.connection.quit()
  }
}

/** Nothing had been said yet, so saying it again on a new connection repeats nothing. */
function isGone(error: SendError): boolean {
  return error.responseCode === undefined && error.command !== 'DATA'
}

function forAll(transaction: Transaction, outcome: Outcome): Map<string, Outcome> {
  return new Map(transaction.recipients.map((recipient) => [recipient, outcome]))
}

function addRejected(
  outcomes: Map<string, Outcome>,
  errors: readonly (SendError & { recipient?: string | undefined })[] | undefined,
): void {
  for (const error of errors ?? []) {
    if (error.recipient !== undefined) outcomes.set(error.recipient, outcomeOf(error))
  }
}

function content(transaction: Transaction, settings: MailerSettings): Buffer | Readable {
  const message = whole(transaction) ?? Readable.from(transaction.content())
  if (!settings.dkim) return message
  const { domain, selector, key } = settings.dkim
  return new DKIM({ domainName: domain, keySelector: selector, privateKey: key }).sign(message)
}

/** A message of one piece, as it is most of the time. */
function whole(transaction: Transaction): Buffer | undefined {
  for (const first of transaction.content()) {
    if (first.length < transaction.bytes) return undefined
    return Buffer.from(first.buffer, first.byteOffset, first.length)
  }
  return undefined
}

/** One message over a connection of its own, for `sendmail`; undefined when nobody answers there. */
export function carryOnce(
  host: Host,
  envelope: { readonly from: string; readonly recipients: readonly string[] },
  message: Uint8Array,
): Promise<MailAnswer | undefined> {
  return new Promise((resolve) => {
    const connection = new SMTPConnection({ ...host, ignoreTLS: true, name: 'localhost' })
    connection.on('error', () => resolve(undefined))
    connection.connect((error) => {
      if (error) return resolve(undefined)
      const mail = { from: envelope.from || (false as const), to: [...envelope.recipients] }
      connection.send(mail, Buffer.from(message), (failure, info) => {
        connection.quit()
        if (!failure) return resolve({ ok: true, queueId: info.response.replace(/.* as /, '') })
        const { status, code, reply } = outcomeOf(failure)
        resolve({ ok: false, temporary: status !== 'bounced', text: `${code} ${reply}` })
      })
    })
  })
}
