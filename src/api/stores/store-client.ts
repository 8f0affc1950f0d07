/**
 * The stores behind this api, asked as one. Every question goes to all of them at once; answers are merged
 * in the order in which the stores are listed (merge.ts). A store that is down, refuses or is late is
 * noted in the request's `missing`, which becomes a response header, and the others' answer stands; only
 * when none answers does the question fail.
 *
 * Series are made (`register`) in the first listed store that can be reached, deleted in all.
 * Fails with `RenderError`: 400 and 413 for what the question is, 503 and 504 for what the stores are.
 */

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { longest } from '../../ipc/go-graphite-messages.ts'
import type {
  FetchedSeries,
  FindMatch,
  IndexReply,
  Selector,
  SeriesInfo,
  SeriesSpan,
  StoreReplies,
  StoreRequest,
  TagsReply,
} from '../../ipc/store-protocol.ts'
import { RenderError } from '../render-series.ts'
import { compareText, mergeMatches, mergeNames, mergeSeries } from './merge.ts'
import type { ValueArena } from './value-arena.ts'
import type { StoreAddress } from './store-address.ts'
import {
  type AnsweredOp,
  type Asking,
  type Question,
  StoreConnection,
  StoreError,
} from './store-connection.ts'

/** What one HTTP request brings to every question that it asks. */
export interface StoreScope {
  /** Unix seconds. */
  readonly now: number
  /** On `clock.monotonicMs()`. */
  readonly deadlineAtMs: number
  readonly signal: AbortSignal
  /** Where fetched values go: they are the request's until its answer is sent. */
  readonly values: ValueArena
  /** Stores that did not answer are added. */
  readonly missing: Set<string>
}

/** What is asked; the scope adds the rest. */
type Ask<Op extends StoreRequest['op']> =
  Question<Op> extends infer Q ? (Q extends unknown ? Omit<Q, 'op' | 'now'> : never) : never

export type TagsQuestion = Ask<'tags'>

export interface StoreClientOptions {
  readonly stores: readonly StoreAddress[]
  readonly token: string | undefined
  readonly clock: Clock
  readonly log: Log
}

export class StoreClient {
  private readonly clock: Clock
  private readonly connections: readonly StoreConnection[]

  constructor(options: StoreClientOptions) {
    this.clock = options.clock
    this.connections = options.stores.map((address) => new StoreConnection({ ...options, address }))
  }

  /** Why nothing can be answered now; a store that is down while another is up is no reason. */
  notReady(): string[] {
    const problems = this.connections.map((connection) => connection.notReady())
    return problems.includes(undefined) ? [] : problems.map((text) => `store unreachable: ${text}`)
  }

  /** How many stores cannot be asked now. */
  get downCount(): number {
    return this.connections.filter((connection) => connection.notReady() !== undefined).length
  }

  /** One list a pattern, sorted by path. */
  async find(scope: StoreScope, ask: Ask<'find'>): Promise<readonly (readonly FindMatch[])[]> {
    const replies = await this.askAll(scope, 'find', ask)
    const lists = ask.patterns.map((_, i) =>
      mergeMatches(replies.map((reply) => reply.matches[i] ?? [])),
    )
    if (!ask.withSpan) return lists
    return Promise.all(lists.map((list) => this.withSpans(scope, list)))
  }

  /** Asks for the spans that a store of an older version did not tell. */
  private async withSpans(
    scope: StoreScope,
    matches: readonly FindMatch[],
  ): Promise<readonly FindMatch[]> {
    const paths = matches.filter(({ isLeaf, span }) => isLeaf && !span).map(({ path }) => path)
    if (paths.length === 0) return matches
    const spans = new Map<string, SeriesSpan>()
    for (const info of await this.info(scope, { paths })) {
      spans.set(info.path, { seconds: longest(info), lastSeen: info.lastSeen })
    }
    return matches.map((match) => {
      const span = match.span ?? spans.get(match.path)
      return match.isLeaf && span ? { ...match, span } : match
    })
  }

  /** One list a selector, each sorted by name. */
  async fetch(
    scope: StoreScope,
    ask: Ask<'fetch'>,
  ): Promise<readonly (readonly FetchedSeries[])[]> {
    const question = this.connections.length > 1 ? withAllValues(ask) : ask
    const replies = await this.all(scope, (connection, asking) =>
      connection.fetch({ ...question, op: 'fetch', now: scope.now, anyOrder: true }, asking),
    )
    const perStore = replies.map((series) => bySelector(series, ask.selectors.length))
    return ask.selectors.map((_, i) => mergeSeries(perStore.map((lists) => lists[i]!)))
  }

  async tags(scope: StoreScope, question: TagsQuestion): Promise<TagsReply> {
    const replies = await this.askAll(scope, 'tags', question)
    if (replies.length === 1) return replies[0]!
    const names = mergeNames(replies.map((reply) => reply.names))
    const kept = 'limit' in question ? names.slice(0, question.limit) : names
    if (replies.every((reply) => !reply.counts)) return { names: kept }
    const counts = new Map<string, number>()
    for (const reply of replies) {
      reply.names.forEach((name, i) =>
        counts.set(name, Math.max(counts.get(name) ?? 0, reply.counts?.[i] ?? 0)),
      )
    }
    return { names: kept, counts: kept.map((name) => counts.get(name) ?? 0) }
  }

