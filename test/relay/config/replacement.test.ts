import { describe, expect, test } from 'bun:test'
import { compileExpression } from '../../../src/relay/config/expression.ts'
import { Replacement } from '../../../src/relay/config/replacement.ts'

function rewrite(name: string, expression: string, into: string): string {
  const compiled = compileExpression(expression)
  if (!compiled.ok) throw new Error(compiled.error)
  return new Replacement(into).apply(name, compiled.value.exec(name)!)
}

describe('Replacement', () => {
  test.each([
    ['a.b.c', '(.*)', 'x.\\1', 'x.a.b.c'],
    ['sys.Web.CPU', '^sys\\.([^.]+)\\.(.*)$', '\\_1.\\^2', 'web.CPU'],
    ['sys.Web.cpu', '^sys\\.([^.]+)\\.(.*)$', 'h.\\^1.\\_2', 'h.WEB.cpu'],
    ['a.b.c.d', '^a\\.(.*)$', 'x.\\.1', 'x.b_c_d'],
    ['a.B.c', '^a\\.(.*)$', '\\_.1', 'b_c'],
    ['a.B.c', '^a\\.(.*)$', '\\^.1', 'B_C'],
    ['one.two', '(one)\\.(two)', '\\2\\1', 'twoone'],
    ['one.two', '(one)\\.(two)', '\\g{2}1\\g{_1}', 'two1one'],
    ['ONE.two', '(ONE)\\.(two)', '\\g{_.1}', 'one'],
    ['prefix.mid.suffix', 'm(i)d', '<\\1>', 'prefix.<i>.suffix'],
    ['a.b', '^a', 'z', 'z.b'],
    ['a.b', 'b$', 'z', 'a.z'],
    ['a.b', '(a)|(x)', '\\1\\2', 'a.b'],
    ['a.b', '(a)', '\\3-\\0', '-.b'],
    ['a.b', '(a)', 'x\\', 'x.b'],
    ['A.B', '(A)\\.(B)', '\\_1\\_2', 'a_2'],
  ])('%p: %p into %p is %p', (name, expression, into, want) => {
    expect(rewrite(name, expression, into)).toBe(want)
  })
})
