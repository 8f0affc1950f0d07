import { describe, expect, test } from 'bun:test'
import { evaluateTargets } from '../../src/api/evaluator.ts'
import { RenderError } from '../../src/api/render-series.ts'
import { contextOver, FROM, MemorySource, render, UNTIL, valuesOf } from './render-fixture.ts'

const SERIES = {
  'a.x': [1, 2, null, 4, 5, 6, 7, 8, 9, 10],
  'a.y': [10, 20, 30, null, 50, 60, 70, 80, 90, 100],
  'disk;dc=eu': [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
}

describe('evaluateTargets()', () => {
  test('answers target after target, each sorted by name', async () => {
    const list = await render(['a.y', ' ', 'a.*'], SERIES)
    expect(list.map(({ name }) => name)).toEqual(['a.y', 'a.x', 'a.y'])
  })

  test('tells path expressions, tags, ends and steps', async () => {
    const [series] = await render('seriesByTag("dc=eu")', SERIES)
    expect(series).toMatchObject({
      name: 'disk;dc=eu',
      pathExpression: 'seriesByTag("dc=eu")',
      step: 60,
      end: UNTIL + 60,
      consolidation: 'average',
    })
    expect([...series!.tags]).toEqual([
      ['dc', 'eu'],
      ['name', 'disk'],
    ])
  })

  test('asks the source once for all targets, each question once', async () => {
    const source = new MemorySource(SERIES)
    const targets = [
      'a.x',
      'sumSeries(a.*)',
      'asPercent(a.*,a.x)',
      'timeShift(a.x,"1min")',
      'movingAverage(a.y,"2min")',
    ]
    await evaluateTargets(targets, contextOver(source))
    expect(source.asked.length).toBe(1)
    // What is only summed is a question of its own: the store may send the sum.
    expect(source.asked[0]!.length).toBe(5)
  })

  test('asks once more for a level whose range depends on data', async () => {
    const source = new MemorySource(SERIES)
    await evaluateTargets(['movingAverage(a.x,3)', 'movingSum(a.y,2)'], contextOver(source))
    expect(source.asked.map((fetches) => fetches.map(({ from }) => from - FROM))).toEqual([
      [0, 0],
      [-180, -120],
    ])
  })

  test('fills template variables, the request over the target', async () => {
    const template = new Map([['node', 'y']])
    const target = 'template(scale(a.$node,$factor),node="x",factor=2)'
    const values = await valuesOf(`${target}|limit(1)`.replace('|limit(1)', ''), SERIES, {
      template,
    })
    expect(values[0]![0]).toBe('scale(a.y,2)')
  })

  test('counts xFilesFactor from where it is set, also for later targets', async () => {
    const [before, , after] = await valuesOf(
      ['sumSeries(a.*)', 'setXFilesFactor(a.x,1)', 'sumSeries(a.*)'],
      SERIES,
    )
    expect(before![1].slice(2, 4)).toEqual([30, 4])
    expect(after![1].slice(2, 4)).toEqual([null, null])
  })

  test.each([
    ['nosuch(a)', 'unknown function "nosuch"'],
    ['scale(a.x)', 'scale(): parameter factor is missing'],
    ['scale(a.x,"two")', 'scale(): parameter factor must be a number, not "two"'],
    ['scale(a.x,a.y)', 'scale(): parameter factor must be a number, not a list of series'],
    ['scale(2,a.x)', 'scale(): parameter seriesList must be a list of series, not 2'],
    ['scale(a.x,1,2)', 'scale(): takes 2 arguments, not 3'],
    ['scale(a.x,nosuch=2)', 'scale(): there is no parameter "nosuch"'],
    ['scale(a.x,2,factor=3)', 'scale(): factor is given twice'],
    ['limit(a.x,1.5)', 'limit(): parameter n must be a whole number'],
    ['summarize(a.x,"1m")', 'parameter intervalString must be an interval'],
    ['consolidateBy(a.x,"p50")', 'must be one of'],
    ['grep(a.x,"(")', 'cannot use pattern "("'],
    ['seriesByTag()', 'no tag expression'],
    ['alias(a.x', 'column 10'],
    [doubling(30), 'at most 65536 are made'],
    [`aliasByNode(a.x${',0'.repeat(200)})`, 'at most 100 are taken'],
    [`applyByNode(a.x,1,"${'%'.repeat(30_000)}")`, 'would be made'],
  ])('refuses %s', async (target, message) => {
    const failure = await failureOf(render(target, SERIES))
    expect(failure).toBeInstanceOf(RenderError)
    expect((failure as Error).message).toContain(message)
  })

  test('ends when the request is cancelled, or late', async () => {
    const aborted = render('scale(a.x,2)', SERIES, { signal: AbortSignal.abort() })
    expect(await failureOf(aborted)).toMatchObject({ status: 499 })
    const late = render('scale(a.x,2)', SERIES, { deadlineMs: 0 })
    expect(await failureOf(late)).toMatchObject({ status: 504 })
  })

  test('answers nothing for nothing', async () => {
    const targets = [
      'nosuch.path',
      'sumSeries(nosuch.*)',
      'movingAverage(nosuch,3)',
      'asPercent(nosuch)',
      'group()',
    ]
    expect(await render(targets, SERIES)).toEqual([])
  })
})

/** A template whose variables double each other. */
function doubling(levels: number): string {
  const names = Array.from({ length: levels }, (_, i) => `v${i}_`)
  const values = names.map((name, i) => `${name}="${`$${names[i + 1] ?? 'x'}`.repeat(2)}"`)
  return `template(a.$v0_.b,${values.join(',')})`
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
    return undefined
  } catch (error) {
    return error
  }
}
