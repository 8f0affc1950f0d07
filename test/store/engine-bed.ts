/** An engine on a simulated disk and clock, and the few verbs that tests of it speak. */
import type { Engine, EngineSettings, SeriesRule } from '../../src/store/engine.ts'
import { fromUtf8 } from '../../src/lib/bytes.ts'
import { openEngine } from '../../src/store/engine/open-engine.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { settle, SimClock } from '../sim/clock.ts'
import { SimDisk, type SimProcess } from '../sim/disk.ts'

export const START = 1_800_000_000

export const SECONDS: SeriesRule = {
  archives: [
    { step: 1, count: 86_400 },
    { step: 10, count: 60_480 },
    { step: 60, count: 129_600 },
  ],
  method: 'average',
  xFilesFactor: 0.5,
}

export class EngineBed {
  disk = new SimDisk()
  clock: SimClock
  stats = new Stats()
  known: { readonly id: number; readonly path: string }[] = []
  /** What the engine complained about since it was opened. */
  errors: string[] = []
  engine!: Engine
  private process: SimProcess | undefined
  readonly dir = '/store'

  constructor(startSeconds = START) {
    this.clock = new SimClock({ startMs: startSeconds * 1000 })
  }

  /** Opens the engine; one that is open is left as kill -9 leaves it. */
  async open(settings: Partial<EngineSettings> = {}): Promise<Engine> {
    // A killed process does nothing more: what it was at fails, its timers do not fire.
    this.process?.kill()
    this.process = this.disk.newProcess()
    await settle()
    this.disk.revive()
    this.clock = new SimClock({ startMs: this.clock.nowMs() })
    this.stats = new Stats()
    this.known = []
    this.errors = []
    this.engine = await openEngine({
      dir: this.dir,
      disk: this.process.disk,
      clock: this.clock,
      log: {
        ...silentLog,
        error: (message, fields) =>
          this.errors.push(`${message} ${fields?.['file']}: ${fields?.['reason']}`),
      },
      stats: this.stats,
      settings: { fsync: '1s', rollup: 'whisper', maxFuture: 3600, reserveBytes: 0, ...settings },
      onSeries: (id, bytes, start, end) =>
        this.known.push({ id, path: fromUtf8(bytes.subarray(start, end)) }),
      onProgress: () => {},
    })
    return this.engine
  }

  get now(): number {
    return Math.floor(this.clock.nowMs() / 1000)
  }

  define(path: string, rule: SeriesRule = SECONDS): number {
    const id = this.engine.nextId
    this.engine.define({ id, path, ...rule })
    return id
  }

  /** Points as [id, time, value]. */
  write(points: readonly (readonly [number, number, number])[], sequence?: number): boolean {
    return this.engine.append(
      sequence === undefined ? undefined : { sender: '00000000000000aa', sequence },
      Uint32Array.from(points, ([id]) => id),
      Uint32Array.from(points, ([, time]) => time),
      Float64Array.from(points, ([, , value]) => value),
      points.length,
    )
  }

  async read(
    id: number,
    range: { from: number; until: number; now?: number },
  ): Promise<{ start: number; step: number; values: number[] } | undefined> {
    let found: { start: number; step: number; values: number[] } | undefined
    await this.engine.fetch(Uint32Array.of(id), { now: this.now, ...range }, (_, slots) => {
      found = slots && { start: slots.start, step: slots.step, values: [...slots.values] }
    })
    return found
  }

  /** The value of one slot. */
  async valueAt(id: number, time: number, now = this.now): Promise<number | undefined> {
    return (await this.read(id, { from: time - 1, until: time, now }))?.values[0]
  }

  counter(name: string): number {
    return this.stats.entries().find((entry) => entry.name === name)?.value ?? 0
  }
}
