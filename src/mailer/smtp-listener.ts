/**
 * The SMTP port: sockets for the conversations of smtp-session.ts.
 *
 * Written on Bun.listen because smtp-server, the usual package, waits 100 ms before every banner and
 * takes fewer messages a second (README.md, "The listener"). Limits: connections (421 beyond),
 * five minutes of silence, replies that a client does not read (64 KiB, then it is cut off).
 */

import type { Socket, TCPSocketListener } from 'bun'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import type { Intake } from './intake.ts'
import type { MailerSettings } from './settings.ts'
import { SmtpSession } from './smtp-session.ts'

const IDLE_SECONDS_MAX = 300
const UNREAD_BYTES_MAX = 64 * 1024

export interface SmtpListenerOptions {
  readonly intake: Intake
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly settings: () => MailerSettings
}

/** One client. After STARTTLS `socket` is the one inside. */
interface Connection {
  socket: Socket<Connection>
  session: SmtpSession | undefined
  unsent: Uint8Array
  closing: boolean
  encrypted: boolean
}

export class SmtpListener {
  private readonly options: SmtpListenerOptions
  private readonly connections: Set<Connection>
  private server: TCPSocketListener<Connection> | undefined

  constructor(options: SmtpListenerOptions) {
    this.options = options
    this.connections = new Set()
    this.server = undefined
    options.stats.gauge('smtp.connections', () => this.connections.size)
  }

  /** Throws when the port cannot be had. Returns the port, which the system chose where 0 was asked for. */
  listen(hostname: string, port: number): number {
    this.server = Bun.listen<Connection>({
      hostname,
      port,
      socket: {
        open: (socket) => this.open(socket),
        data: (socket, bytes) => {
          if (!socket.data.encrypted) socket.data.session?.feed(bytes)
        },
        drain: (socket) => flush(socket.data),
        timeout: (socket) => this.hangUp(socket.data, '421 4.4.2 idle for too long\r\n'),
        close: (socket) => this.closed(socket.data),
        error: (socket) => this.closed(socket.data),
      },
    })
    return this.server.port
  }

  /** No new connections; those that are open are told so. What was being committed still is. */
  stop(): void {
    this.server?.stop()
    this.server = undefined
    for (const connection of this.connections) {
      this.hangUp(connection, '421 4.3.2 shutting down, come back later\r\n')
    }
  }

  private open(socket: Socket<Connection>): void {
    const { stats, intake } = this.options
    const { mailer, hostname, certificate } = this.options.settings()
    const connection: Connection = {
      socket,
      session: undefined,
      unsent: new Uint8Array(0),
      closing: false,
      encrypted: false,
    }
    socket.data = connection
    socket.timeout(IDLE_SECONDS_MAX)
    stats.counter('smtp.accepted').value++
    this.connections.add(connection)
    if (this.connections.size > mailer.connections_max) {
      stats.counter('smtp.refused').value++
      return this.hangUp(connection, '421 4.7.0 too many connections\r\n')
    }
    const { smtp_user: user, smtp_password: password } = mailer
    connection.session = new SmtpSession({
      intake,
      hostname,
      clientAddress: socket.remoteAddress,
      isLoopback: isLoopback(socket.remoteAddress),
      sizeMax: mailer.message_size_max,
      recipientsMax: mailer.recipients_max,
      tlsAvailable: certificate !== undefined,
      credentials: user !== undefined && password !== undefined ? { user, password } : undefined,
      send: (text) => this.send(connection, text),
      startTls: () => this.startTls(connection),
      hold: (on) => (on ? connection.socket.pause() : connection.socket.resume()),
      close: () => this.hangUp(connection, ''),
    })
  }

  private send(connection: Connection, text: string): void {
    const { socket, unsent } = connection
    const bytes = Buffer.from(text)
    const written = unsent.length > 0 ? 0 : Math.max(0, socket.write(bytes))
    if (written === bytes.length) return
    connection.unsent = Buffer.concat([unsent, bytes.subarray(written)])
    if (connection.unsent.length <= UNREAD_BYTES_MAX) return
    this.options.stats.counter('smtp.unread').value++
    socket.terminate()
  }

  private startTls(connection: Connection): void {
    const { certificate } = this.options.settings()
    // Bun's types do not know it yet: this end answers the handshake.
    const server = { isServer: true }
    const [, inside] = connection.socket.upgradeTLS<Connection>({
      ...server,
      tls: certificate!,
      data: connection,
      socket: {
        handshake: (_socket, success) => {
          if (success) connection.session?.secured()
          else connection.socket.terminate()
        },
        data: (_socket, bytes) => connection.session?.feed(bytes),
        drain: () => flush(connection),
        timeout: () => this.hangUp(connection, '421 4.4.2 idle for too long\r\n'),
        close: () => this.closed(connection),
        error: () => this.closed(connection),
      },
    })
    connection.encrypted = true
    connection.socket = inside
    inside.timeout(IDLE_SECONDS_MAX)
  }

  private hangUp(connection: Connection, words: string): void {
    if (words !== '') this.send(connection, words)
    connection.session?.abandon()
    connection.closing = true
    flush(connection)
  }

  private closed(connection: Connection): void {
    connection.session?.abandon()
    this.connections.delete(connection)
  }
}

function flush(connection: Connection): void {
  const { unsent, socket } = connection
  if (unsent.length > 0) connection.unsent = unsent.subarray(Math.max(0, socket.write(unsent)))
  if (connection.closing && connection.unsent.length === 0) socket.end()
}

function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\./.test(address) || address === '::1'
}
