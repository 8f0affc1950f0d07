/**
 * Perl's regular expressions, as carbon-c-relay's PCRE builds take them, for Bun's engine: brackets in
 * POSIX's way (`[]a]`, `[[:alpha:]]`), `\A \z \Z \h \H \e \a \Q…\E`, `(?i)` in front, `(?P<name>…)`,
 * `(?#…)`, `\g{1}`. What Bun's engine would read as something else is refused by name.
 */

import { err, ok, type Result } from '../../lib/result.ts'

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alpha: 'A-Za-z',
  digit: '0-9',
  alnum: 'A-Za-z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: ' \\t\\n\\r\\f\\v',
  blank: ' \\t',
  punct: '!-\\/:-@\\[-`{-~',
  print: ' -~',
  graph: '!-~',
  cntrl: '\\x00-\\x1f\\x7f',
  xdigit: '0-9A-Fa-f',
  word: 'A-Za-z0-9_',
}

/** Escapes outside brackets that are written otherwise. */
const ESCAPES: Readonly<Record<string, string>> = {
  A: '^',
  z: '$',
  Z: '$',
  h: '[ \\t]',
  H: '[^ \\t]',
  e: '\\x1b',
  a: '\\x07',
}

/** Letters and digits that Bun's engine and Perl read alike after a backslash. */
const COMMON_ESCAPE = /[dDwWsSbBnrtfvx0-9]/

export interface Translation {
  readonly pattern: string
  readonly ignoreCase: boolean
  /** The highest group that is referred back to; 0 when none is. */
  readonly highestReference: number
  /** What a libc build of carbon-c-relay reads in another way. */
  readonly differences: readonly string[]
}

export function translate(source: string): Result<Translation> {
  const reader = new DialectReader(source)
  try {
    const pattern = reader.read()
    const { ignoreCase, highestReference, differences } = reader
    return ok({ pattern, ignoreCase, highestReference, differences })
  } catch (error) {
    if (error instanceof DialectError) return err(error.message)
    throw error
  }
}

class DialectError extends Error {
  override readonly name = 'DialectError'
}

class DialectReader {
  readonly ignoreCase: boolean
  readonly differences: string[]
  highestReference: number
  private readonly source: string
  private at: number

  constructor(source: string) {
    const insensitive = source.startsWith('(?i)')
    this.source = insensitive ? source.slice(4) : source
    this.at = 0
    this.ignoreCase = insensitive
    this.differences = []
    this.highestReference = 0
  }

  read(): string {
    let pattern = ''
    while (this.at < this.source.length) {
      const char = this.source[this.at]!
      if (char === '\\') pattern += this.escape()
      else if (char === '[') pattern += this.bracket()
      else if (char === '(') pattern += this.open()
      else {
        if (char === '+' && /[*+?}]/.test(this.source[this.at - 1] ?? '') && !this.isEscaped()) {
          throw new DialectError('possessive repetition is not supported')
        }
        pattern += char
        this.at++
      }
    }
    return pattern
  }

  /** Whether the character before this one is an escaped one. */
  private isEscaped(): boolean {
    let slashes = 0
    for (let i = this.at - 2; i >= 0 && this.source[i] === '\\'; i--) slashes++
    return slashes % 2 === 1
  }

  private escape(): string {
    const char = this.source[this.at + 1]
    if (char === undefined) throw new DialectError('\\ at the end')
    if (char === 'Q') return this.quotation()
    const numbered = /^\\(?:g\{(\d+)\}|g(\d)|([1-9]\d*))/.exec(this.source.slice(this.at))
    if (numbered) {
      const group = numbered[1] ?? numbered[2] ?? numbered[3]!
      this.highestReference = Math.max(this.highestReference, Number(group))
      this.at += numbered[0].length
      return `(?:\\${group})`
    }
    const wide = /^\\x\{([0-9A-Fa-f]{1,2})\}/.exec(this.source.slice(this.at))
    if (wide) {
      this.at += wide[0].length
      return `\\x${wide[1]!.padStart(2, '0')}`
    }
    this.at += 2
    const translated = ESCAPES[char]
    if (translated !== undefined) return translated
    if (/[A-Za-z]/.test(char) && !COMMON_ESCAPE.test(char)) {
      if (char === 'k') return '\\k'
      throw new DialectError(`\\${char} is not supported`)
    }
    if (char === 'd' || char === 'D') {
      this.differences.push(`\\${char} is a class of digits here, the letter in a libc build`)
    }
    return `\\${char}`
  }

  private quotation(): string {
    const end = this.source.indexOf('\\E', this.at)
    const stop = end < 0 ? this.source.length : end
    const literal = this.source.slice(this.at + 2, stop)
    this.at = end < 0 ? stop : stop + 2
    return literal.replaceAll(/[\\^$.|?*+()[\]{}/]/g, '\\$&')
  }

  private open(): string {
    const rest = this.source.slice(this.at)
    const comment = /^\(\?#[^)]*\)/.exec(rest)
    if (comment) {
      this.at += comment[0].length
      return ''
    }
    const named = /^\(\?P</.exec(rest)
    if (named) {
      this.at += named[0].length
      return '(?<'
    }
    if (rest.startsWith('(*')) throw new DialectError('(*VERB) is not supported')
    const special = /^\(\?(?:[:=!]|<[=!]|<[A-Za-z_]\w*>|[a-z-]+:)/.exec(rest)
    if (rest.startsWith('(?') && !special) {
      throw new DialectError(`${rest.slice(0, 3)} is not supported`)
    }
    const text = special ? special[0] : '('
    this.at += text.length
    return text
  }

  /** A bracket expression: `]` in front stands for itself, classes are spelt out. */
  private bracket(): string {
    const source = this.source
    let at = this.at + 1
    let content = ''
    if (source[at] === '^') {
      content = '^'
      at++
    }
    const first = at
    for (;;) {
      const char = source[at]
      if (char === undefined) throw new DialectError('missing ] for [')
      if (char === ']' && at > first) break
      const named = /^\[([:.=])(\^?)([^\]]*?)\1\]/.exec(source.slice(at))
      if (named) {
        content += posixClass(named)
        at += named[0].length
      } else if (char === '\\') {
        content += this.bracketEscape(source[at + 1])
        at += 2
      } else {
        content += char === ']' || char === '[' || (char === '^' && at > first) ? `\\${char}` : char
        at++
      }
    }
    this.at = at + 1
    return `[${content}]`
  }

  private bracketEscape(char: string | undefined): string {
    if (char === undefined) throw new DialectError('missing ] for [')
    if (char === 'h') return ' \\t'
    if (/[A-Za-z]/.test(char) && !COMMON_ESCAPE.test(char)) {
      throw new DialectError(`\\${char} in brackets is not supported`)
    }
    if (/[A-Za-z]/.test(char)) {
      this.differences.push(`\\${char} in brackets is a class here, two characters in a libc build`)
    }
    return `\\${char}`
  }
}

function posixClass(found: RegExpExecArray): string {
  const [whole, sign, negation, name] = found
  const members = sign === ':' && negation === '' ? POSIX_CLASSES[name!] : undefined
  if (members === undefined) throw new DialectError(`${whole} is not supported in brackets`)
  return members
}
