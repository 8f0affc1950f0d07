/**
 * A store in memory that speaks query.sock's protocol (src/ipc/store-protocol.ts), for tests of the api
 * alone. It can be made slow, silent or broken, and remembers what it was asked.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Socket } from 'bun'
import { type Frame, FrameReader, FrameType } from '../../src/ipc/frame-format.ts'
import {
  appendJson,
  appendSeries,
  decodeJson,
  frameId,
  type FetchRequest,
  type FindMatch,
  type Selector,
  type StoreFailure,
  type StoreRequest,
} from '../../src/ipc/store-protocol.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import type { AggregationMethod } from '../../src/metric/consolidation.ts'
import { compileGlob, matchesNode } from '../../src/metric/glob.ts'
import { parseTaggedPath } from '../../src/metric/path.ts'

export interface StoredSeries {
  readonly start: number
  readonly step: number
  readonly values: readonly number[]
  readonly method?: AggregationMethod
  readonly xFilesFactor?: number
}

export class FakeStore {
  readonly path: string
  readonly series = new Map<string, StoredSeries>()
  readonly asked: StoreRequest[] = []
  readonly cancelled: number[] = []
  /** Answers come this much later. */
  delayMs = 0
  /** Nothing is answered at all. */
  silent = false
  failure: StoreFailure | undefined
  private readonly dir: string
  private server: ReturnType<typeof Bun.listen> | undefined
  private readonly sockets = new Set<Socket<unknown>>()

  constructor() {
    this.dir = mkdtempSync(`${tmpdir()}/fake-store-`)
    this.path = `${this.dir}/query.sock`
    this.listen()
  }

  /** Who is connected now. */
  get connections(): number {
    return this.sockets.size
  }

  set(path: string, series: StoredSeries): this {
    this.series.set(path, series)
    return this
  }

  listen(): void {
    rmSync(this.path, { force: true })
    const readers = new Map<Socket<unknown>, FrameReader>()
    this.server = Bun.listen({
      unix: this.path,
      socket: {
        open: (socket) => {
          this.sockets.add(socket)
          const unsent = new Outgoing(socket)
          outgoing.set(socket, unsent)
          readers.set(
            socket,
            new FrameReader({
              bytesMax: 64 * 1024 * 1024,
              onFrame: (frame) => this.receive(unsent, frame),
            }),
          )
        },
        data: (socket, bytes) => readers.get(socket)!.feed(bytes),
        drain: (socket) => outgoing.get(socket)!.drain(),
        close: (socket) => {
          this.sockets.delete(socket)
          readers.delete(socket)
        },
      },
    })
  }

  /** Hangs up on everybody and takes nobody, until `listen`. */
  hangUp(): void {
    this.server?.stop(true)
    for (const socket of this.sockets) socket.terminate()
    this.sockets.clear()
  }

  close(): void {
    this.hangUp()
    rmSync(this.dir, { recursive: true, force: true })
  }

  private receive(out: Outgoing, frame: Frame): void {
    const id = frameId(frame.payload)
    if (frame.type === FrameType.cancel) {
      this.cancelled.push(id)
      return
    }
    const request = decodeJson<StoreRequest>(frame.payload)
    this.asked.push(request)
    if (this.silent) return
    const answer = (): void => {
      const writer = new ByteWriter(1024)
      try {
        this.answer(writer, id, request)
      } catch (error) {
        writer.reset()
        appendJson(writer, FrameType.failure, id, { code: 'bad', text: String(error) })
      }
      out.write(writer.copy())
    }
    if (this.delayMs > 0) setTimeout(answer, this.delayMs)
    else answer()
  }

  private answer(out: ByteWriter, id: number, request: StoreRequest): void {
    if (this.failure) return appendJson(out, FrameType.failure, id, this.failure)
    if (request.op === 'fetch') return this.fetch(out, id, request)
    appendJson(out, FrameType.reply, id, this.reply(request))
  }

  private reply(request: Exclude<StoreRequest, FetchRequest>): unknown {
    switch (request.op) {
      case 'find':
        return {
          matches: request.patterns.map((pattern) => this.find(pattern, request.leavesOnly)),
        }
      case 'index': {
        const paths = [...this.series.keys()].sort().filter((path) => path > request.after)
        return { paths: paths.slice(0, request.namesMax), more: paths.length > request.namesMax }
      }
      case 'register':
        for (const path of request.paths) this.set(path, { start: 0, step: 1, values: [] })
        return { paths: request.paths }
      case 'delete':
        return { deleted: request.paths.filter((path) => this.series.delete(path)).length }
      case 'rename':
        return { renamed: false }
      case 'info':
        return {
          series: request.paths
            .filter((path) => this.series.has(path))
            .map((path) => {
              const { start, step, values, method, xFilesFactor } = this.series.get(path)!
              return {
                path,
                archives: [{ step, count: 3_600 }],
                method: method ?? 'average',
                xFilesFactor: xFilesFactor ?? 0,
                lastSeen: start + step * (values.length - 1),
              }
            }),
        }
      case 'tags':
        return this.tags(request)
    }
  }

  private tags(request: Extract<StoreRequest, { op: 'tags' }>): unknown {
    const tagged = [...this.series.keys()].map((path) => {
      const parsed = parseTaggedPath(path)
      if (!parsed.ok) throw new Error(parsed.error)
      return { path, tags: new Map([['name', parsed.value.name], ...parsed.value.tags]) }
    })
    switch (request.ask) {
      case 'findSeries':
        return { names: this.select({ tagExpressions: request.expressions }) }
      case 'tags':
        return {
          names: sortedSet(tagged.flatMap(({ tags }) => [...tags.keys()])).slice(0, request.limit),
        }
      case 'completeTags': {
        const names = sortedSet(tagged.flatMap(({ tags }) => [...tags.keys()]))
        return {
          names: names.filter((name) => name.startsWith(request.prefix)).slice(0, request.limit),
        }
      }
      case 'values':
      case 'completeValues': {
        const prefix = request.ask === 'values' ? '' : request.prefix
        const all = tagged.flatMap(({ tags }) => tags.get(request.tag) ?? [])
        const names = sortedSet(all)
          .filter((name) => name.startsWith(prefix))
          .slice(0, request.limit)
        return { names, counts: names.map((name) => all.filter((one) => one === name).length) }
      }
    }
  }

  private fetch(out: ByteWriter, id: number, request: FetchRequest): void {
    let series = 0
    let points = 0
    request.selectors.forEach((selector, index) => {
      for (const path of this.select(selector)) {
        const one = cutRange(this.series.get(path)!, request)
        series++
        points += one.values.length
        appendSeries(out, id, {
          selector: index,
          name: path,
          ...one,
          method: this.series.get(path)!.method ?? 'average',
          xFilesFactor: this.series.get(path)!.xFilesFactor ?? 0,
          isShown: false,
        })
      }
    })
    if (series > request.seriesMax || points > request.pointsMax) {
      out.reset()
      return appendJson(out, FrameType.failure, id, {
        code: 'limit',
        text: 'too many series or points',
      })
    }
    appendJson(out, FrameType.end, id, { series, points })
  }

  private select(selector: Selector): string[] {
    if ('pattern' in selector) {
      return this.find(selector.pattern, true).map((match) => match.path)
    }
    return [...this.series.keys()].sort().filter((path) => {
      const parsed = parseTaggedPath(path)
      if (!parsed.ok) return false
      const tags = new Map([['name', parsed.value.name], ...parsed.value.tags])
      return selector.tagExpressions.every((expression) => {
        const parts = /^([^;!=]+)(!?=~?)([^;]*)$/.exec(expression)
        if (!parts) throw new Error(`tag expression ${expression} is none`)
        const [, tag, operator, wanted] = parts
        const value = tags.get(tag!) ?? ''
        const fits = operator!.includes('~')
          ? new RegExp(`^(?:${wanted})`).test(value)
          : value === wanted
        return operator!.startsWith('!') ? !fits : fits
      })
    })
  }

  private find(pattern: string, leavesOnly: boolean): FindMatch[] {
    const globs = compileGlob(pattern)
    if (!globs.ok) return []
    const matches = new Map<string, FindMatch>()
    for (const path of this.series.keys()) {
      const nodes = path.split('.')
      if (globs.value[0]?.kind === 'walk' && globs.value.length === 1) {
        matches.set(`1${path}`, { path, isLeaf: true })
      }
      if (nodes.length < globs.value.length) continue
      if (!globs.value.every((glob, i) => matchesNode(glob, nodes[i]!))) continue
      const isLeaf = nodes.length === globs.value.length
      if (leavesOnly && !isLeaf) continue
      const found = nodes.slice(0, globs.value.length).join('.')
      matches.set(`${Number(isLeaf)}${found}`, { path: found, isLeaf })
    }
    return [...matches.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
  }
}

