/**
 * The queue manager: takes messages from the queue in order, gives each recipient's destination its share,
 * and settles what comes back (Postfix's qmgr(8)).
 *
 * At most 1,000 messages are loaded at once; the rest is known by its index entry only. A destination with much
 * mail of its own does not take all that room. A message that
 * failed waits for its time (schedule.ts). When a destination answers again, messages that waited for it
 * alone come back at once, oldest first. Those that come up while it is suspended wait without an attempt.
 *
 * What has been delivered is recorded before anything else happens to the message; a bounce is committed
 * before its message is told so and sent only after. So a crash repeats at most a transaction whose last
 * reply was not seen.
 *
 * Fails: when the queue cannot be written, messages stay as they are and are looked at again in a minute.
 */

import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import { domainOf } from './address.ts'
import { ActiveMessage } from './active-message.ts'
import { type BounceReport, composeBounce } from './bounce.ts'
import type { Destination } from './destination.ts'
import { Destinations } from './destinations.ts'
import type { MailQueue, QueueEntry } from './mail-queue.ts'
import { CROWDED, NOBODY, suspended } from './put-off.ts'
import { retryDelayMs, WAIT_MS_MAX } from './schedule.ts'
import type { MailerSettings } from './settings.ts'
import type { Transaction, TransactionResult, Transport } from './transport.ts'

const ACTIVE_MAX = 1_000
/** SES takes 50; so does Postfix by default. */
const RECIPIENTS_PER_TRANSACTION = 50
/** Waiting transactions beyond which a destination's further mail stays in the queue. */
const CROWD = 200
/** Long: they are called back when there is room. */
const CROWDED_DELAY_MS = 3_600_000
const LOADED_PER_TURN_MAX = 200
const LOOK_INTERVAL_MS = 1_000
const TROUBLE_DELAY_MS = 60_000

interface Job {
  readonly active: ActiveMessage
  readonly recipients: readonly string[]
}

export interface DeliveryOptions {
  readonly queue: MailQueue
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly settings: () => MailerSettings
}

export class Delivery {
  private readonly options: DeliveryOptions
  private readonly active: Map<string, ActiveMessage>
  /** Ids that are due, oldest first. */
  private readonly ready: string[]
  private readonly destinations: Destinations<Job>
  private readonly work: Set<Promise<void>>
  private looking: Timer | undefined
  /** Messages loaded since the loop last turned. */
  private loaded: number
  private nextTurn: Timer | undefined
  private stopped: boolean

  constructor(options: DeliveryOptions) {
    this.options = options
    this.active = new Map()
    this.ready = []
    this.destinations = new Destinations(options.clock, () => {
      const { concurrency_max: concurrencyMax, rate } = options.settings().mailer
      return { concurrencyMax, rate }
    })
    this.work = new Set()
    this.looking = undefined
    this.loaded = 0
    this.nextTurn = undefined
    this.stopped = false
    options.stats.gauge('delivery.active', () => this.active.size)
    options.stats.gauge('delivery.running', () => this.destinations.running())
  }

  start(): void {
    this.looking = this.options.clock.every(LOOK_INTERVAL_MS, () => this.look())
    this.look()
  }

  /** Nothing new is started; resolves when what runs has ended and is recorded, or after `waitMs`. */
  async stop(waitMs: number): Promise<void> {
    const { clock, transport } = this.options
    this.stopped = true
    this.looking?.cancel()
    this.destinations.stop()
    const deadlineMs = clock.monotonicMs() + waitMs
    while (this.work.size > 0 && clock.monotonicMs() < deadlineMs) await sleep(clock, 20)
    transport.close()
  }

  /** A message has just been accepted. */
  admit(entry: QueueEntry): void {
    if (this.stopped) return
    this.ready.push(entry.id)
    this.pump()
  }

  /** By hand: everything that waits is tried now. */
  flush(): number {
    let count = 0
    for (const destination of this.destinations.all()) destination.forgive()
    for (const entry of this.options.queue.entries.values()) {
      if (entry.folder !== 'deferred' || this.active.has(entry.id)) continue
      entry.nextAttemptMs = 0
      count++
    }
    this.look()
    for (const destination of this.destinations.all()) this.run(destination)
    return count
  }

