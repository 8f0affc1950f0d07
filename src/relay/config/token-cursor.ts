/**
 * The tokens of a relay.conf, one looked at before it is taken. It is read from the lexer as late as Bison
 * reads it, so that complaints name the same token: the one read last. Their texts are Bison's too: what
 * was found, and up to four tokens that would have been right.
 */

import { ConfigLexer, SyntaxProblem, type Token } from './config-lexer.ts'

const EXPECTED_MAX = 4

export class TokenCursor {
  private readonly lexer: ConfigLexer
  private ahead: Token | undefined
  /** The token that was read last, looked at or taken. */
  last: Token | undefined

  constructor(text: string) {
    this.lexer = new ConfigLexer(text)
    this.ahead = undefined
    this.last = undefined
  }

  peek(): Token {
    if (!this.ahead) {
      this.ahead = this.lexer.next()
      this.last = this.ahead
    }
    return this.ahead
  }

  shift(): Token {
    const token = this.peek()
    this.ahead = undefined
    return token
  }

  isString(): boolean {
    return this.peek().kind === 'string'
  }

  isWord(text: string): boolean {
    const token = this.peek()
    return (token.kind === 'word' || token.kind === 'sign') && token.text === text
  }

  accept(text: string): boolean {
    if (!this.isWord(text)) return false
    this.ahead = undefined
    return true
  }

  expect(...texts: string[]): string {
    const token = this.shift()
    if ((token.kind !== 'word' && token.kind !== 'sign') || !texts.includes(token.text)) {
      this.unexpected(token, texts)
    }
    return token.text
  }

  string(wanted: readonly string[] = ['crSTRING']): string {
    const token = this.shift()
    if (token.kind !== 'string') this.unexpected(token, wanted)
    return token.text
  }

  number(): number {
    const token = this.shift()
    if (token.kind !== 'number') this.unexpected(token, ['crINTVAL'])
    return Number(token.text)
  }

  unexpected(token: Token, wanted: readonly string[]): never {
    let message = 'syntax error'
    if (token.kind !== 'unexpected') message += `, unexpected ${tokenName(token)}`
    const listed = wanted.length <= EXPECTED_MAX ? wanted : []
    if (listed.length > 0) message += `, expecting ${listed.map(wantedName).join(' or ')}`
    throw new SyntaxProblem(message, token)
  }
}

function tokenName(token: Token): string {
  switch (token.kind) {
    case 'end':
      return 'end of file'
    case 'string':
      return 'string'
    case 'number':
      return 'intval'
    default:
      return `'${token.text.replace(/^(percentile)\d+$/, '$1')}'`
  }
}

function wantedName(text: string): string {
  if (text === 'crSTRING') return 'string'
  if (text === 'end of file') return text
  return text === 'crINTVAL' ? 'intval' : `'${text}'`
}
