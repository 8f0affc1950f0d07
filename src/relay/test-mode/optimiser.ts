/**
 * The order in which carbon-c-relay tries many rules (router.c router_optimise), for its test mode: rules
 * whose expressions end in the same letters stand together, and three or more form a group. It only changes
 * the order of things that do not depend on each other, so routing itself does without it.
 *
 * Rules are dealt into blocks in one pass. `*`, `rewrite` and expressions without a tail of three letters
 * are blocks of their own that nothing is moved across; `stop` ends the collecting too.
 */

const GROUP_RULES_MIN = 3
const TAIL_LENGTH_MIN = 3
const TAIL_LENGTH_MAX = 64

export interface Optimisable {
  /** The expression as written. */
  readonly pattern: string
  /** `*`, a rewrite: never part of a group. */
  readonly fixed: boolean
  readonly stop: boolean
}

/** A run of rules, with the letters they have in common when they are a group. */
export interface Block<T> {
  readonly tail: string | undefined
  readonly rules: readonly T[]
}

interface OpenBlock<T> {
  readonly tail: string
  readonly rules: T[]
}

/** `threshold` (`-O`): with fewer rules nothing is done, nor with −1. */
export function optimise<T extends Optimisable>(
  rules: readonly T[],
  threshold: number,
): Block<T>[] {
  if (threshold < 0 || rules.length < threshold) return rules.map(alone)
  const blocks: OpenBlock<T>[] = []
  /** Blocks from here on may still be added to. */
  let collectFrom = 0
  for (const rule of rules) {
    const tail = rule.fixed ? '' : commonTail(rule.pattern)
    if (tail.length < TAIL_LENGTH_MIN) {
      blocks.push({ tail: '', rules: [rule] })
      collectFrom = blocks.length
      continue
    }
    const at = blocks.findIndex((block, index) => index >= collectFrom && block.tail === tail)
    if (at < 0) blocks.push({ tail, rules: [rule] })
    else {
      const block = blocks[at]!
      block.rules.push(rule)
      if (rule.stop) blocks.push(...blocks.splice(at, 1))
    }
    // After a stop nothing is collected before the next block that stands alone.
    if (rule.stop) collectFrom = Infinity
  }
  return blocks.flatMap(finish)
}

function alone<T>(rule: T): Block<T> {
  return { tail: undefined, rules: [rule] }
}

function finish<T>(block: OpenBlock<T>): Block<T>[] {
  if (block.tail === '' || block.rules.length < GROUP_RULES_MIN) return block.rules.map(alone)
  return [{ tail: block.tail, rules: block.rules }]
}

/** The last run of letters and `_` that stands outside parentheses; '' when the first character would be it. */
function commonTail(pattern: string): string {
  let at = pattern.length
  let depth = 0
  while (at > 0 && (depth > 0 || !isLetter(pattern[at]))) {
    const char = pattern[at]
    if (char !== ')' && char !== '(') {
      at--
      continue
    }
    let escaped = false
    for (at--; at > 0 && pattern[at] === '\\'; at--) escaped = !escaped
    if (!escaped) depth += char === ')' ? 1 : -1
  }
  if (at === 0) return ''
  let start = at + 1
  while (start > 0 && at + 1 - start < TAIL_LENGTH_MAX && isLetter(pattern[start - 1])) start--
  return pattern.slice(start, at + 1)
}

function isLetter(char: string | undefined): boolean {
  return char !== undefined && /[A-Za-z_]/.test(char)
}
