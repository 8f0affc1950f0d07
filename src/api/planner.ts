/**
 * What has to be known before a target is evaluated, and what has to be fetched.
 *
 * `planTarget` fills in template variables, and finds out which xFilesFactor is in force at each call: in
 * graphite-web setXFilesFactor() changes it for everything that runs after it, depth first, target by target.
 *
 * `FetchPlan` collects what all targets ask for at one level of functions, each question once, and puts it to
 * the source together: a request is one question to the store, and one more for each level of functions
 * whose range depends on data that had to be fetched first.
 */

import { nextTurn } from '../lib/clock.ts'
import type { Display, FetchedSeries, Selector } from '../ipc/store-protocol.ts'
import { RenderError, type SeriesFetch, type SeriesSource } from './render-series.ts'
import {
  type Call,
  type Expression,
  parseTarget,
  TARGET_BYTES_MAX,
  type Template,
} from './target-parser.ts'

export interface TargetPlan {
  readonly expression: Expression
  /** Of the calls where it is not the request's own. */
  readonly xFilesFactors: ReadonlyMap<Call, number>
  /** In force after this target. */
  readonly xFilesFactor: number
}

export interface PlanOptions {
  readonly template: ReadonlyMap<string, string>
  /** In force before the target. */
  readonly xFilesFactor: number
}

/** Throws `RenderError` for a target that does not parse. */
export function planTarget(text: string, options: PlanOptions): TargetPlan {
  const parsed = parseTarget(text)
  if (!parsed.ok) throw new RenderError(parsed.error)
  const expression = fillTemplates(parsed.value, options.template, undefined)
  const xFilesFactors = new Map<Call, number>()
  const xFilesFactor = traceXFilesFactor(expression, options.xFilesFactor, xFilesFactors)
  return { expression, xFilesFactors, xFilesFactor }
}

// ── templates ───────────────────────────────────────────────────────────────────────────────────────

type Variables = ReadonlyMap<string, string | number>

/** The tree without templates; the same tree when there was none. */
function fillTemplates(
  expression: Expression,
  requested: ReadonlyMap<string, string>,
  variables: Variables | undefined,
): Expression {
  switch (expression.kind) {
    case 'template':
      return fillTemplates(expression.body, requested, variablesOf(expression, requested))
    case 'path':
      return variables ? fillPath(expression.text, variables) : expression
    case 'call': {
      const fill = (part: Expression): Expression => fillTemplates(part, requested, variables)
      const args = expression.args.map(fill)
      const named = expression.named.map(({ name, value }) => ({ name, value: fill(value) }))
      const same =
        args.every((arg, i) => arg === expression.args[i]) &&
        named.every(({ value }, i) => value === expression.named[i]!.value)
      return same ? expression : { ...expression, args, named }
    }
    default:
      return expression
  }
}

/** The template's own values, and over them the request's. */
function variablesOf(template: Template, requested: ReadonlyMap<string, string>): Variables {
  const variables = new Map<string, string | number>()
  for (const { name, value } of template.variables) {
    if (value.kind === 'string') variables.set(name, value.text)
    else if (value.kind === 'number') variables.set(name, value.value)
  }
  for (const [name, value] of requested) variables.set(name, value)
  return variables
}

/** `$name` anywhere in a path; a path that is nothing else becomes a number or a string. */
function fillPath(text: string, variables: Variables): Expression {
  let filled = text
  for (const [name, value] of variables) {
    if (filled !== `$${name}`) {
      filled = replaceVariable(filled, `$${name}`, String(value))
      continue
    }
    if (typeof value === 'number') return number(value, Number.isInteger(value))
    if (/^-?[\d.]+$/.test(value) && Number.isFinite(Number(value)))
      return number(Number(value), false)
    return { kind: 'string', text: value }
  }
  return { kind: 'path', text: filled }
}

/** A value may name other variables, and so grow at every turn: up to the length of a target. */
function replaceVariable(text: string, name: string, value: string): string {
  const parts = text.split(name)
  const length = text.length + (parts.length - 1) * (value.length - name.length)
  if (length > TARGET_BYTES_MAX) {
    throw new RenderError(
      `template(): a path of ${length} bytes: at most ${TARGET_BYTES_MAX} are made`,
    )
  }
  return parts.join(value)
}

function number(value: number, isInteger: boolean): Expression {
  return { kind: 'number', value, isInteger }
}

// ── xFilesFactor ────────────────────────────────────────────────────────────────────────────────────

function traceXFilesFactor(
  expression: Expression,
  before: number,
  found: Map<Call, number>,
): number {
  if (expression.kind !== 'call') return before
  let current = before
  for (const arg of expression.args) current = traceXFilesFactor(arg, current, found)
  for (const { value } of expression.named) current = traceXFilesFactor(value, current, found)
  if (expression.name === 'setXFilesFactor' || expression.name === 'xFilesFactor') {
    const given =
      expression.args[1] ?? expression.named.find(({ name }) => name === 'xFilesFactor')?.value
    if (given?.kind === 'number') current = given.value
  }
  found.set(expression, current)
  return current
}

// ── fetches ─────────────────────────────────────────────────────────────────────────────────────────

interface Pending {
  readonly fetch: SeriesFetch
  readonly resolve: (series: readonly FetchedSeries[]) => void
  readonly reject: (reason: unknown) => void
}

export class FetchPlan {
  readonly #source: SeriesSource
  readonly #display: Display | undefined
  readonly #answers: Map<string, Promise<readonly FetchedSeries[]>>
  #pending: Pending[]

  constructor(source: SeriesSource, display: Display | undefined) {
    this.#source = source
    this.#display = display
    this.#answers = new Map()
    this.#pending = []
  }

  /** The raw series of a selector over (from, until]; asked once a request. */
  fetch(selector: Selector, since: number, until: number): Promise<readonly FetchedSeries[]> {
    const from = Math.max(since, 0)
    const key = JSON.stringify([selector, from, until])
    let answer = this.#answers.get(key)
    if (!answer) {
      answer = this.#ask({ selector, from, until })
      this.#answers.set(key, answer)
    }
    return answer
  }

  #ask(fetch: SeriesFetch): Promise<readonly FetchedSeries[]> {
    if (this.#pending.length === 0) void this.#askTogether()
    const { promise, resolve, reject } = Promise.withResolvers<readonly FetchedSeries[]>()
    this.#pending.push({ fetch, resolve, reject })
    return promise
  }

  /** In the next turn everything that can run without data has run, and has asked. */
  async #askTogether(): Promise<void> {
    await nextTurn()
    const pending = this.#pending
    this.#pending = []
    try {
      const fetches = pending.map(({ fetch }) => fetch)
      const answers = await this.#source.fetch(fetches, this.#display)
      for (let i = 0; i < pending.length; i++) pending[i]!.resolve(answers[i] ?? [])
    } catch (error) {
      for (const { reject } of pending) reject(error)
    }
  }
}
