/**
 * The race of stores. All are given the recorded hour of one machine as an hour of the clock, to warm up, and
 * have to seal it; then the same hour of a fleet, one whole window, as what came next. For the fleet's points all CPU
 * time counts, from the first of them to when everything is durable and as compact as the store makes it by its own
 * means. Lines come no faster than `POINTS_A_SECOND`, so that no store has to put aside what it cannot take yet. Bytes
 * are those of the one machine.
 */
import { readdirSync, statSync } from 'node:fs'
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { nowSeconds } from '../e2e/stack.ts'
import type { HostMetrics } from './host-metrics.ts'

export interface Load {
  readonly warmUp: HostMetrics
  readonly fleet: HostMetrics
}

/** A store that runs and has a connection. */
export interface Peer {
  /** All processes that a point goes through. */
  readonly pids: readonly number[]
  /** Sends seconds [from, to) of the metrics, of which second 0 is at `first`, Unix time. */
  send(metrics: HostMetrics, first: number, from: number, to: number): Promise<void>
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
  /** On disk, sealed, of the recorded hour. */
  readonly bytesAPoint: number
  readonly pssBytes: number
}

const HOUR = 3_600
const WAIT_MS_MAX = 300_000
const POINTS_A_SECOND = 100_000
/** Seconds of the recording that are sent at once. */
const BATCH_SECONDS = 10

export async function race({ warmUp, fleet }: Load, peer: Peer): Promise<PeerRun> {
  const hour = Math.floor((nowSeconds() - fleet.seconds) / HOUR) * HOUR
  await feed(peer, warmUp, hour - warmUp.seconds)
  await until(() => peer.holds(warmUp.points))
  await peer.seal()
  const bytesAPoint = peer.bytes() / warmUp.points
  const before = cpuOf(peer.pids)
  await feed(peer, fleet, hour)
  await until(() => peer.holds(warmUp.points + fleet.points))
  await peer.seal()
  return {
    points: fleet.points,
    cpuSeconds: cpuOf(peer.pids) - before,
    bytesAPoint,
    pssBytes: peer.pids.reduce((sum, pid) => sum + pssBytes(pid), 0),
  }
}

async function feed(peer: Peer, metrics: HostMetrics, first: number): Promise<void> {
  const startedMs = performance.now()
  const pointsASecond = metrics.points / metrics.seconds
  for (let from = 0; from < metrics.seconds; from += BATCH_SECONDS) {
    const to = Math.min(metrics.seconds, from + BATCH_SECONDS)
    await peer.send(metrics, first, from, to)
    const dueMs = startedMs + ((to * pointsASecond) / POINTS_A_SECOND) * 1000
    await Bun.sleep(Math.max(0, dueMs - performance.now()))
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
