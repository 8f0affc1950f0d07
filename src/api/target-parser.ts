/**
 * The target language of /render (graphite-web render/grammar_unsafe.py), parsed strictly: what does not
 * parse as a whole is an error that names the column.
 *
 * ```
 * target   := operand ('|' call)*              a pipe's left side becomes the call's first argument
 * operand  := call | path
 * call     := name '(' [argument (',' argument)*] ')'      name=value arguments come last
 * argument := number | string | true | false | none | inf | target
 * path     := nodes joined by dots; globs, {a,b} and \x for a literal ( ) { } , . ' " \ | =
 * template := 'template(' target (',' [name=]literal)* ')'
 * ```
 *
 * Strings are in single or double quotes and nothing in them is unescaped: `"\1"` is backslash, one.
 * Numbers and keywords count as such only where an argument ends behind them, so `5xx.count` is a path.
 *
 * Limits: 64 KiB a target, 32 levels of calls. Parsed targets are kept: 1,000 of them, shared, never changed.
 */

import { err, ok, type Result } from '../lib/result.ts'

export type Expression = Path | Call | Template | Literal

export interface Path {
  readonly kind: 'path'
  readonly text: string
}

export interface Call {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expression[]
  readonly named: readonly NamedArgument[]
  /** As it was written, without what was piped in. */
  readonly raw: string
}

export interface NamedArgument {
  readonly name: string
  readonly value: Expression
}

export interface Template {
  readonly kind: 'template'
  readonly body: Expression
  /** Values of `$1`, `$2`…, and of `$name`. */
  readonly variables: readonly { readonly name: string; readonly value: Literal }[]
}

export type Literal =
  | { readonly kind: 'number'; readonly value: number; readonly isInteger: boolean }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'none' }

export const TARGET_BYTES_MAX = 65_536
const LEVELS_MAX = 32
const CACHED_TARGETS_MAX = 1_000
/** Longer targets are parsed anew: the cache is to stay small. */
const CACHED_TARGET_BYTES_MAX = 4_096

const cache = new Map<string, Expression>()

/** The tree of a target; the error names the column. */
export function parseTarget(text: string): Result<Expression> {
  const cached = cache.get(text)
  if (cached) return ok(cached)
  if (text.length > TARGET_BYTES_MAX) {
    return err(`target of ${text.length} bytes: at most ${TARGET_BYTES_MAX} are taken`)
  }
  const parser = new Parser(text)
  try {
    const expression = parser.target()
    parser.expectEnd()
    remember(text, expression)
    return ok(expression)
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error
    return err(
      `cannot parse target ${quoteAround(text, error.at)}: column ${error.at + 1}: ${error.message}`,
    )
  }
}

