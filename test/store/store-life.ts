/**
 * A random life of a store: points in time, late, ahead, twice; series that come, go, are renamed, imported and get
 * other rules; checkpoints, folds, roll-ups, retention; failed syncs, a full and a read-only disk; and every now
 * and then a kill or a power cut at any change of the disk, in the middle of an append.
 *
 * After each crash the store must hold exactly what a prefix of the operations makes: all that were taken, after a
 * kill; at least all that were synced, after a power cut. Every slot of every archive is compared.
 *
 * Left out: what we do otherwise than Whisper on purpose (README), and coarser slots of a series whose rule changed,
 * which depend on the moment at which the store changes over.
 */
import { expect } from 'bun:test'
import { archiveSeconds } from '../../src/metric/retention.ts'
import type { SeriesRule } from '../../src/store/engine.ts'
import { settle } from '../sim/clock.ts'
import { SimulatedCrash } from '../sim/disk.ts'
import { EngineBed, START } from './engine-bed.ts'
import { NaiveSeries, NaiveStore, type Operation, randomOf, type Rollup } from './naive-store.ts'

const SENDER = '00000000000000aa'
/** Seconds by which points are ahead of the clock at most. */
const AHEAD_MAX = 200
const SERIES_MAX = 9

const MINUTES = [
  { step: 10, count: 720 },
  { step: 60, count: 360 },
]
const RULES: readonly SeriesRule[] = [
  { archives: [{ step: 1, count: 1_800 }, ...MINUTES], method: 'average', xFilesFactor: 0.5 },
  { archives: [{ step: 1, count: 1_800 }, ...MINUTES], method: 'max', xFilesFactor: 0.5 },
  { archives: MINUTES, method: 'sum', xFilesFactor: 0.5 },
]
/** What a series of the first two rules may get: the same finest step. */
const OTHER_RULE: SeriesRule = {
  archives: [{ step: 1, count: 2_400 }, ...MINUTES],
  method: 'last',
  xFilesFactor: 0.5,
}

type PointsOperation = Extract<Operation, { kind: 'points' }>
type LoadOperation = Extract<Operation, { kind: 'load' }>

export class StoreLife {
  /** How often each kind of end came. */
  readonly ends = { kill: 0, powerCut: 0, stop: 0 }
  private readonly bed: EngineBed
  private readonly random: (below: number) => number
  private readonly rollup: Rollup
  /** What the store took, in order. */
  private history: Operation[] = []
  /** So many of them survive a power cut. */
  private synced = 0
  /** What was asked for when the disk crashed: it may have been taken. */
  private inFlight: Operation | undefined
  private sequence = 0
  private newest = 0
  private troubleUntilMs = 0

  constructor(seed: number) {
    this.random = randomOf(seed)
    this.rollup = seed % 4 === 0 ? 'exact' : 'whisper'
    this.bed = new EngineBed(START + 2_900 + this.random(700))
  }

  async live(steps: number): Promise<void> {
    await this.open()
    for (let step = 0; step < steps; step++) {
      this.maybeTrouble()
      try {
        await this.act()
        await this.bed.clock.advance(1000 * this.pickSeconds())
      } catch (error) {
        if (!(error instanceof SimulatedCrash)) throw error
      }
      if (this.bed.disk.isCrashed) await this.recover()
      else if (this.random(40) === 0) await this.stopAndStart()
      else if (this.random(60) === 0) await this.expectAll('while it runs')
    }
    await this.expectAll('at the end')
    await this.bed.engine.flush()
    await this.expectAll('after a flush')
    expect((await this.bed.engine.check()).problems).toEqual([])
  }

  // ── what is asked ──

  private async act(): Promise<void> {
    const kind = this.random(100)
    const id = this.pickSeries()
    if (kind < 3 && this.bed.engine.nextId < SERIES_MAX) this.define(this.random(RULES.length))
    else if (kind < 4 && id !== undefined) this.take({ kind: 'remove', id })
    else if (kind < 6 && id !== undefined)
      this.take({ kind: 'rename', id, path: `renamed.${this.history.length}` })
    else if (kind < 7 && id !== undefined) this.redefine(id)
    else if (kind < 9 && this.bed.engine.nextId < SERIES_MAX) await this.importSeries()
    else if (kind < 11) await this.attempt(() => this.bed.engine.flush())
    else this.write()
  }

  private define(rule: number): number {
    const id = this.bed.engine.nextId
    this.take({ kind: 'define', id, path: `series.${this.history.length}`, rule: RULES[rule]! })
    return id
  }

  private redefine(id: number): void {
    if (this.bed.engine.ruleOf(id)?.archives[0]!.step === 1)
      this.take({ kind: 'redefine', id, rule: OTHER_RULE })
  }

