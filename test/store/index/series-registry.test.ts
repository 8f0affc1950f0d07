import { describe, expect, test } from 'bun:test'
import { REFUSED_ID } from '../../../src/ipc/points-format.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { parseQuotas } from '../../../src/store/index/series-limits.ts'
import { PARKED_FIRST, type SeriesRegistry } from '../../../src/store/index/series-registry.ts'
import { edgeOf, resolve, schemasOf } from '../edge-setup.ts'
import { MemoryEngine } from '../memory-engine.ts'

/** A connection's table of numbers. */
class Holder {
  readonly registry: SeriesRegistry
  readonly names: string[] = []
  numbers: number[] = []

  constructor(registry: SeriesRegistry) {
    this.registry = registry
    registry.holders.add(this)
  }

  name(text: string): void {
    this.names.push(text)
    this.numbers.push(resolve(this.registry, text))
  }

  renumber(replace: (number: number) => number): void {
    this.numbers = this.numbers.map(replace)
  }

  /** What a frame with a point for every name goes under. */
  frame(): string[] {
    const ids = Uint32Array.from(this.numbers)
    if (this.registry.hasParked) this.registry.retryParked(ids, ids.length)
    return [...ids].map((id) => (id === REFUSED_ID ? 'refused' : this.registry.index.name(id)))
  }
}

function finish<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