/** The first path in a name such as `scale(a.b,2)`; undefined when it has none. Names need not parse. */
export function firstPath(name: string): string | undefined {
  const parsed = parseTarget(name)
  if (!parsed.ok) return /^\s*([^\s(){},'"|\\]+)/.exec(name)?.[1]
  let expression = parsed.value
  while (expression.kind === 'call') {
    const first = expression.args[0]
    if (!first) return undefined
    expression = first
  }
  return expression.kind === 'path' ? expression.text : undefined
}

function remember(text: string, expression: Expression): void {
  if (text.length > CACHED_TARGET_BYTES_MAX) return
  if (cache.size >= CACHED_TARGETS_MAX) {
    const oldest = cache.keys().next()
    if (!oldest.done) cache.delete(oldest.value)
  }
  cache.set(text, expression)
}

/** The target in quotes, or the 60 characters around the place. */
function quoteAround(text: string, at: number): string {
  if (text.length <= 120) return JSON.stringify(text)
  const from = Math.max(0, at - 40)
  return `…${JSON.stringify(text.slice(from, at + 20))}…`
}

class SyntaxProblem extends Error {
  readonly at: number

  constructor(at: number, message: string) {
    super(message)
    this.at = at
  }
}

const BLANK_RE = /\s*/y
const CALL_START_RE = /([A-Za-z_][A-Za-z0-9_]*)\s*\(/y
/** A path may end in `=`, as base64 does. */
const NAMED_ARGUMENT_RE = /([A-Za-z_][A-Za-z0-9_]*)\s*=(?=\s*[^\s),=])/y
const NUMBER_RE = /-?\d+(?:\.\d+)?(?:[eE]-?\d+)?(?=\s*(?:[,)|]|$))/y
const KEYWORD_RE = /(?:true|false|none|inf)(?=\s*(?:[,)]|$))/iy
const STRING_RE = /"(?:[^"\n\r\\]|""|\\.)*"|'(?:[^'\n\r\\]|''|\\.)*'/y
const PATH_CHARS_RE = /[^\s(){},.'"\\|\p{Cc}]+/uy
const ESCAPED_RE = /\\([(){},.'"\\|=])/y

class Parser {
  readonly #text: string
  #at = 0
  #level = 0

  constructor(text: string) {
    this.#text = text
  }

  target(): Expression {
    let expression = this.#operand()
    for (let pipes = 0; ; pipes++) {
      this.#skipBlanks()
      if (!this.#take('|')) return expression
      if (pipes === LEVELS_MAX) this.#fail(`more than ${LEVELS_MAX} pipes in a row`)
      this.#skipBlanks()
      const start = this.#at
      const name = this.#match(CALL_START_RE)
      if (!name) this.#fail('expected a function call after "|"')
      expression = this.#call(name[1]!, start, expression)
    }
  }

  expectEnd(): void {
    this.#skipBlanks()
    if (this.#at < this.#text.length) this.#fail(`unexpected ${this.#here()}`)
  }

  #operand(): Expression {
    this.#skipBlanks()
    const start = this.#at
    const name = this.#match(CALL_START_RE)
    if (!name) return this.#path()
    return name[1] === 'template' ? this.#template() : this.#call(name[1]!, start, undefined)
  }

  /** Behind the opening parenthesis. */
  #call(name: string, start: number, piped: Expression | undefined): Call {
    this.#enter(start)
    const args: Expression[] = piped ? [piped] : []
    const named: NamedArgument[] = []
    this.#skipBlanks()
    if (!this.#take(')')) {
      do {
        this.#skipBlanks()
        const keyword = this.#match(NAMED_ARGUMENT_RE)
        if (keyword) named.push({ name: keyword[1]!, value: this.#argument() })
        else if (named.length > 0) this.#fail('expected name=value after another name=value')
        else args.push(this.#argument())
        this.#skipBlanks()
      } while (this.#take(','))
      this.#expect(')')
    }
    this.#level--
    return { kind: 'call', name, args, named, raw: this.#text.slice(start, this.#at) }
  }

  /** Behind `template(`. */
  #template(): Template {
    this.#enter(this.#at)
    const body = this.target()
    const variables: { name: string; value: Literal }[] = []
    let position = 1
    while (this.#take(',')) {
      this.#skipBlanks()
      const keyword = this.#match(NAMED_ARGUMENT_RE)
      const value = this.#literal()
      if (!value || (value.kind !== 'string' && value.kind !== 'number')) {
        this.#fail('expected a number or a quoted string: template() takes nothing else')
      }
      variables.push({ name: keyword?.[1] ?? String(position++), value })
      this.#skipBlanks()
    }
    this.#expect(')')
    this.#level--
    return { kind: 'template', body, variables }
  }

  #argument(): Expression {
    this.#skipBlanks()
    return this.#literal() ?? this.target()
  }

  #literal(): Literal | undefined {
    this.#skipBlanks()
    const keyword = this.#match(KEYWORD_RE)?.[0].toLowerCase()
    if (keyword === 'none') return { kind: 'none' }
    if (keyword === 'inf') return { kind: 'number', value: Infinity, isInteger: false }
    if (keyword !== undefined) return { kind: 'boolean', value: keyword === 'true' }
    const number = this.#match(NUMBER_RE)?.[0]
    if (number !== undefined) {
      return { kind: 'number', value: Number(number), isInteger: /^-?\d+$/.test(number) }
    }
    const string = this.#match(STRING_RE)?.[0]
    if (string !== undefined) return { kind: 'string', text: string.slice(1, -1) }
    if (/["']/.test(this.#text[this.#at] ?? ''))
      this.#fail('expected the closing quote of a string')
    return undefined
  }

  #path(): Path {
    let text = this.#node()
    if (text === '') this.#fail(`expected a path or a function call, found ${this.#here()}`)
    while (this.#take('.')) {
      const node = this.#node()
      if (node === '') this.#fail(`expected a node of a path after ".", found ${this.#here()}`)
      text += `.${node}`
    }
    return { kind: 'path', text }
  }

  /** Characters, escapes and braces up to the next dot or the end of the path. */
  #node(): string {
    let text = ''
    for (;;) {
      const chars = this.#match(PATH_CHARS_RE)?.[0]
      if (chars !== undefined) text += chars
      else if (this.#text[this.#at] === '{') text += this.#braces()
      else {
        const escaped = this.#match(ESCAPED_RE)
        if (!escaped) return text
        text += escaped[1]!
      }
    }
  }

  /** `{a,b{c,d}}`, dots allowed. */
  #braces(): string {
    const open = this.#at
    this.#at++
    this.#enter(open)
    let text = '{'
    for (;;) {
      text += this.#node()
      if (this.#take('}')) {
        this.#level--
        return `${text}}`
      }
      if (this.#take(',')) text += ','
      else if (this.#take('.')) text += '.'
      else {
        this.#at = open
        this.#fail('"{" without its "}"')
      }
    }
  }

  #enter(at: number): void {
    this.#level++
    if (this.#level > LEVELS_MAX) {
      throw new SyntaxProblem(at, `more than ${LEVELS_MAX} function calls inside each other`)
    }
  }

  #match(regex: RegExp): RegExpExecArray | undefined {
    regex.lastIndex = this.#at
    const match = regex.exec(this.#text)
    if (!match) return undefined
    this.#at = regex.lastIndex
    return match
  }

  #skipBlanks(): void {
    this.#match(BLANK_RE)
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #expect(char: string): void {
    if (!this.#take(char)) this.#fail(`expected ${JSON.stringify(char)}, found ${this.#here()}`)
  }

  #here(): string {
    const char = this.#text[this.#at]
    return char === undefined ? 'the end' : JSON.stringify(char)
  }

  #fail(message: string): never {
    throw new SyntaxProblem(this.#at, message)
  }
}
