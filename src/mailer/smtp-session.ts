/**
 * One SMTP conversation, server side (RFC 5321; SIZE 1870, PIPELINING 2920, STARTTLS 3207, AUTH 4954,
 * 8BITMIME 6152, SMTPUTF8 6531, enhanced codes 2034), without a socket: bytes in, replies out.
 *
 * Who may relay: loopback, and who has logged in, which takes TLS. Nobody else gets past RCPT.
 * Limits: a command line 4 KiB, 1,000 recipients, 20 errors, after which the conversation is closed with
 * 421. While a message is committed, commands wait and
 * the socket is held.
 * A client that goes away mid-DATA leaves nothing behind.
 */

import { ByteWriter } from '../lib/bytes.ts'
import { oneLine } from './headers.ts'
import { type IncomingMessage, type Intake, type Refusal, refusal } from './intake.ts'
import { LineNormaliser } from './line-normaliser.ts'

const LINE_BYTES_MAX = 4096
const ERRORS_MAX = 20
const LF = 0x0a

export interface SessionOptions {
  readonly intake: Intake
  readonly hostname: string
  readonly clientAddress: string
  readonly isLoopback: boolean
  readonly sizeMax: number
  readonly recipientsMax: number
  /** STARTTLS can be offered. */
  readonly tlsAvailable: boolean
  /** Undefined: nobody can log in. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined
  readonly send: (text: string) => void
  /** Everything sent so far must go out before the handshake. */
  readonly startTls: () => void
  /** Stops or goes on reading from the client. */
  readonly hold: (on: boolean) => void
  /** Hangs up after what was sent. */
  readonly close: () => void
}

type Mode = 'command' | 'data' | 'busy' | 'login' | 'closed'

export class SmtpSession {
  private readonly options: SessionOptions
  private mode: Mode
  private line: ByteWriter
  private lineTooLong: boolean
  /** What arrived while busy. */
  private waiting: Uint8Array[]
  private helo: string
  private esmtp: boolean
  private secure: boolean
  private loggedIn: boolean
  private errors: number
  private from: string | undefined
  private recipients: string[]
  private incoming: IncomingMessage | undefined
  private normaliser: LineNormaliser
  private content: ByteWriter
  private refused: Refusal | undefined
  private loginSteps: string[]
  private loginMethod: 'PLAIN' | 'LOGIN'

  constructor(options: SessionOptions) {
    this.options = options
    this.mode = 'command'
    this.line = new ByteWriter(512)
    this.lineTooLong = false
    this.waiting = []
    this.helo = ''
    this.esmtp = false
    this.secure = false
    this.loggedIn = false
    this.errors = 0
    this.from = undefined
    this.recipients = []
    this.incoming = undefined
    this.normaliser = new LineNormaliser({ dots: true })
    this.content = new ByteWriter(4096)
    this.refused = undefined
    this.loginSteps = []
    this.loginMethod = 'PLAIN'
    this.reply(220, '', `${options.hostname} ESMTP emon-metrics`)
  }