  isActive(id: string): boolean {
    return this.active.has(id)
  }

  /** Finds the messages whose time has come. */
  private look(): void {
    const nowMs = this.options.clock.nowMs()
    const queued = new Set(this.ready)
    const due: QueueEntry[] = []
    for (const entry of this.options.queue.entries.values()) {
      if (entry.folder === 'hold' || queued.has(entry.id) || this.active.has(entry.id)) continue
      // A clock that was set back must not keep mail waiting for years.
      const waitMs = entry.nextAttemptMs - nowMs
      if (waitMs <= 0 || waitMs > WAIT_MS_MAX) due.push(entry)
    }
    due.sort((a, b) => a.nextAttemptMs - b.nextAttemptMs || (a.id < b.id ? -1 : 1))
    for (const entry of due) this.ready.push(entry.id)
    this.pump()
    this.destinations.forgetStale()
  }

  /** Loads what is due, a few at a time: a long queue must not keep the process from answering. */
  private pump(): void {
    while (!this.stopped && this.active.size < ACTIVE_MAX && this.ready.length > 0) {
      if (this.loaded >= LOADED_PER_TURN_MAX) return this.pumpNextTurn()
      const entry = this.options.queue.entries.get(this.ready.shift()!)
      if (!entry || entry.folder === 'hold' || this.active.has(entry.id)) continue
      if (this.mustWait(entry)) continue
      this.loaded++
      try {
        this.activate(entry)
      } catch (error) {
        this.trouble(entry, error)
      }
    }
  }

  private pumpNextTurn(): void {
    this.nextTurn ??= this.options.clock.after(0, () => {
      this.nextTurn = undefined
      this.loaded = 0
      this.pump()
    })
  }

  /** What waits for a suspended destination goes on waiting, without being read; unless its time is up. */
  private mustWait(entry: QueueEntry): boolean {
    const { clock } = this.options
    const nowMs = clock.nowMs()
    const suspendedMs = this.destinations.suspendedMs(entry.blamed)
    if (suspendedMs === 0 || nowMs >= entry.expiresMs) return false
    entry.nextAttemptMs = nowMs + suspendedMs + clock.random() * 1_000
    return true
  }

  private activate(entry: QueueEntry): void {
    const { queue } = this.options
    const { rewriter } = this.options.settings()
    const file = queue.load(entry)
    if (!file) return
    const active = new ActiveMessage(entry, file, (address) => rewriter.recipients(address))
    this.active.set(entry.id, active)
    const byDestination = Map.groupBy(active.open, (address) => this.destinationOf(address))
    const jobs: [Destination<Job>, Job][] = []
    for (const [name, addresses] of byDestination) {
      if (name === undefined) {
        active.tried = true
        active.defer(addresses, NOBODY)
      } else if (this.isCrowded(name)) {
        active.blamed = name
        active.putOffMs = CROWDED_DELAY_MS
        active.defer(addresses, CROWDED)
      } else jobs.push(...this.cut(active, name, addresses))
    }
    active.jobs = jobs.length
    for (const [destination, job] of jobs) destination.waiting.push(job)
    for (const name of byDestination.keys())
      if (name !== undefined) this.run(this.destinations.get(name))
    if (jobs.length === 0) this.track(this.settle(active))
  }

  /** So much waits for it that other destinations' mail would find no room among the active. */
  private isCrowded(name: string): boolean {
    const destination = this.destinations.get(name)
    if (this.destinations.size < 2 || destination.waiting.length < CROWD) return false
    destination.isCrowded = true
    return true
  }

  private cut(active: ActiveMessage, name: string, addresses: string[]): [Destination<Job>, Job][] {
    const jobs: [Destination<Job>, Job][] = []
    for (let i = 0; i < addresses.length; i += RECIPIENTS_PER_TRANSACTION) {
      const recipients = addresses.slice(i, i + RECIPIENTS_PER_TRANSACTION)
      jobs.push([this.destinations.get(name), { active, recipients }])
    }
    return jobs
  }

