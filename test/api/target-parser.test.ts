import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { type Expression, firstPath, parseTarget } from '../../src/api/target-parser.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

/** The tree in one line: calls as name[…], strings in quotes, floats with `f`. */
function show(expression: Expression): string {
  switch (expression.kind) {
    case 'path':
      return expression.text
    case 'call': {
      const named = expression.named.map(({ name, value }) => `${name}=${show(value)}`)
      return `${expression.name}[${[...expression.args.map(show), ...named].join(' ')}]`
    }
    case 'template': {
      const variables = expression.variables.map(({ name, value }) => `${name}=${show(value)}`)
      return `template[${[show(expression.body), ...variables].join(' ')}]`
    }
    case 'number':
      return `${expression.value}${expression.isInteger ? '' : 'f'}`
    case 'string':
      return `"${expression.text}"`
    case 'boolean':
      return String(expression.value)
    case 'none':
      return 'none'
  }
}

function ok(target: string, want: string): void {
  test(`parses ${target.slice(0, 60)}`, () => {
    const parsed = parseTarget(target)
    expect(parsed.ok ? show(parsed.value) : parsed.error).toBe(want)
  })
}

function bad(target: string, message: string): void {
  test(`refuses ${target.slice(0, 60)}`, () => {
    const parsed = parseTarget(target)
    expect(parsed.ok ? show(parsed.value) : parsed.error).toContain(message)
  })
}

describe('parseTarget()', () => {
  ok('a.b.c', 'a.b.c')
  ok('servers.*.cpu-{user,system}.[0-9]?', 'servers.*.cpu-{user,system}.[0-9]?')
  ok('disk.used;dc=eu;host=a', 'disk.used;dc=eu;host=a')
  ok('a.b\\.c\\(d\\)', 'a.b.c(d)')
  ok('größe.日本', 'größe.日本')
  ok('sumSeries( a.* , b )', 'sumSeries[a.* b]')
  ok('sumSeries (a)', 'sumSeries[a]')
  ok('randomWalk()', 'randomWalk[]')
  ok('a|scale(2)|alias("x")', 'alias[scale[a 2] "x"]')
  ok('a | scale( 2.0 ) ', 'scale[a 2f]')
  ok('sumSeries(a|scale(2), b)', 'sumSeries[scale[a 2] b]')
  ok('f(a, 1, -1, 1.5, 1e3, -1.5e-3)', 'f[a 1 -1 1.5f 1000f -0.0015f]')
  ok('f(a, true, False, none, None, inf)', 'f[a true false none none Infinityf]')
  ok('f(5xx.count, true.x, 1)', 'f[5xx.count true.x 1]')
  ok('f(YWJj==, eA=)', 'f[YWJj== eA=]')
  ok('f("a\\"b", \'c"d\', "\\1")', 'f["a\\"b" "c"d" "\\1"]')
  ok('sortByName(a, natural=true, reverse=false)', 'sortByName[a natural=true reverse=false]')
  ok('template(a.$host.b, host="x")', 'template[a.$host.b host="x"]')
  ok('template(sum(a.$1), "x", 3)', 'template[sum[a.$1] 1="x" 2=3]')

  bad('', 'column 1: expected a path or a function call, found the end')
  bad('(', 'column 1: expected a path or a function call, found "("')
  bad('a)', 'column 2: unexpected ")"')
  bad('a,b', 'column 2: unexpected ","')
  bad('sumSeries(a', 'column 12: expected ")", found the end')
  bad('sumSeries(a,)', 'column 13: expected a path or a function call')
  bad('a..b', 'column 3: expected a node of a path after "."')
  bad('a.{b,c', 'column 3: "{" without its "}"')
  bad('alias(a, "x)', 'column 10: expected the closing quote')
  bad('f(a, k=1, b)', 'column 11: expected name=value after')
  bad('a | b', 'column 5: expected a function call after "|"')
  bad('template(a, b)', 'template() takes nothing else')
  bad(`${'f('.repeat(40)}a${')'.repeat(40)}`, 'more than 32 function calls')
  bad(`a${'|f()'.repeat(40)}`, 'more than 32 pipes')
  bad('x'.repeat(70_000), 'at most 65536')

  test('keeps what a call was written like', () => {
    const parsed = parseTarget(' seriesByTag( "a=b" ) ')
    expect(parsed.ok && parsed.value.kind === 'call' && parsed.value.raw).toBe(
      'seriesByTag( "a=b" )',
    )
  })

  test('answers a tree or an error for any text', () => {
    const piece = fc.constantFrom(
      'sum',
      '(',
      ')',
      ',',
      '|',
      '"',
      "'",
      '.',
      '*',
      '{',
      '}',
      '\\',
      ' ',
      '=',
      '1',
      '-',
      'a',
      'true',
      '$x',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (target) => {
        const parsed = parseTarget(target)
        expect(parsed.ok || typeof parsed.error === 'string').toBe(true)
      }),
    )
  })
})

describe('firstPath()', () => {
  const cases: [string, string | undefined][] = [
    ['scale(a.b,2)', 'a.b'],
    ['timeShift(scale(a.b,2), "-1d")', 'a.b'],
    ['my own legend (avg: 4.0)', 'my'],
    ['randomWalk("x")', undefined],
  ]
  test.each(cases)('%s', (name, want) => {
    expect(firstPath(name)).toBe(want)
  })
})