  /** Names after `after`, at most `namesMax` of them, and whether there are more. */
  async index(scope: StoreScope, ask: { after: string; namesMax: number }): Promise<IndexReply> {
    const replies = await this.askAll(scope, 'index', ask)
    if (replies.length === 1) return replies[0]!
    // A store with more to come knows nothing of names past its last: the next piece starts there.
    const horizon = replies
      .filter((reply) => reply.more)
      .map((reply) => reply.paths.at(-1) ?? ask.after)
      .sort(compareText)[0]
    const names = mergeNames(replies.map((reply) => reply.paths))
    const known = names.filter((name) => horizon === undefined || compareText(name, horizon) <= 0)
    const paths = known.slice(0, ask.namesMax)
    return { paths, more: horizon !== undefined || paths.length < known.length }
  }

  async info(scope: StoreScope, ask: Ask<'info'>): Promise<readonly SeriesInfo[]> {
    const replies = await this.askAll(scope, 'info', ask)
    const byPath = new Map<string, SeriesInfo>()
    for (const reply of replies) {
      for (const info of reply.series) {
        const better = byPath.get(info.path)
        const lastSeen = Math.max(info.lastSeen, better?.lastSeen ?? 0)
        byPath.set(info.path, { ...(better ?? info), lastSeen })
      }
    }
    return [...byPath.values()]
  }

  /** Makes series; answers their canonical names in the order given. */
  async register(scope: StoreScope, paths: readonly string[]): Promise<readonly string[]> {
    const first =
      this.connections.find((connection) => connection.notReady() === undefined) ??
      this.connections[0]!
    try {
      const question: Question<'register'> = { op: 'register', now: scope.now, paths }
      return (await first.request<'register'>(question, this.asking(scope))).paths
    } catch (error) {
      throw toRenderError(error)
    }
  }

  /** How many series were deleted, in the store that had most of them. */
  async delete(scope: StoreScope, paths: readonly string[]): Promise<number> {
    const replies = await this.askAll(scope, 'delete', { paths })
    return Math.max(...replies.map((reply) => reply.deleted))
  }

  close(): void {
    for (const connection of this.connections) connection.close()
  }

  private askAll<Op extends AnsweredOp>(
    scope: StoreScope,
    op: Op,
    ask: Ask<Op>,
  ): Promise<StoreReplies[Op][]> {
    const question = { ...ask, op, now: scope.now } as unknown as Question<Op>
    return this.all(scope, (connection, asking) => connection.request(question, asking))
  }

  /** What the stores answer, in rank; those that cannot are noted, unless none can. */
  private async all<T>(
    scope: StoreScope,
    ask: (connection: StoreConnection, asking: Asking) => Promise<T>,
  ): Promise<T[]> {
    const asking = this.asking(scope)
    const outcomes = await Promise.allSettled(
      this.connections.map((connection) => ask(connection, asking)),
    )
    const answers: T[] = []
    let failure: unknown
    outcomes.forEach((outcome, i) => {
      if (outcome.status === 'fulfilled') answers.push(outcome.value)
      else {
        failure ??= outcome.reason
        if (!isAbsence(outcome.reason)) throw toRenderError(outcome.reason)
        scope.missing.add(this.connections[i]!.address.text)
      }
    })
    if (answers.length === 0) throw toRenderError(failure)
    return answers
  }

  private asking(scope: StoreScope): Asking {
    const deadlineMs = Math.max(1, Math.ceil(scope.deadlineAtMs - this.clock.monotonicMs()))
    return { deadlineMs, signal: scope.signal, allocate: (count) => scope.values.take(count) }
  }
}

/** What is to be merged is wanted as it is stored. */
function withAllValues(ask: Ask<'fetch'>): Ask<'fetch'> {
  const { display: _, ...question } = ask
  return { ...question, selectors: ask.selectors.map(withoutHints) }
}

function withoutHints(selector: Selector): Selector {
  return 'pattern' in selector
    ? { pattern: selector.pattern }
    : { tagExpressions: selector.tagExpressions }
}

function bySelector(series: readonly FetchedSeries[], count: number): FetchedSeries[][] {
  const lists: FetchedSeries[][] = Array.from({ length: count }, () => [])
  for (const one of series) lists[one.selector]?.push(one)
  return lists
}

/** The store could not be asked, as opposed to: it says that the question is wrong. */
function isAbsence(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'unavailable' || error.code === 'deadline')
}

const STATUS = { bad: 400, limit: 413, deadline: 504, unavailable: 503, cancelled: 499 } as const

function toRenderError(error: unknown): unknown {
  return error instanceof StoreError ? new RenderError(error.message, STATUS[error.code]) : error
}
