/** A mailer's inside on a simulated disk and clock, with a table of answers for the next server. */
import { defaultConfig } from './default-config.ts'
import type { Config } from '../../src/config.ts'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { Delivery } from '../../src/mailer/delivery.ts'
import { Duplicates } from '../../src/mailer/duplicates.ts'
import { Intake } from '../../src/mailer/intake.ts'
import { MailQueue } from '../../src/mailer/mail-queue.ts'
import { type MailerSettings, readSettings } from '../../src/mailer/settings.ts'
import type {
  Outcome,
  Transaction,
  TransactionResult,
  Transport,
} from '../../src/mailer/transport.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

export const SENT: Outcome = { status: 'sent', code: '2.0.0', reply: '250 ok' }
export const LATER: Outcome = { status: 'deferred', code: '4.2.0', reply: '450 later' }
export const NEVER: Outcome = { status: 'bounced', code: '5.1.1', reply: '550 nobody' }

export interface Carried {
  readonly atMs: number
  readonly id: string
  readonly from: string
  readonly recipients: readonly string[]
  readonly text: string
}

/** Answers as it is told, and remembers what it was given. */
export class FakeTransport implements Transport {
  readonly carried: Carried[] = []
  answer: (recipient: string) => Outcome = () => SENT
  server: TransactionResult['server'] = 'good'
  private readonly clock: SimClock

  constructor(clock: SimClock) {
    this.clock = clock
  }

  async send(transaction: Transaction): Promise<TransactionResult> {
    const { id, from, recipients } = transaction
    const text = fromUtf8(Buffer.concat([...transaction.content()]))
    this.carried.push({ atMs: this.clock.monotonicMs(), id, from, recipients, text })
    const outcomes = new Map(recipients.map((to) => [to, this.answer(to)] as const))
    return { relay: 'fake[]:25', outcomes, server: this.server }
  }

  close(): void {}
}

export interface Rig {
  readonly disk: SimDisk
  readonly clock: SimClock
  readonly stats: Stats
  readonly queue: MailQueue
  readonly transport: FakeTransport
  readonly delivery: Delivery
  readonly intake: Intake
  put(from: string, to: readonly string[], message?: string): Promise<string>
}

export interface RigOptions {
  readonly mailer?: Partial<Config['mailer']>
  readonly disk?: SimDisk
  readonly clock?: SimClock
  readonly log?: Log
}

export async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const disk = options.disk ?? new SimDisk()
  const clock = options.clock ?? new SimClock()
  const log = options.log ?? silentLog
  const stats = new Stats()
  const settings = makeSettings(options.mailer)
  const queue = new MailQueue({ dir: '/queue', disk, clock, log, stats })
  await queue.open(() => {})
  const transport = new FakeTransport(clock)
  const delivery = new Delivery({ queue, transport, clock, log, stats, settings: () => settings })
  const intake = new Intake({
    queue,
    disk,
    dir: '/queue',
    clock,
    log,
    stats,
    settings: () => settings,
    duplicates: new Duplicates(clock, () => settings.mailer.duplicate_window * 1000),
    onAccepted: (entry) => delivery.admit(entry),
  })
  const put = async (
    from: string,
    recipients: readonly string[],
    message = 'Subject: hello\r\n\r\nbody\r\n',
  ): Promise<string> => {
    const announcement = { from, recipients, origin: 'test', receivedFrom: '', protocol: 'test' }
    const taken = await intake.take(announcement, toUtf8(message))
    if (!taken.ok) throw new Error(`${taken.error.code} ${taken.error.text}`)
    return taken.value
  }
  return { disk, clock, stats, queue, transport, delivery, intake, put }
}

export function makeSettings(mailer: Partial<Config['mailer']> = {}): MailerSettings {
  const config = defaultConfig()
  const read = readSettings(
    {
      ...config,
      mailer: { ...config.mailer, relayhost: 'relay.test', hostname: 'box.test', ...mailer },
    },
    new SimDisk(),
  )
  if (!read.ok) throw new Error(read.error.join('\n'))
  return read.value
}