describe('SeriesRegistry', () => {
  test('gives one number a name, tags in any order', () => {
    const { registry, index } = edgeOf()
    const id = resolve(registry, 'cpu;host=a;dc=x')
    expect(resolve(registry, 'cpu;dc=x;host=a')).toBe(id)
    expect(index.name(id)).toBe('cpu;dc=x;host=a')
    expect(resolve(registry, 'cpu')).not.toBe(id)
  })

  test.each(['', 'a b', 'a\tb', 'a\x01b', 'x'.repeat(1025), `a.${'x'.repeat(256)}`, 'a;b', ';a=b'])(
    'refuses the name %j',
    (name) => {
      const { registry, stats } = edgeOf()
      expect(resolve(registry, name)).toBe(REFUSED_ID)
      expect(stats.counter('series.refused.name').value).toBe(1)
    },
  )

  test('refuses bytes that are no UTF-8', () => {
    const { registry } = edgeOf()
    expect(registry.resolve(Uint8Array.of(0x61, 0xff))).toBe(REFUSED_ID)
  })

  test('new series a second: the rest is taken later, on the same connection', async () => {
    const { registry, clock, index } = edgeOf({ limits: { newPerSecondMax: 2 } })
    const holder = new Holder(registry)
    for (const name of ['a', 'b', 'c', 'd']) holder.name(name)
    expect(holder.numbers.map((number) => number >= PARKED_FIRST)).toEqual([
      false,
      false,
      true,
      true,
    ])
    expect(holder.frame()).toEqual(['a', 'b', 'refused', 'refused'])
    await clock.advance(500)
    expect(holder.frame()).toEqual(['a', 'b', 'c', 'refused'])
    await clock.advance(1000)
    expect(holder.frame()).toEqual(['a', 'b', 'c', 'd'])
    expect(registry.hasParked).toBe(false)
    expect(index.size).toBe(4)
  })

  test('a deleted name comes back as a new series with its next points', () => {
    const { registry, index } = edgeOf()
    const holder = new Holder(registry)
    holder.name('a.b')
    holder.name('a.c')
    const old = holder.numbers[0]!
    expect(registry.remove(['a.b', 'nothing'])).toBe(1)
    expect(index.findText('a.b')).toBe(-1)
    expect(holder.frame()).toEqual(['a.b', 'a.c'])
    expect(index.findText('a.b')).toBeGreaterThan(old)
  })

  test('points under the old name of a renamed series make a new one', () => {
    const { registry, index } = edgeOf()
    const holder = new Holder(registry)
    holder.name('old')
    const id = holder.numbers[0]!
    expect(registry.rename('old', 'new')).toBe(true)
    expect(index.findText('new')).toBe(id)
    expect(holder.frame()).toEqual(['old'])
    expect(index.findText('old')).not.toBe(id)
    expect(registry.rename('nothing', 'x')).toBe(false)
  })

  test('limits on all series and on a prefix', () => {
    const quotas = parseQuotas('apps.*:1')
    if (!quotas.ok) throw new Error(quotas.error)
    const { registry, stats } = edgeOf({ limits: { seriesMax: 3, quotas: quotas.value } })
    const holder = new Holder(registry)
    for (const name of ['apps.x.a', 'apps.x.b', 'apps.y.a', 'other', 'more']) holder.name(name)
    expect(holder.frame()).toEqual(['apps.x.a', 'refused', 'apps.y.a', 'other', 'refused'])
    expect(stats.counter('series.refused.quota').value).toBeGreaterThan(0)
    expect(stats.counter('series.refused.total').value).toBeGreaterThan(0)
    // Dots in tags divide nothing.
    holder.name('apps.x;host=a.b')
    expect(holder.frame().at(-1)).toBe('refused')
    registry.remove(['apps.x.a'])
    expect(holder.frame().slice(0, 5)).toEqual([
      'apps.x.a',
      'refused',
      'apps.y.a',
      'other',
      'refused',
    ])
  })

  test('changed quotas are counted anew', () => {
    const { registry, limits, index } = edgeOf()
    const names = ['a.x.1', 'a.x.2', 'a.y.1']
    for (const name of names) resolve(registry, name)
    const quotas = parseQuotas('a.*:2')
    if (!quotas.ok) throw new Error(quotas.error)
    limits.configure({ newPerSecondMax: 0, seriesMax: 100, quotas: quotas.value }, names)
    expect(['a.x.3', 'a.y.2', 'b'].map((name) => resolve(registry, name) < PARKED_FIRST)).toEqual([
      false,
      true,
      true,
    ])
    expect(index.size).toBe(5)
  })

  test('forgets what is parked with the last connection', () => {
    const { registry } = edgeOf({ limits: { seriesMax: 0 } })
    const holder = new Holder(registry)
    holder.name('a')
    expect(registry.hasParked).toBe(true)
    registry.release(holder)
    expect(registry.hasParked).toBe(false)
  })

  test('changed schemas reach every series but imported ones', () => {
    const { registry, engine } = edgeOf()
    const plain = resolve(registry, 'plain')
    const archives = [{ step: 5, count: 100 }]
    const rule = { archives, method: 'max', xFilesFactor: 0, pinned: true } as const
    const imported = registry.define(toUtf8('imported'), rule)
    expect(finish(registry.applySchemas(schemasOf('10s:1d')))).toBe(1)
    expect(engine.ruleOf(plain)?.archives).toEqual([{ step: 10, count: 8640 }])
    expect(engine.ruleOf(imported)?.archives).toEqual(archives)
    expect(finish(registry.applySchemas(schemasOf('10s:1d')))).toBe(0)
  })

  test('expires what is older than all that is kept of it', () => {
    const engine = new MemoryEngine()
    const { registry, index } = edgeOf({ engine })
    const [old, fresh, empty] = ['old', 'fresh', 'empty'].map((name) => resolve(registry, name))
    engine.kept.get(old!)!.lastSeen = 1_000_000
    engine.kept.get(fresh!)!.lastSeen = 1_000_001
    expect(finish(registry.expire())).toBe(0)
    const newest = resolve(registry, 'newest')
    engine.kept.get(newest)!.lastSeen = 1_000_001 + 30 * 86_400
    expect(finish(registry.expire())).toBe(1)
    expect([old, fresh, empty].map((id) => index.has(id!))).toEqual([false, true, true])
  })
  test('expires nothing while deletion is suspended, and stops when that comes meanwhile', () => {
    const engine = new MemoryEngine()
    const { registry, index } = edgeOf({ engine })
    for (let i = 0; i < 3_000; i++) engine.kept.get(resolve(registry, `old.${i}`))!.lastSeen = 1
    engine.kept.get(resolve(registry, 'newest'))!.lastSeen = 40 * 86_400
    engine.mayDelete = false
    expect(finish(registry.expire())).toBe(0)
    expect(index.size).toBe(3_001)
    engine.mayDelete = true
    const work = registry.expire()
    work.next()
    engine.mayDelete = false
    const expired = finish(work)
    expect(expired).toBeGreaterThan(0)
    expect(index.size).toBe(3_001 - expired)
    expect(index.size).toBeGreaterThan(1_000)
    engine.mayDelete = true
    expect(finish(registry.expire())).toBe(3_000 - expired)
  })
})

