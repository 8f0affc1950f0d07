/**
 * Frames from other relays: their points take the same ways as lines, and a frame is acknowledged when every
 * destination that its points went to holds them at that level (design.md §3). A sequence of a sender is
 * applied once, however often it comes. After a restart it may be handed on again, under a sequence of our own, but
 * is not aggregated again (`Aggregator.takes`), and says where its points come from (ipc/sources-format.ts), so that
 * every relay behind this one takes them once. So it is with frames that come here: points that a sender has passed on
 * already are left out, or, when this process may not have handed them on, not aggregated.
 *
 * Limits: names of one connection NAMES_MAX, then it ends and starts with a new table; SENDERS_MAX
 * senders are remembered, then those that have been away for the longest and wait for nothing are forgotten;
 * SOURCES_MAX sources of each.
 */

import { isValidPath } from '../../metric/path.ts'
import { FrameError } from '../../ipc/frame-format.ts'
import { type PointsColumns, REFUSED_ID } from '../../ipc/points-format.ts'
import type { PointsReceiver, PointsSink } from '../../ipc/points-receiver.ts'
import {
  framesSource,
  PART_POINTS,
  partSequence,
  type SourceSpan,
} from '../../ipc/sources-format.ts'
import type { Counter } from '../../lib/stats.ts'
import type { Aggregating } from '../aggregation/aggregating.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import { HeldMark } from './held.ts'
import type { Network } from '../routing/network.ts'
import { PointNames } from '../routing/point-names.ts'
import { TakenSequences } from './taken-sequences.ts'

const NAMES_MAX = 2 * 1024 * 1024
const SENDERS_MAX = 10_000
const SOURCES_MAX = 10_000

/** A frame of points as it came. */
interface Arrived {
  /** By the columns' ids. */
  readonly names: PointNames
  readonly columns: PointsColumns
  readonly sources: readonly SourceSpan[]
}

interface Frame {
  readonly sequence: number
  readonly mark: HeldMark
  written: boolean
}

interface Sender {
  readonly id: string
  /** Of what its frames name no source of. */
  readonly source: string
  /** The last sequence whose points were handed on. */
  applied: number
  written: number
  synced: number
  /** Applied and not synced, in order. */
  waiting: Frame[]
  receiver: PointsReceiver | undefined
  /** What of each source was handed on whole, the one heard of last at the end. */
  readonly sources: Map<string, TakenSequences>
}

export interface SendersOptions {
  readonly dispatcher: Dispatcher
  readonly network: Network
  readonly received: Counter
  readonly refusedNames: Counter
  /** Points that a sender had passed on before. */
  readonly repeated: Counter
  readonly aggregating: Aggregating
}

export class Senders {
  private readonly options: SendersOptions
  /** The one that was heard of last at the end. */
  private readonly senders: Map<string, Sender>

  constructor(options: SendersOptions) {
    this.options = options
    this.senders = new Map()
  }

  /** What a connection's receiver talks to. */
  sink(): PointsSink {
    let names = new PointNames()
    return {
      resolve: (name) => this.resolve(names, name),
      forget: () => (names = new PointNames()),
      points: (id, columns, sources) => this.apply(this.sender(id), { names, columns, sources }),
      lastSequences: (id) => this.sender(id),
    }
  }

  /** This connection is where the sender's acknowledgements go from now on. */
  attach(id: string, receiver: PointsReceiver): void {
    const sender = this.sender(id)
    sender.receiver = receiver
    this.senders.delete(id)
    this.senders.set(id, sender)
  }

  detach(id: string, receiver: PointsReceiver): void {
    const sender = this.sender(id)
    if (sender.receiver === receiver) sender.receiver = undefined
  }

  /** Destinations moved on: acknowledges what they hold by now. */
  acknowledge(): void {
    for (const sender of this.senders.values()) {
      if (sender.waiting.length > 0 && advance(sender)) sender.receiver?.ack(sender)
    }
  }

