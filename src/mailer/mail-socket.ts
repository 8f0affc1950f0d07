/**
 * mail.sock: messages from this machine, with the sender's uid taken from the kernel (ipc/mail-protocol.ts).
 * Open to every user; a frame holds one message, and a connection may send several.
 *
 * Limits: 256 connections; 64 MiB of unfinished frames together; a frame a little over the largest message;
 * a client that says nothing for a minute is cut off.
 */

import type { Socket, UnixSocketListener } from 'bun'
import type { Disk } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import { FrameReader, FrameType, MAIL_FRAME_BYTES_MAX } from '../ipc/frame-format.ts'
import { decodeMail, encodeAnswer, type MailAnswer } from '../ipc/mail-protocol.ts'
import { peerUid } from '../ipc/socket-calls.ts'
import { type PublishedSocket, publishSocket } from '../ipc/socket.ts'
import { ENVELOPE_BYTES_MAX, type Intake } from './intake.ts'
import type { MailerSettings } from './settings.ts'
import { submit } from './submission.ts'

const CONNECTIONS_MAX = 256
const IDLE_SECONDS_MAX = 60

/** Of frames that have begun and not ended, all clients together. */
const WAITING_BYTES_MAX = 64 * 1024 ** 2

interface Client {
  readonly uid: number | undefined
  readonly reader: FrameReader
  /** The answer that comes after those before it. */
  last: Promise<void>
  unsent: Uint8Array
  /** What its reader held when it was last looked at. */
  waitingBytes: number
}

export interface MailSocketOptions {
  readonly intake: Intake
  readonly disk: Disk
  readonly log: Log
  readonly stats: Stats
  readonly settings: () => MailerSettings
}

export class MailSocket {
  private readonly options: MailSocketOptions
  private published: PublishedSocket<UnixSocketListener<Client>> | undefined
  private connections: number
  private waitingBytes: number

  constructor(options: MailSocketOptions) {
    this.options = options
    this.published = undefined
    this.connections = 0
    this.waitingBytes = 0
  }

  listen(path: string): void {
    this.published = publishSocket(this.options.disk, path, {
      permissions: 0o666,
      listen: (unix) =>
        Bun.listen<Client>({
          unix,
          socket: {
            open: (socket) => this.open(socket),
            data: (socket, bytes) => this.feed(socket, bytes),
            drain: flush,
            timeout: (socket) => socket.terminate(),
            close: (socket) => this.closed(socket.data),
            error: (socket) => socket.terminate(),
          },
        }),
    })
  }

  stop(): void {
    this.published?.unpublish()
    this.published?.server.stop()
    this.published = undefined
  }

  private open(socket: Socket<Client>): void {
    this.connections++
    const { mailer } = this.options.settings()
    const client: Client = {
      uid: peerUid(socket),
      reader: new FrameReader({
        bytesMax: Math.min(mailer.message_size_max + ENVELOPE_BYTES_MAX, MAIL_FRAME_BYTES_MAX),
        onFrame: ({ type, payload }) => {
          if (type === FrameType.mail) this.receive(socket, client, payload)
        },
      }),
      last: Promise.resolve(),
      unsent: new Uint8Array(0),
      waitingBytes: 0,
    }
    socket.data = client
    socket.timeout(IDLE_SECONDS_MAX)
    if (this.connections > CONNECTIONS_MAX) socket.terminate()
  }

  private feed(socket: Socket<Client>, bytes: Uint8Array): void {
    const client = socket.data
    try {
      client.reader.feed(bytes)
    } catch (error) {
      return this.refuse(socket, { ok: false, temporary: false, text: reason(error) })
    }
    this.waitingBytes += client.reader.waitingBytes - client.waitingBytes
    client.waitingBytes = client.reader.waitingBytes
    if (this.waitingBytes > WAITING_BYTES_MAX && client.waitingBytes > 0) {
      this.refuse(socket, { ok: false, temporary: true, text: '4.3.2 too much at once, try again' })
    }
  }

  private refuse(socket: Socket<Client>, message: MailAnswer): void {
    this.options.stats.counter('mailSocket.refused').value++
    answer(socket, message)
    socket.end()
  }

  private closed(client: Client): void {
    this.connections--
    this.waitingBytes -= client.waitingBytes
    client.waitingBytes = 0
  }

  private receive(socket: Socket<Client>, client: Client, payload: Uint8Array): void {
    const submitter = { input: 'mail.sock', uid: client.uid }
    const result = submit(this.options.intake, submitter, decodeMail(payload))
    client.last = client.last.then(async () => answer(socket, await result))
  }
}

function answer(socket: Socket<Client>, message: MailAnswer): void {
  socket.data.unsent = Buffer.concat([socket.data.unsent, encodeAnswer(message)])
  flush(socket)
}

function flush(socket: Socket<Client>): void {
  const { unsent } = socket.data
  if (unsent.length > 0) socket.data.unsent = unsent.subarray(Math.max(0, socket.write(unsent)))
}
