import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { compileGlob, matchesNode, type NodeGlob } from '../../../src/metric/glob.ts'
import { SeriesIndex, TooManyNames } from '../../../src/store/index/series-index.ts'

function indexOf(names: readonly string[]): SeriesIndex {
  const index = new SeriesIndex(42)
  names.forEach((name, id) => index.add(id, toUtf8(name)))
  return index
}

function finish<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

interface Asked {
  leavesOnly?: boolean
  namesMax?: number
  isShown?: (id: number) => boolean
}

/** `name` for a leaf, `name.` for a branch, sorted. */
function glob(index: SeriesIndex, pattern: string, asked: Asked = {}): string[] {
  const compiled = compileGlob(pattern)
  if (!compiled.ok) throw new Error(compiled.error)
  const options = { leavesOnly: false, namesMax: 1_000_000, ...asked }
  const { leaves, branches } = finish(index.glob(compiled.value, options))
  return [...leaves.map((id) => index.name(id)), ...branches.map((name) => `${name}.`)].sort()
}

const NAMES = ['a.b.c', 'a.b.d', 'a.x', 'a.b', 'web01.cpu.user', 'web02.cpu.user', 'db1.cpu.idle']

describe('SeriesIndex', () => {
  test.each([
    ['a.b.c', ['a.b.c']],
    ['a.*', ['a.b', 'a.b.', 'a.x']],
    ['*', ['a.', 'db1.', 'web01.', 'web02.']],
    ['web{01,02}.*.user', ['web01.cpu.user', 'web02.cpu.user']],
    ['web0[1-9].cpu', ['web01.cpu.', 'web02.cpu.']],
    ['{w,d}*.cpu.{us{er,age},idle}', ['db1.cpu.idle', 'web01.cpu.user', 'web02.cpu.user']],
    ['**.user', ['web01.cpu.user', 'web02.cpu.user']],
    ['a.**', ['a.b', 'a.b.', 'a.b.c', 'a.b.d', 'a.x']],
    ['**.cpu.**', ['db1.cpu.idle', 'web01.cpu.user', 'web02.cpu.user']],
    ['a.b.c.d', []],
    ['nothing.*', []],
  ])('glob %s', (pattern, want) => {
    expect(glob(indexOf(NAMES), pattern)).toEqual(want)
  })

  test('shows leaves only when asked', () => {
    expect(glob(indexOf(NAMES), 'a.*', { leavesOnly: true })).toEqual(['a.b', 'a.x'])
  })

  test('hides leaves, and branches with nothing else below', () => {
    const index = indexOf(NAMES)
    const hidden = new Set(['web01.cpu.user', 'a.b'])
    const isShown = (id: number): boolean => !hidden.has(index.name(id))
    expect(glob(index, '*', { isShown })).toEqual(['a.', 'db1.', 'web02.'])
    expect(glob(index, 'a.*', { isShown })).toEqual(['a.b.', 'a.x'])
  })

  test('stops at too many names', () => {
    expect(() => glob(indexOf(NAMES), '**', { namesMax: 3 })).toThrow(TooManyNames)
  })

  test('a removed name is gone with the branches that led to it', () => {
    const index = indexOf(NAMES)
    index.remove(index.findText('db1.cpu.idle'))
    expect(glob(index, '*')).toEqual(['a.', 'web01.', 'web02.'])
    index.remove(index.findText('a.b'))
    expect(glob(index, 'a.*')).toEqual(['a.b.', 'a.x'])
    index.add(90, toUtf8('db1.cpu.idle'))
    expect(index.findText('db1.cpu.idle')).toBe(90)
    expect(glob(index, 'db1.**')).toEqual(['db1.cpu.', 'db1.cpu.idle'])
  })

  test('rename moves a series in the tree', () => {
    const index = indexOf(NAMES)
    const id = index.findText('a.x')
    index.rename(id, toUtf8('b.y.z'))
    expect(index.name(id)).toBe('b.y.z')
    expect(glob(index, '{a,b}.**', { leavesOnly: true })).toEqual([
      'a.b',
      'a.b.c',
      'a.b.d',
      'b.y.z',
    ])
  })

  test('names with empty nodes are names', () => {
    const index = indexOf(['a..b', '.c', 'd.'])
    expect(glob(index, 'a.*.b')).toEqual(['a..b'])
    expect(glob(index, '**', { leavesOnly: true })).toEqual(['.c', 'a..b', 'd.'])
  })

  test('tagged series are not in the tree', () => {
    const index = indexOf(['cpu;host=a', 'cpu'])
    expect(glob(index, '*')).toEqual(['cpu'])
    expect(index.findText('cpu;host=a')).toBe(0)
  })

  test('finds what trying every name finds, while names come and go', () => {
    const node = fc.constantFrom('a', 'b', 'ab', 'c1', 'c2')
    const name = fc.array(node, { minLength: 1, maxLength: 4 }).map((nodes) => nodes.join('.'))
    const globNode = fc.constantFrom('a', '*', '**', 'a*', 'c?', 'c[12]', '{a,c1}', '[!a]*')
    const pattern = fc.array(globNode, { minLength: 1, maxLength: 4 }).map((n) => n.join('.'))
    const run = fc.record({
      names: fc.uniqueArray(name, { maxLength: 40 }),
      removed: fc.array(fc.nat(39), { maxLength: 10 }),
      pattern,
    })
    fc.assert(
      fc.property(run, ({ names, removed, pattern }) => {
        const index = indexOf(names)
        for (const [i, id] of [...new Set(removed)].entries()) {
          if (!index.has(id)) continue
          const name = index.names.bytes(id).slice()
          index.remove(id)
          // Some come again, as other series.
          if (i % 3 === 0) index.add(index.names.idLimit, name)
        }
        const living: string[] = []
        for (let id = 0; id < index.names.idLimit; id++)
          if (index.has(id)) living.push(index.name(id))
        expect(glob(index, pattern)).toEqual(tryAll(living, pattern))
      }),
      { numRuns: 300 },
    )
  })

  test('lists all names in code point order', () => {
    const names = ['b', 'a.c', 'a-b', 'a', 'a.b;x=y', 'é', '\u{1f600}', '\uffee', 'a.b']
    const index = indexOf(names)
    index.remove(0)
    const sorted = [...finish(index.sorted())].map((id) => index.name(id))
    const want = ['a', 'a-b', 'a.b', 'a.b;x=y', 'a.c', 'é', '\uffee', '\u{1f600}']
    expect(sorted).toEqual(want)
  })

  test('counts the biggest prefixes', () => {
    expect(finish(indexOf(NAMES).biggestPrefixes({ nodes: 1, limit: 2 }))).toEqual([
      { prefix: 'a', series: 4 },
      { prefix: 'web01', series: 1 },
    ])
    const tagged = indexOf(['cpu;host=a.b', 'cpu;host=c.d', 'mem'])
    expect(finish(tagged.biggestPrefixes({ nodes: 2, limit: 1 }))).toEqual([
      { prefix: 'cpu', series: 2 },
    ])
  })
})

/** The naive twin: every leaf and every branch against the pattern's nodes. */
function tryAll(names: readonly string[], pattern: string): string[] {
  const compiled = compileGlob(pattern)
  if (!compiled.ok) throw new Error(compiled.error)
  const found = new Set<string>()
  for (const name of names) {
    const nodes = name.split('.')
    if (fits(compiled.value, nodes)) found.add(name)
    for (let i = 1; i < nodes.length; i++) {
      if (fits(compiled.value, nodes.slice(0, i))) found.add(`${nodes.slice(0, i).join('.')}.`)
    }
  }
  return [...found].sort()
}

function fits(globs: readonly NodeGlob[], nodes: readonly string[]): boolean {
  const [first, ...rest] = globs
  if (!first) return nodes.length === 0
  if (first.kind !== 'walk') {
    return nodes.length > 0 && matchesNode(first, nodes[0]!) && fits(rest, nodes.slice(1))
  }
  const least = rest.length === 0 ? 1 : 0
  for (let i = least; i <= nodes.length; i++) if (fits(rest, nodes.slice(i))) return true
  return false
}
