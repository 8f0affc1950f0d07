import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import type { TagsRequest } from '../../../src/ipc/store-protocol.ts'
import { SeriesIndex } from '../../../src/store/index/series-index.ts'
import { endlessPatience } from '../../../src/lib/slices.ts'
import { answerTags } from '../../../src/store/queries/tag-queries.ts'
import { parseTagExpressions } from '../../../src/store/index/tag-expression.ts'
import { SimClock } from '../../sim/clock.ts'

const NAMES = [
  'cpu;dc=east;host=web1',
  'cpu;dc=east;host=web2',
  'cpu;dc=west;host=db1',
  'mem;host=web1;os=linux',
  'plain.cpu',
]

function indexOf(names: readonly string[]): SeriesIndex {
  const index = new SeriesIndex(3)
  names.forEach((name, id) => index.add(id, toUtf8(name)))
  return index
}

type Asked = TagsRequest extends infer R
  ? R extends TagsRequest
    ? Omit<R, 'now' | 'deadlineMs' | 'op'>
    : never
  : never

function ask(index: SeriesIndex, asked: Asked) {
  const request = { op: 'tags', now: 0, deadlineMs: 0, ...asked } as TagsRequest
  return answerTags(index, request, endlessPatience(new SimClock()))
}

async function find(index: SeriesIndex, ...expressions: string[]): Promise<readonly string[]> {
  return (await ask(index, { ask: 'findSeries', expressions, namesMax: 100 })).names
}

describe('tags', () => {
  test.each([
    [['dc=east'], [0, 1]],
    [['name=cpu', 'dc!=east'], [2]],
    [
      ['name=cpu', 'host=~web'],
      [0, 1],
    ],
    [['host=~eb1'], []],
    [['host=~.*1$'], [0, 2, 3]],
    [['host=~^(web|db)1'], [0, 2, 3]],
    [['host=web1', 'dc='], [3]],
    [['host=web1', 'dc!='], [0]],
    [
      ['host!=', 'os!=~lin'],
      [0, 1, 2],
    ],
    [['name=plain.cpu'], [4]],
    [['name=~p'], [4]],
    [['name=~p', 'host='], [4]],
    [['name=~.'], [0, 1, 2, 3, 4]],
    [['host=nothing'], []],
  ])('%j', async (expressions, want) => {
    expect(await find(indexOf(NAMES), ...expressions)).toEqual(want.map((i) => NAMES[i]!))
  })

  test.each([
    [[], 'empty string'],
    [['host=~.*'], 'empty string'],
    [['host!=x'], 'empty string'],
    [['=x'], 'cannot parse'],
    [['host=~('], 'cannot parse'],
  ])('refuses %j', (expressions, message) => {
    const parsed = parseTagExpressions(expressions)
    expect(parsed.ok ? '' : parsed.error).toContain(message)
  })

  test('lists tags and values, with counts', async () => {
    const index = indexOf(NAMES)
    expect((await ask(index, { ask: 'tags', filter: '', limit: 10 })).names).toEqual([
      'dc',
      'host',
      'name',
      'os',
    ])
    expect((await ask(index, { ask: 'tags', filter: 'o', limit: 10 })).names).toEqual(['os'])
    expect(await ask(index, { ask: 'values', tag: 'host', filter: '', limit: 2 })).toEqual({
      names: ['db1', 'web1'],
      counts: [1, 2],
    })
    expect(await ask(index, { ask: 'values', tag: 'name', filter: '', limit: 9 })).toEqual({
      names: ['cpu', 'mem', 'plain.cpu'],
      counts: [3, 1, 1],
    })
  })

  test('completes tags and values', async () => {
    const index = indexOf(NAMES)
    const tags = (expressions: string[], prefix: string) =>
      ask(index, { ask: 'completeTags', expressions, prefix, limit: 10 })
    expect((await tags([], 'h')).names).toEqual(['host'])
    expect((await tags(['name=cpu'], '')).names).toEqual(['dc', 'host'])
    const values = (expressions: string[], prefix: string) =>
      ask(index, { ask: 'completeValues', tag: 'host', expressions, prefix, limit: 10 })
    expect((await values([], 'w')).names).toEqual(['web1', 'web2'])
    expect((await values(['dc=east'], '')).names).toEqual(['web1', 'web2'])
  })

  test('forgets tags of removed series', async () => {
    const index = indexOf(NAMES)
    index.remove(3)
    expect((await ask(index, { ask: 'tags', filter: '', limit: 10 })).names).toEqual([
      'dc',
      'host',
      'name',
    ])
    expect(await find(index, 'host=web1')).toEqual([NAMES[0]!])
  })

  test('finds what trying every series finds', async () => {
    const value = fc.constantFrom('a', 'b', 'ab')
    const series = fc
      .record({ name: value, k: fc.option(value), l: fc.option(value) })
      .map(({ name, k, l }) => name + (k ? `;k=${k}` : '') + (l ? `;l=${l}` : ''))
    const expression = fc
      .tuple(
        fc.constantFrom('name', 'k', 'l'),
        fc.constantFrom('=', '!=', '=~', '!=~'),
        fc.constantFrom('a', 'b', '', 'a$', '.b'),
      )
      .map((parts) => parts.join(''))
    const run = fc.tuple(
      fc.uniqueArray(series),
      fc.array(expression, { minLength: 1, maxLength: 3 }),
    )
    await fc.assert(
      fc.asyncProperty(run, async ([names, expressions]) => {
        const parsed = parseTagExpressions(expressions)
        fc.pre(parsed.ok)
        if (!parsed.ok) return
        const want = names.filter((name) =>
          parsed.value.every(({ tag, holds }) => holds(tagOf(name, tag))),
        )
        expect(await find(indexOf(names), ...expressions)).toEqual(want.sort())
      }),
      { numRuns: 300 },
    )
  })
})

function tagOf(path: string, tag: string): string {
  const [name = '', ...pairs] = path.split(';')
  if (tag === 'name') return name
  return pairs.find((pair) => pair.startsWith(`${tag}=`))?.slice(tag.length + 1) ?? ''
}