/** The slots in (from, until], rounded up to the step. */
function cutRange(
  { start, step, values }: StoredSeries,
  { from, until }: { from: number; until: number },
): { start: number; step: number; values: Float64Array } {
  // As a store with an archive of 100,000 slots would.
  const earliest = Math.max(from, until - 100_000 * step)
  const first = Math.floor(earliest / step) * step + step
  const last = Math.floor(until / step) * step
  const count = Math.max(0, (last - first) / step + 1)
  const cut = new Float64Array(count).fill(NaN)
  for (let i = 0; i < count; i++) {
    const value = values[(first + i * step - start) / step]
    if (value !== undefined) cut[i] = value
  }
  return { start: first, step, values: cut }
}

function sortedSet(names: readonly string[]): string[] {
  return [...new Set(names)].sort()
}

const outgoing = new WeakMap<Socket<unknown>, Outgoing>()

/** What a socket has not taken yet. */
class Outgoing {
  private waiting: Uint8Array[] = []
  private readonly socket: Socket<unknown>

  constructor(socket: Socket<unknown>) {
    this.socket = socket
  }

  write(bytes: Uint8Array): void {
    if (this.waiting.length > 0) {
      this.waiting.push(bytes)
      return
    }
    const taken = Math.max(0, this.socket.write(bytes))
    if (taken < bytes.length) this.waiting.push(bytes.subarray(taken))
  }

  drain(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const bytes of waiting) this.write(bytes)
  }
}
