/**
 * The mailer: inputs (SMTP, mail.sock, queue/drop) → intake → queue → delivery → the next server. In place
 * of Postfix. README.md draws it; here it is only put together.
 */

import type { Config } from '../config.ts'
import { type Concern, ConfigError, type Surroundings } from '../daemon.ts'
import { reason } from '../lib/log.ts'
import { Delivery } from './delivery.ts'
import { DropFolder } from './drop-folder.ts'
import { Duplicates } from './duplicates.ts'
import { Intake } from './intake.ts'
import { MailQueue } from './mail-queue.ts'
import { MailSocket } from './mail-socket.ts'
import { dnsNames } from './next-hop.ts'
import { addQueueRoutes } from './queue-admin.ts'
import { type MailerSettings, readSettings } from './settings.ts'
import { SmtpClient } from './smtp-client.ts'
import { SmtpListener } from './smtp-listener.ts'

/** Of the 8 s that a stop may take. */
const DRAIN_MS_MAX = 6_000

export async function startMailer(surroundings: Surroundings): Promise<Concern> {
  const { config, disk, clock, log, stats, progress } = surroundings
  let current = settingsOf(config, surroundings)
  const settings = (): MailerSettings => current
  const dir = `${config.data}/queue`
  const queue = new MailQueue({ dir, disk, clock, log, stats })
  await queue.open(progress)
  const transport = new SmtpClient({ clock, stats, settings, names: dnsNames() })
  const delivery = new Delivery({ queue, transport, clock, log, stats, settings })
  const intake = new Intake({
    queue,
    disk,
    dir,
    clock,
    log,
    stats,
    settings,
    duplicates: new Duplicates(clock, () => current.mailer.duplicate_window * 1000),
    onAccepted: (entry) => delivery.admit(entry),
  })
  const listener = new SmtpListener({ intake, clock, log, stats, settings })
  if (current.mailer.smtp_port > 0) listener.listen(current.mailer.bind, current.mailer.smtp_port)
  const socket = new MailSocket({ intake, disk, log, stats, settings })
  socket.listen(`${config.run}/mail.sock`)
  const drop = new DropFolder({ dir, intake, queue, disk, clock, log, stats })
  drop.start()
  letOthersIn(surroundings, dir)
  addQueueRoutes(surroundings.adminRoutes, { queue, delivery, log })
  delivery.start()
  log.info('queue', { messages: queue.entries.size, bytes: queue.bytes })
  return {
    notReady() {
      const closed = intake.closed()
      return closed ? [closed.text] : []
    },
    async reload(next: Config) {
      current = settingsOf(next, surroundings)
      delivery.flush()
    },
    async stop() {
      listener.stop()
      socket.stop()
      drop.stop()
      await delivery.stop(DRAIN_MS_MAX)
      await queue.close()
    },
  }
}

function settingsOf(config: Config, { disk }: Surroundings): MailerSettings {
  const read = readSettings(config, disk)
  if (!read.ok) throw new ConfigError(read.error)
  return read.value
}

/**
 * Cron runs as every user: the way to mail.sock (0666) and queue/drop (1733) must be passable. Only that: none of these
 * folders can be listed, and what else is in them keeps its own permissions.
 */
function letOthersIn({ config, disk, log }: Surroundings, queueDir: string): void {
  for (const folder of [config.data, config.run, queueDir]) {
    const mode = disk.stat(folder)?.mode ?? 0
    if ((mode & 0o011) === 0o011) continue
    try {
      disk.setPermissions(folder, mode | 0o011)
    } catch (error) {
      log.warn('other users cannot reach mail.sock', { folder, reason: reason(error) })
    }
  }
}