  /** The relayhost, or the address's domain; undefined for an address of this machine that leads nowhere. */
  private destinationOf(address: string): string | undefined {
    const { rewriter, relayhost } = this.options.settings()
    if (rewriter.isLocal(address)) return undefined
    return relayhost ? `${relayhost.host}:${relayhost.port}` : domainOf(address)
  }

  /** Starts what may start now; comes back when more may. */
  private run(destination: Destination<Job>): void {
    while (!this.stopped && destination.waiting.length > 0) {
      const waitMs = destination.waitMs()
      if (waitMs === 0) {
        const job = destination.waiting.shift()!
        destination.start()
        this.track(this.transact(destination, job))
      } else if (destination.suspendedMs() > 0) return this.putOff(destination)
      else if (waitMs === Infinity) return
      else return this.destinations.later(destination, waitMs, () => this.run(destination))
    }
    if (!destination.isCrowded) return
    destination.isCrowded = false
    if (this.recall(destination.name, CROWD) === CROWD) destination.isCrowded = true
  }

  /** The destination is to be left alone: what waits for it goes back to the queue, without an attempt. */
  private putOff(destination: Destination<Job>): void {
    for (const job of destination.waiting.splice(0)) {
      job.active.blamed = destination.name
      job.active.putOffMs = Math.max(job.active.putOffMs, destination.suspendedMs())
      job.active.defer(job.recipients, suspended(destination.name))
      this.endJob(job.active)
    }
  }

  private async transact(destination: Destination<Job>, job: Job): Promise<void> {
    const { active, recipients } = job
    const { entry, file } = active
    active.tried = true
    const result = await this.send({
      destination: destination.name,
      id: entry.id,
      from: file.envelope.from,
      recipients,
      bytes: file.messageBytes,
      eightBit: file.eightBit,
      content: () => file.chunks(),
    })
    const wasFailing = destination.failing
    if (result.server === 'good') destination.succeeded()
    else if (result.server === 'throttled') destination.throttled()
    else {
      destination.failed()
      active.blamed = destination.name
    }
    this.record(active, result)
    this.endJob(active)
    if (wasFailing && !destination.failing) this.recall(destination.name)
    this.run(destination)
  }

  /** A message that cannot be read any more is deferred: the next look at it moves it to corrupt/. */
  private async send(transaction: Transaction): Promise<TransactionResult> {
    try {
      return await this.options.transport.send(transaction)
    } catch (error) {
      const outcome = { status: 'deferred', code: '4.3.0', reply: reason(error) } as const
      const outcomes = new Map(transaction.recipients.map((to) => [to, outcome] as const))
      return { relay: 'none', outcomes, server: 'good' }
    }
  }

  /** Sorts the answers, and logs each. */
  private record(active: ActiveMessage, result: TransactionResult): void {
    const { stats, log, clock } = this.options
    const delayMs = Math.max(0, clock.nowMs() - active.entry.arrivalMs)
    for (const [recipient, outcome] of result.outcomes) {
      stats.counter(`delivery.${outcome.status}`).value++
      if (outcome.status === 'deferred') {
        stats.counter(`delivery.deferredBy.${outcome.code.replaceAll('.', '_')}`).value++
      }
      log.info('delivery', {
        id: active.entry.id,
        to: `<${recipient}>`,
        relay: result.relay,
        delay: (delayMs / 1000).toFixed(2),
        dsn: outcome.code,
        status: outcome.status,
        reply: outcome.reply,
      })
      active.answer(recipient, outcome)
    }
  }

  private endJob(active: ActiveMessage): void {
    active.jobs--
    if (active.jobs === 0) this.track(this.settle(active))
    else if (active.delivered) {
      // Others are still being tried: what has been delivered so far must not be repeated.
      void this.options.queue
        .save(active.entry, active.state(active.entry), true)
        .catch((error: unknown) => this.complain(active.entry, error))
    }
  }

