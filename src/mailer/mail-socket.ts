/**
 * mail.sock: messages from this machine, with the sender's uid taken from the kernel (ipc/mail-protocol.ts).
 * Open to every user; a frame holds one message, and a connection may send several.
 *
 * Limits: 256 connections; a frame a little over the largest message; one that stops in the middle of a
 * frame is cut off after a minute.
 */

import type { Socket, UnixSocketListener } from 'bun'
import { ByteWriter } from '../lib/bytes.ts'
import type { Disk } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import { FrameReader, FrameType, MAIL_FRAME_BYTES_MAX } from '../ipc/frame-format.ts'
import {
  decodeMail,
  encodeAnswer,
  type MailAnswer,
  type MailEnvelope,
} from '../ipc/mail-protocol.ts'
import { peerUid } from '../ipc/peer-uid.ts'
import { type PublishedSocket, publishSocket } from '../ipc/socket.ts'
import type { Intake, Refusal } from './intake.ts'
import { LineNormaliser } from './line-normaliser.ts'
import type { MailerSettings } from './settings.ts'

const CONNECTIONS_MAX = 256
const IDLE_SECONDS_MAX = 60
const ENVELOPE_BYTES_MAX = 1024 * 1024

interface Client {
  readonly uid: number | undefined
  readonly reader: FrameReader
  /** The answer that comes after those before it. */
  last: Promise<void>
  unsent: Uint8Array
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

  constructor(options: MailSocketOptions) {
    this.options = options
    this.published = undefined
    this.connections = 0
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
            close: () => {
              this.connections--
            },
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
    }
    socket.data = client
    socket.timeout(IDLE_SECONDS_MAX)
    if (this.connections > CONNECTIONS_MAX) socket.terminate()
  }

  private feed(socket: Socket<Client>, bytes: Uint8Array): void {
    try {
      socket.data.reader.feed(bytes)
    } catch (error) {
      this.options.stats.counter('mailSocket.refused').value++
      answer(socket, { ok: false, temporary: false, text: reason(error) })
      socket.end()
    }
  }

  private receive(socket: Socket<Client>, client: Client, payload: Uint8Array): void {
    const { envelope, message } = decodeMail(payload)
    const lines = new ByteWriter(message.length + 1024)
    const normaliser = new LineNormaliser({ dots: false })
    normaliser.feed(message, lines)
    normaliser.finish(lines)
    const result = this.take(envelope, lines.written(), client.uid)
    client.last = client.last.then(async () => answer(socket, await result))
  }

  private async take(
    envelope: MailEnvelope,
    message: Uint8Array,
    uid: number | undefined,
  ): Promise<MailAnswer> {
    const { intake } = this.options
    const from = intake.sender(envelope.from)
    if (!from.ok) return refused(from.error)
    const recipients: string[] = []
    for (const text of envelope.recipients) {
      const recipient = intake.recipient(text)
      if (!recipient.ok) return refused(recipient.error)
      recipients.push(recipient.value)
    }
    const max = this.options.settings().mailer.recipients_max
    if (recipients.length === 0 || recipients.length > max) {
      return { ok: false, temporary: false, text: `there must be 1 to ${max} recipients` }
    }
    const who = uid === undefined ? 'of unknown uid' : `uid ${uid}`
    const taken = await intake.take(
      {
        from: from.value,
        recipients,
        origin: `mail.sock ${who}`,
        receivedFrom: '',
        protocol: `local (${who})`,
      },
      message,
    )
    return taken.ok ? { ok: true, queueId: taken.value } : refused(taken.error)
  }
}

function refused({ code, enhanced, text }: Refusal): MailAnswer {
  return { ok: false, temporary: code < 500, text: `${enhanced} ${text}` }
}

function answer(socket: Socket<Client>, message: MailAnswer): void {
  socket.data.unsent = Buffer.concat([socket.data.unsent, encodeAnswer(message)])
  flush(socket)
}

function flush(socket: Socket<Client>): void {
  const { unsent } = socket.data
  if (unsent.length > 0) socket.data.unsent = unsent.subarray(Math.max(0, socket.write(unsent)))
}
