/**
 * queue/drop: what `sendmail` leaves while the mailer is away (Postfix's maildrop and pickup(8)). Anybody
 * may put a file there (mode 1733: not list, not touch another's); one file is one frame as on mail.sock.
 *
 * ```
 * sendmail: create exclusively, random name, 0600 → write → 0744 "complete" → sync
 * mailer:   open without following links, take the file's owner as the sender, queue it, remove it
 * ```
 *
 * Looks every two seconds. Anything else than a plain file with one name is removed, as are files that
 * were not completed in a day. A file that cannot be a message goes to corrupt/. After a crash between
 * queueing and removing, the queued message names its file, so it is not queued again.
 */

import { FrameReader, FrameType } from '../ipc/frame-format.ts'
import { decodeMail } from '../ipc/mail-protocol.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Disk, FileStat } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import { ENVELOPE_BYTES_MAX, type Intake } from './intake.ts'
import type { MailQueue } from './mail-queue.ts'
import { submit } from './submission.ts'

export const DROP_FOLDER_MODE = 0o1733
export const DROP_MODE_WRITING = 0o600
export const DROP_MODE_COMPLETE = 0o744

const LOOK_INTERVAL_MS = 2_000
const UNFINISHED_MS_MAX = 86_400_000
const FILES_PER_LOOK_MAX = 100

export interface DropFolderOptions {
  readonly dir: string
  readonly intake: Intake
  readonly queue: MailQueue
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
}

export class DropFolder {
  private readonly options: DropFolderOptions
  private readonly dir: string
  private timer: Timer | undefined
  private reading: boolean

  constructor(options: DropFolderOptions) {
    this.options = options
    this.dir = `${options.dir}/drop`
    this.timer = undefined
    this.reading = false
  }

  /** Makes the folder, clears up after a crash, and begins to look. */
  start(): void {
    const { disk, clock, queue } = this.options
    disk.makeDir(this.dir)
    disk.setPermissions(this.dir, DROP_FOLDER_MODE)
    for (const { drop } of queue.entries.values()) if (drop !== '') disk.remove(this.path(drop))
    this.timer = clock.every(LOOK_INTERVAL_MS, () => void this.look())
    void this.look()
  }

  stop(): void {
    this.timer?.cancel()
  }

  /** One pass over the folder. */
  async look(): Promise<void> {
    const { disk, intake, log } = this.options
    if (this.reading || intake.closed()) return
    this.reading = true
    try {
      for (const name of disk.list(this.dir).slice(0, FILES_PER_LOOK_MAX)) await this.take(name)
    } catch (error) {
      log.warn('cannot read queue/drop', { reason: reason(error) })
    }
    this.reading = false
  }

  private async take(name: string): Promise<void> {
    const { disk, clock } = this.options
    const stat = disk.stat(this.path(name))
    if (!stat) return
    if (!stat.isFile || stat.links !== 1) return this.reject(name, 'is not a plain file')
    if (stat.mode !== DROP_MODE_COMPLETE) {
      if (clock.nowMs() - stat.modifiedMs > UNFINISHED_MS_MAX)
        this.reject(name, 'was left unfinished')
      return
    }
    const { message_size_max: max } = this.options.intake.options.settings().mailer
    if (stat.bytes > max + ENVELOPE_BYTES_MAX) return this.reject(name, 'is too big')
    await this.queue(name, stat)
  }

  private async queue(name: string, stat: FileStat): Promise<void> {
    const { disk, intake, log, stats } = this.options
    const mail = this.read(name, stat)
    if (!mail) return this.setAside(name, 'does not hold a message')
    const answer = await submit(intake, { input: 'drop', uid: stat.uid, drop: name }, mail)
    if (answer.ok) {
      disk.remove(this.path(name))
      stats.counter('drop.taken').value++
    } else if (!answer.temporary) this.setAside(name, answer.text)
    else log.warn('queue/drop has to wait', { reason: answer.text })
  }

  private read(name: string, before: FileStat): ReturnType<typeof decodeMail> | undefined {
    const file = this.options.disk.open(this.path(name), 'read')
    try {
      const stat = file.stat()
      // Somebody put another file in its place meanwhile: that one is looked at next time.
      if (stat.inode !== before.inode || stat.uid !== before.uid || !stat.isFile) return undefined
      const found: ReturnType<typeof decodeMail>[] = []
      const reader = new FrameReader({
        bytesMax: before.bytes,
        onFrame: ({ type, payload }) => {
          if (type === FrameType.mail) found.push(decodeMail(payload))
        },
      })
      reader.feed(file.read(0, before.bytes))
      return found.length === 1 && reader.waitingBytes === 0 ? found[0] : undefined
    } catch {
      return undefined
    } finally {
      file.close()
    }
  }

  private setAside(name: string, problem: string): void {
    const { disk, log, stats, dir } = this.options
    stats.counter('drop.corrupt').value++
    log.error('moved a file of queue/drop to corrupt', { name, problem })
    disk.rename(this.path(name), `${dir}/corrupt/drop-${name}`)
  }

  private reject(name: string, problem: string): void {
    const { disk, log, stats } = this.options
    stats.counter('drop.refused').value++
    log.warn('removed from queue/drop', { name, problem })
    disk.removeTree(this.path(name))
  }

  private path(name: string): string {
    return `${this.dir}/${name}`
  }
}