  feed(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      if (this.mode === 'closed') return
      if (this.mode === 'busy') {
        this.waiting.push(rest.slice())
        return this.options.hold(true)
      }
      rest = this.mode === 'data' ? this.feedData(rest) : this.feedLine(rest)
    }
  }

  /** The handshake is done: the conversation starts anew (RFC 3207 §4.2). */
  secured(): void {
    this.secure = true
    this.helo = ''
    this.loggedIn = false
    this.mode = 'command'
    this.resetMail()
  }

  /** The client has gone, or is to go: what was begun is dropped. */
  abandon(): void {
    this.mode = 'closed'
    this.resetMail()
  }

  private feedLine(bytes: Uint8Array): Uint8Array {
    const end = bytes.indexOf(LF)
    const part = end < 0 ? bytes : bytes.subarray(0, end)
    if (this.line.length + part.length > LINE_BYTES_MAX) this.lineTooLong = true
    else this.line.raw(part)
    if (end < 0) return bytes.subarray(bytes.length)
    const text = Buffer.from(this.line.written()).toString('utf8').replace(/\r$/, '')
    const tooLong = this.lineTooLong
    this.line.reset()
    this.lineTooLong = false
    if (tooLong) this.fail(500, '5.5.2', 'line too long')
    else if (this.mode === 'login') this.continueLogin(text)
    else this.command(text)
    return bytes.subarray(end + 1)
  }

  private command(line: string): void {
    const blank = line.indexOf(' ')
    const verb = (blank < 0 ? line : line.slice(0, blank)).toUpperCase()
    const rest = blank < 0 ? '' : line.slice(blank + 1).trim()
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        return this.hello(verb === 'EHLO', rest)
      case 'MAIL':
        return this.mail(rest)
      case 'RCPT':
        return this.rcpt(rest)
      case 'DATA':
        return this.data()
      case 'RSET':
        this.resetMail()
        return this.reply(250, '2.0.0', 'ok')
      case 'NOOP':
        return this.reply(250, '2.0.0', 'ok')
      case 'QUIT':
        this.reply(221, '2.0.0', 'bye')
        return this.hangUp()
      case 'VRFY':
        return this.reply(252, '2.5.0', 'send some mail, I will try my best')
      case 'STARTTLS':
        return this.startTls()
      case 'AUTH':
        return this.auth(rest)
      default:
        return this.fail(500, '5.5.2', 'command not known')
    }
  }

  private hello(esmtp: boolean, name: string): void {
    if (name === '') return this.fail(501, '5.5.4', 'say who you are')
    this.helo = oneLine(name).slice(0, 255)
    this.esmtp = esmtp
    this.resetMail()
    const { hostname, sizeMax, tlsAvailable } = this.options
    if (!esmtp) return this.reply(250, '', hostname)
    const offers = [hostname, 'PIPELINING', `SIZE ${sizeMax}`, '8BITMIME', 'SMTPUTF8']
    offers.push('ENHANCEDSTATUSCODES')
    if (tlsAvailable && !this.secure) offers.push('STARTTLS')
    if (this.mayLogIn()) offers.push('AUTH PLAIN LOGIN')
    const last = offers.length - 1
    this.options.send(offers.map((offer, i) => `250${i < last ? '-' : ' '}${offer}\r\n`).join(''))
  }

  private mail(rest: string): void {
    if (this.helo === '') return this.fail(503, '5.5.1', 'EHLO first')
    if (this.from !== undefined) return this.fail(503, '5.5.1', 'one MAIL at a time')
    const parts = /^FROM:\s*<([^>]*)>\s*(.*)$/i.exec(rest)
    if (!parts) return this.fail(501, '5.5.4', 'MAIL FROM:<address>')
    const refused = this.mailParameters(parts[2]!) ?? this.options.intake.closed()
    if (refused) return this.refuse(refused)
    const sender = this.options.intake.sender(parts[1]!)
    if (!sender.ok) return this.refuse(sender.error)
    this.from = sender.value
    this.reply(250, '2.1.0', 'ok')
  }

  private mailParameters(text: string): Refusal | undefined {
    for (const parameter of text.split(/\s+/).filter((part) => part !== '')) {
      const [name, value = ''] = parameter.toUpperCase().split('=')
      if (name === 'SIZE') {
        if (!/^\d{1,15}$/.test(value)) return refusal(501, '5.5.4', 'bad SIZE')
        const tooBig = this.options.intake.tooBig(Number(value))
        if (tooBig) return tooBig
      } else if (name === 'BODY') {
        if (value !== '7BIT' && value !== '8BITMIME') return refusal(501, '5.5.4', 'bad BODY')
      } else if (name !== 'SMTPUTF8' && name !== 'AUTH') {
        return refusal(555, '5.5.4', `parameter ${oneLine(name ?? '')} not known`)
      }
    }
    return undefined
  }

  private rcpt(rest: string): void {
    if (this.from === undefined) return this.fail(503, '5.5.1', 'MAIL first')
    if (!this.options.isLoopback && !this.loggedIn) {
      return this.fail(550, '5.7.1', 'relaying denied: log in first')
    }
    const parts = /^TO:\s*<(?:@[^:>]*:)?([^>]+)>\s*(.*)$/i.exec(rest)
    if (!parts) return this.fail(501, '5.5.4', 'RCPT TO:<address>')
    if (parts[2] !== '') return this.fail(555, '5.5.4', 'parameter not known')
    if (this.recipients.length >= this.options.recipientsMax) {
      return this.refuse(
        refusal(452, '4.5.3', `at most ${this.options.recipientsMax} recipients at a time`),
      )
    }
    const recipient = this.options.intake.recipient(parts[1]!)
    if (!recipient.ok) return this.refuse(recipient.error)
    this.recipients.push(recipient.value)
    this.reply(250, '2.1.5', 'ok')
  }

  private data(): void {
    if (this.from === undefined) return this.fail(503, '5.5.1', 'MAIL first')
    if (this.recipients.length === 0) return this.fail(554, '5.5.1', 'no valid recipients')
    const closed = this.options.intake.closed()
    if (closed) return this.refuse(closed)
    const { clientAddress } = this.options
    this.incoming = this.options.intake.begin({
      from: this.from,
      recipients: this.recipients,
      origin: `smtp ${clientAddress} (${this.helo})`,
      receivedFrom: `from ${this.helo} ([${clientAddress}])`,
      protocol: `${this.esmtp ? 'ESMTP' : 'SMTP'}${this.secure ? 'S' : ''}${this.loggedIn ? 'A' : ''}`,
    })
    this.normaliser = new LineNormaliser({ dots: true })
    this.refused = undefined
    this.mode = 'data'
    this.options.send('354 end with a line that is only a dot\r\n')
  }

  /** A message that is refused half-way is read to its end all the same: only then may we answer. */
  private feedData(bytes: Uint8Array): Uint8Array {
    this.content.reset()
    const { taken, ended } = this.normaliser.feed(bytes, this.content)
    if (!this.refused && this.content.length > 0) {
      this.refused = this.incoming!.write(this.content.written())
      if (this.refused) this.incoming!.abort()
    }
    if (ended) this.endData()
    return bytes.subarray(taken)
  }

  private endData(): void {
    const incoming = this.incoming!
    const refused = this.refused
    this.incoming = undefined
    this.resetMail()
    if (refused) {
      this.mode = 'command'
      return this.refuse(refused)
    }
    this.mode = 'busy'
    void incoming.commit().then((result) => {
      if (this.mode === 'closed') return
      this.mode = 'command'
      if (result.ok) this.reply(250, '2.0.0', `queued as ${result.value}`)
      else this.refuse(result.error)
      this.resume()
    })
  }

  private resume(): void {
    const waiting = this.waiting
    this.waiting = []
    if (waiting.length > 0) this.options.hold(false)
    for (const bytes of waiting) this.feed(bytes)
  }

  private startTls(): void {
    if (!this.options.tlsAvailable || this.secure) {
      return this.fail(502, '5.5.1', 'STARTTLS not available')
    }
    this.reply(220, '2.0.0', 'go ahead')
    // What was sent in clear behind STARTTLS must not be taken as said inside (CVE-2011-0411).
    this.mode = 'closed'
    this.options.startTls()
  }

  private mayLogIn(): boolean {
    return this.options.credentials !== undefined && this.secure && !this.loggedIn
  }

  private auth(rest: string): void {
    if (!this.secure && this.options.credentials) {
      return this.fail(538, '5.7.11', 'log in over TLS only: STARTTLS first')
    }
    if (!this.mayLogIn()) return this.fail(503, '5.5.1', 'AUTH not available')
    const [method, initial] = rest.split(/\s+/)
    const name = method?.toUpperCase()
    if (name !== 'PLAIN' && name !== 'LOGIN') return this.fail(504, '5.5.4', 'PLAIN or LOGIN')
    this.loginMethod = name
    this.loginSteps = []
    this.mode = 'login'
    if (initial !== undefined) this.continueLogin(initial)
    else this.options.send(name === 'PLAIN' ? '334 \r\n' : '334 VXNlcm5hbWU6\r\n')
  }

  private continueLogin(text: string): void {
    if (text === '*') {
      this.mode = 'command'
      return this.fail(501, '5.7.0', 'login cancelled')
    }
    this.loginSteps.push(Buffer.from(text, 'base64').toString('utf8'))
    if (this.loginMethod === 'LOGIN' && this.loginSteps.length < 2) {
      return this.options.send('334 UGFzc3dvcmQ6\r\n')
    }
    this.mode = 'command'
    const [user, password] =
      this.loginMethod === 'PLAIN' ? this.loginSteps[0]!.split('\0').slice(1) : this.loginSteps
    const { credentials } = this.options
    if (credentials && same(user, credentials.user) && same(password, credentials.password)) {
      this.loggedIn = true
      return this.reply(235, '2.7.0', 'welcome')
    }
    this.fail(535, '5.7.8', 'wrong user or password')
  }

  private resetMail(): void {
    this.from = undefined
    this.recipients = []
    this.incoming?.abort()
    this.incoming = undefined
  }

  private refuse(refused: Refusal): void {
    if (refused.code < 500) this.reply(refused.code, refused.enhanced, refused.text)
    else this.fail(refused.code, refused.enhanced, refused.text)
  }

  /** An error of the client's: too many end the conversation. */
  private fail(code: number, enhanced: string, text: string): void {
    this.reply(code, enhanced, text)
    if (++this.errors < ERRORS_MAX) return
    this.reply(421, '4.7.0', 'too many errors')
    this.hangUp()
  }

  private hangUp(): void {
    this.abandon()
    this.options.close()
  }

  private reply(code: number, enhanced: string, text: string): void {
    this.options.send(`${code} ${enhanced}${enhanced && ' '}${oneLine(text)}\r\n`)
  }
}

/** In a time that does not tell how much of it fits. */
function same(given: string | undefined, wanted: string): boolean {
  const digest = (text: string): string => new Bun.CryptoHasher('sha256').update(text).digest('hex')
  return given !== undefined && digest(given) === digest(wanted)
}
