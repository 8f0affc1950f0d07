/**
 * An engine that keeps every value in a Map: what the edges of the store are tested against. One archive
 * answers, the first that reaches back far enough; nothing is rolled up.
 */
import type {
  CheckReport,
  Engine,
  FetchedSlots,
  FetchPlan,
  FetchRange,
  SlotSpan,
  PointsSource,
  SeriesDefinition,
  SeriesRule,
} from '../../src/store/engine.ts'

interface Kept {
  path: string
  rule: SeriesRule
  slots: Map<number, number>
  lastSeen: number
}

export class MemoryEngine implements Engine {
  readonly kept = new Map<number, Kept>()
  readonly sequences = new Map<string, { written: number; synced: number }>()
  readonly callbacks: (() => void)[] = []
  accepts = true
  /** False: the clock jumped. */
  mayDelete = true
  skipped = 0
  private next = 0

  get nextId(): number {
    return this.next
  }

  define({ id, path, ...rule }: SeriesDefinition): void {
    this.kept.set(id, { path, rule, slots: new Map(), lastSeen: 0 })
    this.next = id + 1
  }

  append(
    source: PointsSource | undefined,
    ids: Uint32Array,
    timestamps: Uint32Array,
    values: Float64Array,
    count: number,
  ): boolean {
    if (!this.accepts) return false
    for (let i = 0; i < count; i++) {
      const series = this.kept.get(ids[i]!)
      if (!series) {
        this.skipped++
        continue
      }
      series.slots.set(timestamps[i]!, values[i]!)
      series.lastSeen = Math.max(series.lastSeen, timestamps[i]!)
    }
    if (source) {
      const synced = this.sequences.get(source.sender)?.synced ?? 0
      this.sequences.set(source.sender, { written: source.sequence, synced })
    }
    return true
  }

  whenRoom(): undefined {
    return undefined
  }

  latestTime(): number {
    return Infinity
  }

  lastSequences(sender: string): { written: number; synced: number } {
    return this.sequences.get(sender) ?? { written: 0, synced: 0 }
  }

  onSynced(callback: () => void): void {
    this.callbacks.push(callback)
  }

  async sync(): Promise<void> {
    for (const sequences of this.sequences.values()) sequences.synced = sequences.written
    for (const callback of this.callbacks) callback()
  }

  async fetch(
    ids: Uint32Array,
    range: FetchRange,
    each: (index: number, slots: FetchedSlots | undefined) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    for (let i = 0; i < ids.length; i++) {
      signal?.throwIfAborted()
      const series = this.kept.get(ids[i]!)
      const slots = series && slotsOf(series, range)
      await each(i, slots)
      // Nobody may look at them any more.
      slots?.values.fill(-666)
      await Bun.sleep(0)
    }
  }

  plan(ids: Uint32Array, range: FetchRange): FetchPlan {
    const spans = new Map<string, SlotSpan>()
    let slots = 0
    for (const id of ids) {
      const series = this.kept.get(id)
      if (!series) continue
      const { start, step, values } = slotsOf(series, range)
      spans.set(`${start} ${step}`, { start, step, count: values.length })
      slots += values.length
    }
    return { spans: [...spans.values()], slots }
  }

  ruleOf(id: number): SeriesRule | undefined {
    return this.kept.get(id)?.rule
  }

  remove(id: number): void {
    this.kept.delete(id)
  }

  rename(id: number, path: string): void {
    this.kept.get(id)!.path = path
  }

  redefine(id: number, rule: SeriesRule): void {
    this.kept.get(id)!.rule = rule
  }

  lastSeen(id: number): number {
    return this.kept.get(id)?.lastSeen ?? 0
  }

  deletionNow(): number | undefined {
    if (!this.mayDelete) return undefined
    let newest = 0
    for (const { lastSeen } of this.kept.values()) newest = Math.max(newest, lastSeen)
    return newest
  }

  async load(id: number, slots: FetchedSlots): Promise<boolean> {
    const series = this.kept.get(id)!
    slots.values.forEach((value, i) => {
      if (!Number.isNaN(value)) series.slots.set(slots.start + i * slots.step, value)
    })
    return this.accepts
  }

  acceptsPoints(): boolean {
    return this.accepts
  }

  acceptsSeries(): boolean {
    return this.accepts
  }

  notReady(): string[] {
    return []
  }

  async flush(): Promise<void> {}
  async snapshot(): Promise<void> {}
  async check(): Promise<CheckReport> {
    return { files: 0, bytes: 0, checked: 0, problems: [] }
  }
  async close(): Promise<void> {}
}

function slotsOf(series: Kept, { from, until, now }: FetchRange): FetchedSlots {
  const archives = series.rule.archives
  const archive = archives.find(({ step, count }) => step * count >= now - from) ?? archives.at(-1)!
  const { step } = archive
  const start = from - (from % step) + step
  const end = until - (until % step) + step
  const values = new Float64Array(Math.max(0, (end - start) / step)).fill(NaN)
  for (const [timestamp, value] of series.slots) {
    const at = (timestamp - (timestamp % step) - start) / step
    if (at >= 0 && at < values.length) values[at] = value
  }
  return { start, step, values }
}