  private sender(id: string): Sender {
    let sender = this.senders.get(id)
    if (!sender) {
      if (this.senders.size >= SENDERS_MAX) this.forgetOne()
      sender = {
        id,
        source: framesSource(id),
        applied: 0,
        written: 0,
        synced: 0,
        waiting: [],
        receiver: undefined,
        sources: new Map(),
      }
      this.senders.set(id, sender)
    }
    return sender
  }

  private forgetOne(): void {
    for (const { id, receiver, waiting } of this.senders.values()) {
      if (receiver || waiting.length > 0) continue
      this.senders.delete(id)
      return
    }
  }

  private resolve(names: PointNames, name: Uint8Array): number {
    if (!isValidPath(name)) {
      this.options.refusedNames.value++
      return -1
    }
    if (names.count === NAMES_MAX) throw new FrameError('too many names on one connection')
    return names.add(name)
  }

  private apply(sender: Sender, arrived: Arrived): void {
    const { count, sequence } = arrived.columns
    if (sequence <= sender.applied) return
    const { network, received, aggregating } = this.options
    aggregating.beginFrame(sender.id, sequence)
    let at = 0
    for (const span of arrived.sources) {
      this.applyOwn(sender, arrived, at, span.start)
      at = span.start + span.count
      this.applySpan(sender, arrived, span)
    }
    this.applyOwn(sender, arrived, at, count)
    const version = aggregating.endFrame()
    received.value += count
    sender.applied = sequence
    const mark = new HeldMark(network.destinations, aggregating, version)
    sender.waiting.push({ sequence, mark, written: false })
    if (advance(sender)) sender.receiver?.ack(sender)
  }

  /** Points `[from, to)` of the frame: it is there that they got their first sequence. */
  private applyOwn(sender: Sender, arrived: Arrived, from: number, to: number): void {
    const { network } = this.options
    for (let at = from; at < to; at += PART_POINTS) {
      network.beginPart(sender.source, partSequence(arrived.columns.sequence, at))
      this.dispatch(arrived, at, Math.min(at + PART_POINTS, to))
      network.endPart(true)
    }
  }

  private applySpan(sender: Sender, arrived: Arrived, span: SourceSpan): void {
    const { source, sequence, start, count, isLast } = span
    const { aggregating, network, repeated } = this.options
    if (sender.sources.get(source)?.has(sequence)) {
      repeated.value += count
      return
    }
    aggregating.beginSpan(sender.id, span)
    network.beginPart(source, sequence)
    this.dispatch(arrived, start, start + count)
    network.endPart(isLast)
    aggregating.endSpan(sender.id, span)
    if (isLast) remember(sender.sources, span)
  }

  private dispatch({ names, columns }: Arrived, from: number, to: number): void {
    const { dispatcher } = this.options
    const { ids, timestamps, values } = columns
    for (let i = from; i < to; i++) {
      const id = ids[i]!
      if (id !== REFUSED_ID) dispatcher.dispatchNumbered(names, id, values[i]!, timestamps[i]!)
    }
  }
}

function remember(sources: Map<string, TakenSequences>, { source, sequence }: SourceSpan): void {
  const taken = sources.get(source) ?? new TakenSequences()
  taken.add(sequence)
  sources.delete(source)
  sources.set(source, taken)
  if (sources.size <= SOURCES_MAX) return
  for (const oldest of sources.keys()) {
    sources.delete(oldest)
    return
  }
}

/** Moves `written` and `synced` over the frames that are held; true when one of them moved. */
function advance(sender: Sender): boolean {
  const { waiting, written, synced } = sender
  for (const frame of waiting) {
    if (frame.written) continue
    if (!frame.mark.isWritten) break
    frame.written = true
    sender.written = frame.sequence
  }
  let done = 0
  while (done < waiting.length && waiting[done]!.written && waiting[done]!.mark.isSynced) {
    sender.synced = waiting[done++]!.sequence
  }
  waiting.splice(0, done)
  return sender.written > written || sender.synced > synced
}
