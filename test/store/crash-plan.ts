/**
 * A short life of a store with everything in it: points, late ones and overwritten ones, an import, a rename, a
 * removal, another rule, checkpoints, a window that is sealed, rolled up and later expires. The disk as it was
 * before each of its changes is kept, so that any of them can be the last.
 */
import { settle } from '../sim/clock.ts'
import type { SimDisk } from '../sim/disk.ts'
import { EngineBed, SECONDS, START } from './engine-bed.ts'

/** So that a window ends, and is sealed and rolled up, within a run. */
const BEGIN = START + 3_560
const SECONDS_RUN = 600
const TENS = { ...SECONDS, archives: [{ step: 10, count: 1_000 }] }
const SHORT = { ...SECONDS, archives: [{ step: 1, count: 300 }] }

/** The disk before one change, and what had been asked of the store by then. */
export interface CrashPoint {
  readonly disk: SimDisk
  readonly append?: { readonly path: string; readonly bytes: Uint8Array }
  readonly nowMs: number
  /** `id time` → the values that were written, oldest first. */
  readonly written: ReadonlyMap<string, readonly number[]>
  /** Number of values of each that were taken, and that were synced. */
  readonly taken: ReadonlyMap<string, number>
  readonly synced: ReadonlyMap<string, number>
}

export class CrashPlan {
  readonly points: CrashPoint[] = []
  private readonly bed = new EngineBed(BEGIN)
  private readonly written = new Map<string, number[]>()
  private taken = new Map<string, number>()
  private synced = new Map<string, number>()

  static async record(): Promise<CrashPlan> {
    const plan = new CrashPlan()
    await plan.live()
    return plan
  }

  private async live(): Promise<void> {
    const { bed } = this
    bed.disk.onChange = (append) => this.note(append)
    await bed.open()
    bed.engine.onSynced(() => (this.synced = new Map(this.taken)))
    for (const [id, rule] of [SECONDS, SECONDS, TENS, SHORT].entries()) bed.define(`s.${id}`, rule)
    for (let t = 0; t < SECONDS_RUN; t += 10) {
      const { now } = bed
      for (const id of [0, 1, 2]) this.write(id, now, t)
      if (t === 30) await this.importOne()
      if (t === 60) bed.engine.rename(1, 'renamed')
      if (t === 90) bed.engine.redefine(1, { ...SECONDS, method: 'max' })
      if (t === 120) bed.engine.remove(3)
      await bed.clock.advance(10_000)
    }
    await bed.engine.flush()
    bed.disk.onChange = () => {}
  }

  /** A frame with a point in time, the one before again, and sometimes late ones, of the window before too. */
  private write(id: number, now: number, t: number): void {
    const points: [number, number, number][] = [[id, now, now % 1000]]
    points.push([id, now - 9, (now % 1000) + 0.25], [id, now - 9, (now % 1000) + 0.5])
    if (t % 70 === 0) points.push([id, now - 200, t])
    if (t === 450) points.push([id, BEGIN + 10, 4_444])
    for (const [, time, value] of points) this.notePoint(keyOf(id, time), value)
    this.bed.write(points)
    this.taken = this.counts()
  }

  private async importOne(): Promise<void> {
    const id = this.bed.define('imported')
    for (let i = 0; i < 20; i++) this.notePoint(keyOf(id, START + i), i)
    const values = Float64Array.from({ length: 20 }, (_, i) => i)
    await this.bed.engine.load(id, { start: START, step: 1, values })
    this.taken = this.counts()
  }

  private notePoint(key: string, value: number): void {
    this.written.set(key, [...(this.written.get(key) ?? []), value])
  }

  private counts(): Map<string, number> {
    return new Map([...this.written].map(([key, values]) => [key, values.length]))
  }

  private note(append?: { readonly path: string; readonly bytes: Uint8Array }): void {
    const { disk, clock } = this.bed
    this.points.push({
      disk: disk.clone(),
      ...(append && { append: { path: append.path, bytes: append.bytes.slice() } }),
      nowMs: clock.nowMs(),
      written: new Map([...this.written].map(([key, values]) => [key, [...values]])),
      taken: this.taken,
      synced: this.synced,
    })
  }
}

const stepOf = (id: number): number => (id === 2 ? 10 : 1)
const keyOf = (id: number, time: number): string =>
  `${id} ${Math.floor(time / stepOf(id)) * stepOf(id)}`

/** Opens the store after that change had been torn; answers what is wrong with it. */
export async function isWholeAfter(
  point: CrashPoint,
  crash: {
    readonly end: 'kill' | 'power cut'
    readonly tornBytes: number
    readonly random: (below: number) => number
    /** Look whether it goes on working, too. */
    readonly andOn: boolean
  },
): Promise<string | undefined> {
  const bed = new EngineBed(Math.floor(point.nowMs / 1000))
  bed.disk = point.disk.clone()
  const { append } = point
  if (append && crash.tornBytes > 0)
    bed.disk.open(append.path, 'append').append(append.bytes.subarray(0, crash.tornBytes))
  if (crash.end === 'power cut') bed.disk.powerCut({ random: crash.random })
  await bed.open()
  const loss = await findLoss(bed, point, crash.end === 'kill' ? point.taken : point.synced)
  return loss ?? (crash.andOn ? findSickness(bed) : undefined)
}

/** Every promised value is there, or one that was written after it; and nothing that never was. */
async function findLoss(
  bed: EngineBed,
  point: CrashPoint,
  promised: ReadonlyMap<string, number>,
): Promise<string | undefined> {
  const now = BEGIN + SECONDS_RUN
  for (let id = 0; id < bed.engine.nextId; id++) {
    const found = await bed.read(id, { from: START - 1, until: now, now })
    for (const [i, value] of (found?.values ?? []).entries()) {
      const key = keyOf(id, found!.start + i * found!.step)
      const values = point.written.get(key) ?? []
      const least = promised.get(key) ?? 0
      const fits = Number.isNaN(value) ? least === 0 : values.indexOf(value) >= least - 1
      if (!fits || (!Number.isNaN(value) && !values.includes(value)))
        return `${key}: ${value} of ${values.join()}, of which ${least} are promised`
    }
  }
  return undefined
}

/** The store goes on working: it takes points, seals, and all checksums are right. */
async function findSickness(bed: EngineBed): Promise<string | undefined> {
  const id = bed.define('new')
  const { now } = bed
  bed.write([[id, now, 99]])
  await bed.engine.flush()
  const value = await bed.valueAt(id, now)
  if (value !== 99) return `a new point reads ${value}`
  if (bed.counter('damaged') > 0) return bed.errors.join('; ')
  const { problems } = await bed.engine.check()
  await settle()
  return problems[0]
}
