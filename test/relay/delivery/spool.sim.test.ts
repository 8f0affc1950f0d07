/**
 * A spool on a disk that fails: syncs that fail and lie afterwards, a full disk in the middle of a write, kills,
 * power cuts that leave the unsynced end whole, cut at any byte, or as zeros. What the spool claims is held
 * against what the next process finds.
 */
import { expect, test } from 'bun:test'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import type { Batch } from '../../../src/relay/delivery/spool-format.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const DIR = '/spool/one'
const RUNS = 300
const STEPS = 120

class Bed {
  readonly disk = new SimDisk()
  readonly clock = new SimClock()
  readonly dropped = { value: 0 }
  readonly random: (below: number) => number
  spool: Spool
  /** In the spool and not released, rising. */
  kept: number[] = []
  released = 0
  private last = 0
  private isDoubted = false

  constructor(seed: number) {
    let state = seed >>> 0
    this.random = (below) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    this.disk.nowMs = () => this.clock.nowMs()
    this.spool = this.openSpool()
  }

  append(): void {
    const sequence = ++this.last
    const text = `a.b${'c'.repeat(this.random(60))} ${sequence} 1\n`
    const batch: Batch = {
      sequence,
      count: 1,
      bytes: toUtf8(text),
      names: undefined,
      nameCount: 0,
      bornMs: 0,
    }
    try {
      this.spool.append(batch)
      this.kept.push(sequence)
    } catch (error) {
      expect((error as { code?: string }).code).toBe('ENOSPC')
    }
  }

  /** Sometimes the disk has room for a part of one record. */
  fill(): void {
    const free = this.disk.space().freeBytes
    const used = this.disk.space().totalBytes - free
    this.disk.capacityBytes = this.random(2) === 0 ? Infinity : used + this.random(400)
  }

  async sync(): Promise<void> {
    if (this.random(3) === 0) this.disk.failSyncs(1 + this.random(3))
    this.isDoubted = true
    await this.spool.sync().then(
      () => (this.isDoubted = false),
      () => undefined,
    )
    this.disk.failSyncs(0)
  }

  release(): void {
    if (this.kept.length === 0) return
    this.released = this.kept[this.random(this.kept.length)]!
    this.spool.release(this.released)
    this.kept = this.kept.filter((sequence) => sequence > this.released)
  }

  readSome(): void {
    this.spool.rewind()
    let sequence = this.released
    for (let left = this.random(20); left > 0; left--) {
      const batch = this.spool.read(sequence)
      if (!batch) break
      sequence = batch.sequence
    }
  }

  /** Not while a failed sync waits to be made good: the next process cannot know of it. */
  kill(): void {
    if (this.isDoubted) return
    this.spool = this.openSpool()
    this.expectToFind(this.kept)
  }

  cutPower(): void {
    const claimed = this.spool.syncedSequence
    this.disk.powerCut({ tornBytes: this.random(300), zeroed: this.random(2) === 0 })
    this.spool = this.openSpool()
    this.kept = this.expectToFind(this.kept.filter((sequence) => sequence <= claimed))
  }

  async stop(): Promise<void> {
    this.spool.close()
    this.disk.powerCut()
    this.spool = this.openSpool()
    this.expectToFind(this.kept)
    await this.spool.sync()
  }

  private openSpool(): Spool {
    const spool = new Spool({
      dir: DIR,
      disk: this.disk,
      clock: this.clock,
      log: silentLog,
      limits: () => ({ bytesMax: 1e9, ageMsMax: 1e9 }),
      segmentBytes: 700,
      dropped: this.dropped,
      damaged: { value: 0 },
    })
    spool.open()
    return spool
  }

  /** All of `wanted`, in order, and nothing that was never given; answers what there is. */
  private expectToFind(wanted: readonly number[]): number[] {
    const found: number[] = []
    let sequence = this.released
    for (let batch = this.spool.read(sequence); batch; batch = this.spool.read(sequence)) {
      expect(batch.sequence).toBeGreaterThan(sequence)
      sequence = batch.sequence
      found.push(sequence)
    }
    expect(new Set(wanted).difference(new Set(found))).toEqual(new Set())
    expect(this.spool.lastSequence).toBeLessThanOrEqual(this.last)
    this.spool.rewind()
    return found
  }
}

test('what is claimed is there, over failing syncs, full disks, kills and power cuts', async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const bed = new Bed(seed)
    for (let step = 0; step < STEPS; step++) {
      const what = bed.random(100)
      if (what < 60) bed.append()
      else if (what < 75) await bed.sync()
      else if (what < 82) bed.release()
      else if (what < 90) bed.readSome()
      else if (what < 93) bed.fill()
      else if (what < 96) bed.kill()
      else if (what < 99) bed.cutPower()
      else {
        bed.disk.capacityBytes = Infinity
        await bed.stop()
      }
    }
  }
}, 30_000)