  private write(): void {
    const { random, bed } = this
    const points: [number, number, number][] = []
    for (let i = 0; i <= random(5); i++) {
      const id = this.pickSeries()
      if (id === undefined) continue
      points.push([id, bed.now, this.pickValue()])
      for (let j = random(4); j > 0; j--)
        points.push([id, bed.now - this.pickAge(), this.pickValue()])
    }
    if (points.length === 0) return
    const newest = Math.max(this.newest, ...points.map(([, time]) => time))
    const now = Math.min(bed.now, newest + 1)
    const sequence = random(3) === 0 ? 0 : this.sequence + 1
    if (this.take({ kind: 'points', now, points, sequence })) this.newest = newest
  }

  /** A new series with a past, as a Whisper file has it. */
  private async importSeries(): Promise<void> {
    const id = this.define(0)
    if (!this.bed.engine.ruleOf(id)) return
    const { archives, method } = RULES[0]!
    const { now } = this.bed
    const file = new NaiveSeries(archives, method, this.rollup)
    const fine = Math.floor((now - 1_100) / 60) * 60
    const coarse = Math.floor((now - 6_000) / 60) * 60
    for (let t = fine; t < fine + 300; t++) file.write(now, t, this.pickValue())
    for (let t = coarse; t < coarse + 1_800; t += 10) file.write(now, t, this.pickValue())
    const runs = archives.flatMap(({ step }, depth) => runsOf(file.read(depth, now), step))
    for (const [i, { step, start, values }] of runs.entries()) {
      const isLast = i === runs.length - 1
      const load: LoadOperation = { kind: 'load', id, step, start, values, isLast }
      this.inFlight = load
      const slots = { step, start, values: Float64Array.from(values) }
      const isTaken = await this.attempt(() => this.bed.engine.load(id, slots))
      this.inFlight = undefined
      if (isTaken !== true) return
      this.history.push(load)
    }
  }

  /** Asks the store; says whether it took it. */
  private take(operation: Operation): boolean {
    this.inFlight = operation
    const isTaken = this.ask(operation)
    this.inFlight = undefined
    if (!isTaken) return false
    this.history.push(operation)
    if (operation.kind === 'points' && operation.sequence > 0) this.sequence = operation.sequence
    return true
  }

  private ask(operation: Operation): boolean {
    const { engine } = this.bed
    try {
      if (operation.kind === 'points') return this.bed.write(...frameOf(operation))
      if (operation.kind === 'define')
        engine.define({ id: operation.id, path: operation.path, ...operation.rule })
      else if (operation.kind === 'rename') engine.rename(operation.id, operation.path)
      else if (operation.kind === 'remove') engine.remove(operation.id)
      else if (operation.kind === 'redefine') engine.redefine(operation.id, operation.rule)
      return true
    } catch (error) {
      if (error instanceof SimulatedCrash) throw error
      return false
    }
  }

