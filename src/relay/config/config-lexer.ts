/**
 * Tokens of relay.conf (carbon-c-relay conffile.l). Which words are keywords depends on the place
 * (config-keywords.ts); in a state with identifiers the longest word counts, in the others a keyword does not
 * need a blank behind it.
 *
 * Strings are in quotes, where a backslash takes the next character as it is, or bare words, where a
 * backslash and a blank stand for a blank inside the word (both are kept). At most 1,023 bytes in quotes.
 */

import { KEYWORDS, type State, WITH_IDENTIFIERS, WITH_NUMBERS } from './config-keywords.ts'

export type TokenKind = 'word' | 'string' | 'number' | 'sign' | 'unexpected' | 'end'

export interface Token {
  readonly kind: TokenKind
  /** The keyword, the string's content, the number's digits or the sign. */
  readonly text: string
  readonly line: number
  /** First and last column, from 0. */
  readonly start: number
  readonly stop: number
}

export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
  readonly token: Token

  constructor(message: string, token: Token) {
    super(message)
    this.token = token
  }
}

/** A blank inside a word: a backslash before it, and a character of words on either side. */
const IDENTIFIER =
  /[a-zA-Z0-9[\](){}|\\^?*$&%<>:/,._+-](?:(?:\\ )?[a-zA-Z0-9[\](){}|\\^?*$&%<>:/,._+-])*/y
const NUMBER = /[0-9]+/y
const BLANKS = /[ \t\r]+/y
const LINE_ENDS = /\n+/y
/** The last line need not end. */
const COMMENT = /#[^\n]*(?:\n|$)/y
const WORD = /[a-z0-9_]+/y
const STRING_BYTES_MAX = 1023

export class ConfigLexer {
  private readonly text: string
  private at: number
  private line: number
  private lineStart: number
  private state: State
  private afterString: State
  /** The end of the file is where this was. */
  private previous: Token

  /** `text` is latin1: one character a byte. */
  constructor(text: string) {
    this.text = text
    this.at = 0
    this.line = 1
    this.lineStart = 0
    this.state = 'initial'
    this.afterString = 'initial'
    this.previous = { kind: 'end', text: '', line: 1, start: 0, stop: 0 }
  }

  next(): Token {
    this.skipBlanks()
    if (this.at >= this.text.length) return { ...this.previous, kind: 'end', text: '' }
    this.previous = this.read()
    return this.previous
  }

  private read(): Token {
    const char = this.text[this.at]!
    if (char === ';') {
      this.state = 'initial'
      return this.take('sign', ';', 1)
    }
    if (WITH_IDENTIFIERS.has(this.state)) return this.identifier(char)
    if (WITH_NUMBERS.has(this.state)) {
      const number = this.scan(NUMBER)
      if (number !== '') return this.take('number', number, number.length)
    }
    return this.keyword(char)
  }

  private identifier(char: string): Token {
    if (char === '"') return this.quoted()
    if (char === '=' && this.state.startsWith('cluster')) return this.take('sign', '=', 1)
    const word = this.scan(IDENTIFIER)
    if (word === '') return this.take('unexpected', char, 1)
    if (word === '*' && this.state === 'matchWords') return this.take('sign', '*', 1)
    if (Object.hasOwn(KEYWORDS[this.state], word)) return this.takeKeyword(word, word.length)
    if (WITH_NUMBERS.has(this.state) && /^[0-9]+$/.test(word)) {
      return this.take('number', word, word.length)
    }
    const token = this.take('string', word, word.length)
    this.state = this.afterString
    return token
  }

  /** In a state without identifiers: the longest keyword that the text here begins with. */
  private keyword(char: string): Token {
    const run = this.scan(WORD)
    const keywords = KEYWORDS[this.state]
    for (let length = run.length; length > 0; length--) {
      const word = run.slice(0, length)
      if (this.state === 'aggregate' && /^percentile[0-9]+$/.test(word)) {
        return this.take('word', word, length)
      }
      if (Object.hasOwn(keywords, word)) return this.takeKeyword(word, length)
    }
    return this.take('unexpected', char, 1)
  }

  private takeKeyword(word: string, length: number): Token {
    const [next, afterString] = KEYWORDS[this.state][word]!
    this.state = next
    if (afterString !== undefined) this.afterString = afterString
    return this.take('word', word, length)
  }

  private quoted(): Token {
    let content = ''
    let at = this.at + 1
    for (; ; at++) {
      const char = this.text[at]
      if (char === undefined || char === '\n') this.failUnterminated(at)
      if (char === '"') break
      if (char === '\\' && this.text[at + 1] === '\n') {
        this.at = at
        return this.take('unexpected', char, 1)
      }
      if (char === '\\') at++
      content += this.text[at] ?? ''
      if (content.length > STRING_BYTES_MAX) this.fail('string too large', at)
    }
    if (content === '') this.fail('empty string', at)
    this.at = at + 1
    this.state = this.afterString
    return this.token('string', content, at, at)
  }

  /** The place is the beginning of the next line; in the last line, what there is of the string. */
  private failUnterminated(at: number): never {
    if (this.text[at] === undefined) this.fail('unterminated string', this.at + 1, at - 1)
    this.line++
    this.lineStart = at
    this.fail('unterminated string', at)
  }

  private fail(message: string, start: number, stop = start): never {
    throw new SyntaxProblem(message, this.token('unexpected', '', start, stop))
  }

  private scan(pattern: RegExp): string {
    pattern.lastIndex = this.at
    return pattern.exec(this.text)?.[0] ?? ''
  }

  private take(kind: TokenKind, text: string, length: number): Token {
    const start = this.at
    this.at = start + length
    return this.token(kind, text, start, start + length - 1)
  }

  private token(kind: TokenKind, text: string, start: number, stop: number): Token {
    const base = this.lineStart
    return { kind, text, line: this.line, start: start - base, stop: stop - base }
  }

  /**
   * Blanks, line ends and comments, a run of one kind at a time: the end of the file is where the last of them
   * was. A comment runs to the end of its line, and is found at the beginning of the next one.
   */
  private skipBlanks(): void {
    for (;;) {
      const blanks = this.scan(BLANKS)
      const ends = this.scan(LINE_ENDS)
      const comment = this.scan(COMMENT)
      const length = blanks.length + ends.length + comment.length
      if (length === 0) return
      const start = this.at
      this.at += length
      if (blanks === '') {
        this.line += comment === '' ? length : 1
        this.lineStart = this.at
        this.previous = this.token('end', '', this.at, this.at + length - 1)
      } else this.previous = this.token('end', '', start, start + length - 1)
    }
  }
}