  /** All answers of this round are in. */
  private async settle(active: ActiveMessage): Promise<void> {
    const { entry } = active
    try {
      await this.decide(active)
    } catch (error) {
      entry.unsaved = active.state(entry)
      this.trouble(entry, error)
    }
    this.active.delete(entry.id)
    this.pump()
  }

  private async decide(active: ActiveMessage): Promise<void> {
    const { queue, clock } = this.options
    const { entry, file } = active
    const nowMs = clock.nowMs()
    if (nowMs >= file.envelope.expiresMs) {
      active.giveUp(`not delivered in ${Math.round((nowMs - entry.arrivalMs) / 60_000)} minutes`)
    }
    const bounce = active.bounced.size > 0 ? await this.bounce(active) : undefined
    active.bounced.clear()
    try {
      if (active.deferred.size === 0) queue.remove(entry)
      else if (active.tried || bounce) {
        await this.reschedule(active, { nowMs, durable: active.delivered || bounce !== undefined })
      } else {
        entry.nextAttemptMs = nowMs + active.putOffMs + clock.random() * 1_000
        entry.blamed = active.blamed
        queue.move(entry, 'deferred')
      }
    } catch (error) {
      if (bounce) queue.remove(bounce)
      throw error
    }
    if (bounce) {
      bounce.nextAttemptMs = 0
      this.admit(bounce)
    }
  }

  private async reschedule(
    active: ActiveMessage,
    { nowMs, durable }: { nowMs: number; durable: boolean },
  ): Promise<void> {
    const { queue, clock } = this.options
    const { entry } = active
    const attempts = entry.attempts + (active.tried ? 1 : 0)
    const delayMs = retryDelayMs(clock, Math.max(1, attempts), nowMs - entry.arrivalMs)
    // Synced only where recipients are done with: a lost schedule merely means an early try.
    await queue.save(entry, active.state({ nextAttemptMs: nowMs + delayMs, attempts }), durable)
    queue.move(entry, 'deferred')
  }

  /** Commits a report to the sender, or to the postmaster when there is none; it is not sent yet. */
  private async bounce(active: ActiveMessage): Promise<QueueEntry | undefined> {
    const { queue, stats, log, clock } = this.options
    const settings = this.options.settings()
    const report: BounceReport = {
      entry: active.entry,
      file: active.file,
      failed: active.bounced,
      nowMs: clock.nowMs(),
    }
    const writer = queue.create()
    const bounce = composeBounce(report, settings, writer.id)
    if (!bounce) {
      stats.counter('bounces.dropped').value++
      log.warn('a report that cannot be delivered was dropped', { id: active.entry.id })
      return undefined
    }
    writer.envelope(bounce.envelope)
    writer.write(bounce.message)
    await writer.commit()
    stats.counter('bounces.sent').value++
    log.info('bounce', {
      id: active.entry.id,
      report: writer.id,
      to: bounce.envelope.recipients[0],
    })
    const entry = queue.add(writer, bounce.envelope)
    // Not before the message has been told: `decide` lets it go.
    entry.nextAttemptMs = clock.nowMs() + TROUBLE_DELAY_MS
    return entry
  }

  /** What waited for a destination alone is due, the oldest first; says how many, at most `max`. */
  private recall(name: string, max = Infinity): number {
    const nowMs = this.options.clock.nowMs()
    let count = 0
    for (const entry of this.options.queue.entries.values()) {
      if (entry.blamed !== name || entry.folder !== 'deferred') continue
      entry.nextAttemptMs = Math.min(entry.nextAttemptMs, nowMs)
      if (++count >= max) break
    }
    this.look()
    return count
  }

  /** Work that a stop waits for. */
  private track(work: Promise<void>): void {
    this.work.add(work)
    void work.finally(() => this.work.delete(work))
  }

  private trouble(entry: QueueEntry, error: unknown): void {
    this.complain(entry, error)
    entry.nextAttemptMs = this.options.clock.nowMs() + TROUBLE_DELAY_MS
  }

  private complain(entry: QueueEntry, error: unknown): void {
    this.options.stats.counter('queue.failures').value++
    this.options.log.error('cannot read or write the queue', {
      id: entry.id,
      reason: reason(error),
    })
  }
}
