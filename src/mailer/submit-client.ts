/**
 * The three ways to hand over a message on this machine: mail.sock, the SMTP port, queue/drop. Each says
 * `undefined` where the mailer cannot be reached that way, so that the next can be tried.
 */

import { FrameReader, FrameType } from '../ipc/frame-format.ts'
import {
  decodeAnswer,
  encodeMail,
  type MailAnswer,
  type MailEnvelope,
} from '../ipc/mail-protocol.ts'
import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { DROP_MODE_COMPLETE, DROP_MODE_WRITING } from './drop-folder.ts'
import { carryOnce } from './smtp-client.ts'

export interface Submission {
  readonly envelope: MailEnvelope
  readonly message: Uint8Array
}

const ANSWER_BYTES_MAX = 1024 * 1024
const ANSWER_MS_MAX = 60_000

export function submitToSocket(
  path: string,
  { envelope, message }: Submission,
  clock: Clock,
): Promise<MailAnswer | undefined> {
  return new Promise((resolve) => {
    let rest = encodeMail(envelope, message)
    const finish = (answer: MailAnswer | undefined): void => {
      timer.cancel()
      resolve(answer)
    }
    const reader = new FrameReader({
      bytesMax: ANSWER_BYTES_MAX,
      onFrame: ({ type, payload }) => {
        if (type === FrameType.answer) finish(decodeAnswer(payload))
      },
    })
    const push = (socket: Bun.Socket): void => {
      rest = rest.subarray(Math.max(0, socket.write(rest)))
    }
    const timer = clock.after(ANSWER_MS_MAX, () => finish(undefined))
    Bun.connect({
      unix: path,
      socket: {
        open: push,
        drain: push,
        data(socket, bytes) {
          reader.feed(bytes)
          socket.end()
        },
        close: () => finish(undefined),
        error: () => finish(undefined),
        connectError: () => finish(undefined),
      },
    }).catch(() => finish(undefined))
  })
}

export async function submitToPort(
  host: string,
  port: number,
  { envelope, message }: Submission,
): Promise<MailAnswer | undefined> {
  return await carryOnce({ host, port }, envelope, message)
}

/** Leaves the message for later; throws when the folder cannot be written. */
export function submitToDrop(
  dir: string,
  { envelope, message }: Submission,
  tools: { disk: Disk; clock: Clock },
): MailAnswer {
  const name = tools.clock.randomBytes(16).toHex()
  const path = `${dir}/${name}`
  const file = tools.disk.open(path, 'create', DROP_MODE_WRITING)
  try {
    file.append(encodeMail(envelope, message))
    file.setMode(DROP_MODE_COMPLETE)
    file.syncNow()
  } catch (error) {
    tools.disk.remove(path)
    throw error
  } finally {
    file.close()
  }
  return { ok: true, queueId: `drop/${name}` }
}