describe('rename() and quotas', () => {
  function edge() {
    const quotas = parseQuotas('apps.*:2,apps.x.*:1')
    if (!quotas.ok) throw new Error(quotas.error)
    const { registry, stats, index, engine } = edgeOf({
      limits: { seriesMax: 4, quotas: quotas.value },
    })
    const has = (name: string): boolean => index.findText(name) !== -1
    const make = (name: string): boolean => resolve(registry, name) < PARKED_FIRST
    for (const name of ['apps.x.a.1', 'apps.x.b.1', 'apps.y.a', 'other'])
      expect(make(name)).toBe(true)
    return { registry, stats, has, make, engine }
  }

  test('into a full prefix it is refused as a new series is, and nothing changes', () => {
    const { registry, stats, has, engine } = edge()
    const before = engine.nextId
    expect(() => registry.rename('other', 'apps.x.c')).toThrow(
      'there may be no more series: see store.quotas',
    )
    // One prefix stays the same, the other one is full.
    expect(() => registry.rename('apps.x.a.1', 'apps.x.b.2')).toThrow('see store.quotas')
    expect(['other', 'apps.x.a.1', 'apps.x.c', 'apps.x.b.2'].map(has)).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(stats.counter('series.refused.quota').value).toBe(2)
    expect(engine.nextId).toBe(before)
    expect(registry.rename('nothing', 'apps.x.c')).toBe(false)
  })

  test('within a full prefix, and with as many series as there may be, it is done', () => {
    const { registry, has } = edge()
    expect(registry.rename('apps.x.a.1', 'apps.x.a.2')).toBe(true)
    expect(registry.rename('apps.x.a.2', 'apps.x.c.1')).toBe(true)
    expect(registry.rename('other', 'another')).toBe(true)
    expect(has('apps.x.c.1')).toBe(true)
  })

  test('moves the count from one prefix to the other', () => {
    const { registry, make } = edge()
    expect(registry.rename('apps.x.a.1', 'apps.y.b')).toBe(true)
    registry.remove(['other'])
    expect(() => registry.rename('apps.x.b.1', 'apps.y.c')).toThrow('see store.quotas')
    expect(make('apps.y.c')).toBe(false)
    expect(make('apps.x.a.3')).toBe(true)
  })
})

test('an import makes no more series than there may be, however fast it is', () => {
  const quotas = parseQuotas('few.*:1')
  if (!quotas.ok) throw new Error(quotas.error)
  const limits = { seriesMax: 3, newPerSecondMax: 1, quotas: quotas.value }
  const { registry, stats } = edgeOf({ limits })
  const rule = { archives: [{ step: 1, count: 60 }], method: 'sum', xFilesFactor: 0 } as const
  const define = (name: string): number => registry.define(toUtf8(name), rule)
  expect([define('few.a.x'), define('b'), define('few.a.x')]).toEqual([0, 1, 0])
  expect(() => define('few.a.y')).toThrow('there may be no more series: see store.quotas')
  expect(define('c')).toBe(2)
  expect(() => define('d')).toThrow('see store.series_max')
  expect(stats.counter('series.refused.quota').value).toBe(1)
  expect(stats.counter('series.refused.total').value).toBe(1)
})