  /** What the disk does not allow is not done. */
  private async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof SimulatedCrash) throw error
      return undefined
    }
  }

  private pickSeries(): number | undefined {
    const ids = Array.from({ length: this.bed.engine.nextId }, (_, id) => id)
    const live = ids.filter((id) => this.bed.engine.ruleOf(id))
    return live[this.random(Math.max(1, live.length))]
  }

  private pickValue(): number {
    return (this.random(20_000) - 10_000) / 4
  }

  /** Well inside one archive: of the first rule's, the third, the second or, mostly, the first. */
  private pickAge(): number {
    const { random } = this
    const kind = random(20)
    if (kind < 10) return random(4)
    if (kind < 14) return random(1_200)
    if (kind < 16) return -random(AHEAD_MAX)
    if (kind < 19) return 2_000 + random(4_500)
    return 7_500 + random(12_000)
  }

  private pickSeconds(): number {
    const { random } = this
    const kind = random(200)
    if (kind === 0) {
      // What waits for a disk, or a start, for longer than its archive keeps it is not rolled up any more.
      this.endTrouble()
      this.bed.disk.revive()
      return 3_000 + random(4_000)
    }
    if (kind < 12) return random(400)
    return random(8)
  }

  // ── what goes wrong ──

  private maybeTrouble(): void {
    const { random } = this
    const { disk, clock } = this.bed
    if (clock.monotonicMs() >= this.troubleUntilMs) this.endTrouble()
    if (random(30) === 0) disk.crashAfter(random(120), random(400))
    else if (random(50) === 0) disk.failSyncs(1 + random(3))
    else if (random(90) === 0) {
      const used = [...disk.contents().values()].reduce((sum, bytes) => sum + bytes.length, 0)
      disk.capacityBytes = used + random(4_000)
      this.troubleUntilMs = clock.monotonicMs() + random(120_000)
    } else if (random(120) === 0) {
      disk.readOnly = true
      this.troubleUntilMs = clock.monotonicMs() + random(60_000)
    }
  }

  private endTrouble(): void {
    const { disk } = this.bed
    disk.capacityBytes = Infinity
    disk.readOnly = false
    disk.failSyncs(0)
  }

  private async recover(): Promise<void> {
    const { disk } = this.bed
    this.endTrouble()
    const isKill = this.random(2) === 0
    this.ends[isKill ? 'kill' : 'powerCut']++
    await settle()
    if (!isKill) disk.powerCut({ random: this.random })
    await this.open()
    await this.expectPrefix(isKill ? this.history.length : this.synced)
    await this.expectAll('after a crash')
  }

  private async stopAndStart(): Promise<void> {
    this.endTrouble()
    this.ends.stop++
    this.bed.disk.revive()
    await this.bed.engine.close()
    await this.open()
    await this.expectPrefix(this.history.length)
  }

  private async open(): Promise<void> {
    await this.bed.open({ rollup: this.rollup })
    this.bed.engine.onSynced(() => (this.synced = this.history.length))
  }

  // ── what has to be there ──

  /** The store holds what a prefix of the history makes, of at least so many operations; the rest is forgotten. */
  private async expectPrefix(least: number): Promise<void> {
    const { written } = this.bed.engine.lastSequences(SENDER)
    const all = this.inFlight ? [...this.history, this.inFlight] : this.history
    this.inFlight = undefined
    let complaint = `frame ${written} is no end of a prefix of at least ${least} of ${all.length}`
    for (let count = all.length; count >= least; count--) {
      const prefix = all.slice(0, count)
      if (lastSequence(prefix) !== written) continue
      const last = prefix.at(-1)
      if (last?.kind === 'load' && !(await this.isLoaded(last))) continue
      const problems = await this.compare(new NaiveStore(prefix, this.rollup), [0])
      if (problems.length > 0) {
        complaint = `${count} of ${all.length}, at least ${least}: ${problems.slice(0, 5).join('; ')}`
        continue
      }
      this.history = prefix
      this.synced = count
      this.sequence = written
      return
    }
    throw new Error(complaint)
  }

  private async isLoaded({ id, step, start, values }: LoadOperation): Promise<boolean> {
    const { archives } = RULES[0]!
    const archive = archives.find((one) => one.step === step)!
    const now = start + archiveSeconds(archive)
    const found = await this.bed.read(id, { from: start - step, until: start, now: now - step })
    return found?.values[0] === values[0]
  }

  /** Every slot of every archive, once what came late has been rolled up. */
  private async expectAll(when: string): Promise<void> {
    this.endTrouble()
    this.bed.disk.revive()
    await this.bed.clock.advance(75_000)
    const problems = await this.compare(new NaiveStore(this.history, this.rollup), [0, 1, 2])
    if (problems.length > 0) throw new Error(`${when}: ${problems.slice(0, 8).join('; ')}`)
    if (this.bed.counter('damaged') > 0)
      throw new Error(`${when}: damage: ${this.bed.errors.join('; ')}`)
  }

  private async compare(naive: NaiveStore, depths: readonly number[]): Promise<string[]> {
    const problems: string[] = []
    for (let id = 0; id < this.bed.engine.nextId; id++) {
      const wanted = naive.series.get(id)
      const isThere = this.bed.engine.ruleOf(id) !== undefined
      if (isThere !== (wanted !== undefined)) problems.push(`series ${id} is there: ${isThere}`)
      if (!wanted || !isThere) continue
      const path = this.bed.known.find((known) => known.id === id)?.path
      if (depths.length === 1 && path !== wanted.path)
        problems.push(`series ${id} is ${path}, not ${wanted.path}`)
      for (const depth of depths) {
        if (depth >= wanted.slots.archives.length) continue
        if (depth > 0 && (wanted.isRedefined || wanted.isHalfLoaded)) continue
        problems.push(...(await this.compareArchive(id, wanted.slots, depth)))
      }
    }
    for (const id of naive.series.keys())
      if (id >= this.bed.engine.nextId) problems.push(`series ${id} is not there`)
    return problems
  }

  private async compareArchive(id: number, naive: NaiveSeries, depth: number): Promise<string[]> {
    const now = this.bed.now + AHEAD_MAX
    const archive = naive.archives[depth]!
    const wanted = naive.read(depth, now)
    const slots = await this.bed.read(id, { from: now - archiveSeconds(archive), until: now, now })
    const problems: string[] = []
    for (const [i, value] of slots!.values.entries()) {
      const time = slots!.start + i * slots!.step
      const other = wanted.get(time) ?? NaN
      if (!Object.is(value, other))
        problems.push(`series ${id}, ${archive.step} s, at ${time - START}: ${value}, not ${other}`)
    }
    return problems
  }
}

function frameOf({ points, sequence }: PointsOperation): Parameters<EngineBed['write']> {
  return sequence === 0 ? [points] : [points, sequence]
}

function lastSequence(operations: readonly Operation[]): number {
  const last = operations.findLast(
    (operation) => operation.kind === 'points' && operation.sequence > 0,
  )
  return last?.kind === 'points' ? last.sequence : 0
}

interface Run {
  readonly step: number
  readonly start: number
  readonly values: number[]
}

/** Slots that follow one another without a hole. */
function runsOf(slots: Map<number, number>, step: number): Run[] {
  const runs: Run[] = []
  for (const [time, value] of [...slots].sort((a, b) => a[0] - b[0])) {
    const run = runs.at(-1)
    if (run && run.start + run.values.length * step === time) run.values.push(value)
    else runs.push({ step, start: time, values: [value] })
  }
  return runs
}
