/**
 * What a regular expression, in Bun's dialect, may cost an engine that backtracks, from one look over its
 * text. It errs on the side of too much.
 */

export interface PatternTraits {
  /** A group that repeats without bound repeats or alternates inside itself. */
  readonly explosive: boolean
  /** Backtracking takes about length^degree steps in the worst case; 0 and 1 are harmless. */
  readonly degree: number
  /** One alternative begins another, so the order of alternatives decides what is taken. */
  readonly prefixAlternatives: boolean
}

/** A group that is being read: what it has inside, and its alternatives as text. */
interface OpenGroup {
  branching: boolean
  alternatives: string[]
  start: number
}

/** Looks at a translated pattern: one pass, no tree. */
export function analyse(pattern: string): PatternTraits {
  const open: OpenGroup[] = [{ branching: false, alternatives: [], start: 0 }]
  let explosive = false
  let ambiguous = 0
  let scans = 0
  let prefixAlternatives = false
  let closed: OpenGroup | undefined
  let atom: string | undefined
  for (let at = 0; at < pattern.length;) {
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(pattern.slice(at))?.[0]
    const top = open.at(-1)!
    if (quantifier !== undefined) {
      const unbounded = /^[*+]|,\}/.test(quantifier)
      const repeated = unbounded || repeatsOften(quantifier)
      if (repeated && closed?.branching) explosive = true
      if (unbounded) {
        if (isDecided(pattern, atom, at + quantifier.length)) scans = 1
        else ambiguous++
      }
      top.branching = true
      at += quantifier.length
      closed = undefined
      continue
    }
    closed = undefined
    atom = undefined
    const char = pattern[at]!
    if (char === '(') {
      open.push({ branching: false, alternatives: [], start: at + groupHead(pattern, at) })
      at += groupHead(pattern, at)
    } else if (char === '|') {
      top.branching = true
      top.alternatives.push(pattern.slice(top.start, at))
      top.start = ++at
    } else if (char === ')' && open.length > 1) {
      closed = open.pop()!
      closed.alternatives.push(pattern.slice(closed.start, at))
      if (anyPrefix(closed.alternatives)) prefixAlternatives = true
      if (closed.branching) open.at(-1)!.branching = true
      at++
    } else {
      const length = atomLength(pattern, at)
      atom = pattern.slice(at, at + length)
      at += length
    }
  }
  const outer = open[0]!
  outer.alternatives.push(pattern.slice(outer.start))
  if (anyPrefix(outer.alternatives)) prefixAlternatives = true
  const anchored = pattern.startsWith('^') && outer.alternatives.length === 1
  return { explosive, degree: ambiguous + scans + (anchored ? 0 : 1), prefixAlternatives }
}

/**
 * Whether a repetition of `atom` can end in one place only, because what follows at `at` is nothing that the
 * atom fits: `[^.]+\.`, `(.*)$`. Giving characters back is then in vain at once, and what it costs is to go
 * over them, as often as what is before it makes it.
 */
function isDecided(pattern: string, atom: string | undefined, at: number): boolean {
  if (atom === undefined) return false
  let next = at
  while (pattern[next] === ')') {
    next++
    if (/[*+?{]/.test(pattern[next] ?? '')) return false
  }
  if (next === pattern.length || pattern[next] === '$') return true
  if (pattern[next] === '(') {
    const end = pattern.indexOf(')', next)
    if (/[|]|\(\?[^:]/.test(pattern.slice(next, end)) || /[*?{]/.test(pattern[end + 1] ?? ''))
      return false
    next += groupHead(pattern, next)
  }
  if (/[(|)^]/.test(pattern[next]!)) return false
  const length = atomLength(pattern, next)
  if (/[*?{]/.test(pattern[next + length] ?? '')) return false
  return areApart(atom, pattern.slice(next, next + length))
}

/** No character fits both atoms. Those beyond latin1 are not told apart. */
function areApart(a: string, b: string): boolean {
  const first = new RegExp(`^(?:${a})$`)
  const second = new RegExp(`^(?:${b})$`)
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code)
    if (first.test(char) && second.test(char)) return false
  }
  return !(fitsWide(a, first) && fitsWide(b, second))
}

function fitsWide(atom: string, regex: RegExp): boolean {
  return regex.test('\u2603') || /[^\0-\xff]|\\[upP]/.test(atom)
}

/** `{n}` and `{n,m}` with a large count are as bad as `*`. */
function repeatsOften(quantifier: string): boolean {
  const counts = quantifier.match(/\d+/g)
  return counts !== null && Number(counts.at(-1)) > 8
}

function groupHead(pattern: string, at: number): number {
  return /^\((?:\?(?:[:=!]|<[=!]|<\w+>|[a-z-]+:))?/.exec(pattern.slice(at))![0].length
}

function atomLength(pattern: string, at: number): number {
  if (pattern[at] === '\\') return 2
  if (pattern[at] !== '[') return 1
  let end = at + 1
  while (end < pattern.length && pattern[end] !== ']') end += pattern[end] === '\\' ? 2 : 1
  return end + 1 - at
}

function anyPrefix(alternatives: readonly string[]): boolean {
  for (let i = 0; i < alternatives.length; i++) {
    for (let k = i + 1; k < alternatives.length; k++) {
      if (alternatives[k]!.startsWith(alternatives[i]!)) return true
    }
  }
  return false
}
