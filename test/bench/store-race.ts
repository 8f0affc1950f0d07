/**
 * The race of stores: all are given the recorded hour again and again, as the last whole hours of the clock. The
 * first round warms up and is sealed like the rest; of the others the CPU time counts, from the first point to when
 * everything is durable and as compact as the store makes it by its own means. Bytes are those of the first round:
 * the same hour once more is not what a store is given in life, and some would make something of that.
 */
import { readdirSync, statSync } from 'node:fs'
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { nowSeconds } from '../e2e/stack.ts'
import type { HostMetrics } from './host-metrics.ts'

export interface Load {
  readonly metrics: HostMetrics
  /** How often they are sent, one after the other, after the round that warms up. */
  readonly rounds: number
}

/** A store that runs and has a connection. */
export interface Peer {
  /** All processes that a point goes through. */
  readonly pids: readonly number[]
  /** Second 0 of the metrics is at `first`, Unix time. */
  send(metrics: HostMetrics, first: number): Promise<void>
  /** Whether all points up to now have come in. */
  holds(points: number): Promise<boolean>
  seal(): Promise<void>
  /** On disk. */
  bytes(): number
}

export interface PeerRun {
  /** That were measured. */
  readonly points: number
  /** Of all processes, for these. */
  readonly cpuSeconds: number
  /** On disk, sealed, of the round that warms up. */
  readonly bytesAPoint: number
  readonly pssBytes: number
}

const WAIT_MS_MAX = 300_000

export async function race({ metrics, rounds }: Load, peer: Peer): Promise<PeerRun> {
  const { points, seconds } = metrics
  const first = (Math.floor(nowSeconds() / seconds) - rounds - 1) * seconds
  await peer.send(metrics, first)
  await until(() => peer.holds(points))
  await peer.seal()
  const bytesAPoint = peer.bytes() / points
  const before = cpuOf(peer.pids)
  for (let round = 1; round <= rounds; round++) await peer.send(metrics, first + round * seconds)
  await until(() => peer.holds(points * (rounds + 1)))
  await peer.seal()
  return {
    points: points * rounds,
    cpuSeconds: cpuOf(peer.pids) - before,
    bytesAPoint,
    pssBytes: peer.pids.reduce((sum, pid) => sum + pssBytes(pid), 0),
  }
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
}

export async function until(isDone: () => Promise<boolean>): Promise<void> {
  const limitMs = performance.now() + WAIT_MS_MAX
  while (!(await isDone().catch(() => false))) {
    if (performance.now() > limitMs) throw new Error('waited too long')
    await Bun.sleep(50)
  }
}

/** Until it has used next to no CPU for two seconds. */
export async function untilIdle(pid: number): Promise<void> {
  const limitMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    const before = cpuSeconds(pid)
    await Bun.sleep(2_000)
    if (cpuSeconds(pid) - before < 0.05 || performance.now() > limitMs) return
  }
}

export function folderBytes(dir: string): number {
  return readdirSync(dir, { withFileTypes: true }).reduce((bytes, entry) => {
    const path = `${dir}/${entry.name}`
    return bytes + (entry.isDirectory() ? folderBytes(path) : statSync(path).size)
  }, 0)
}
