/** tukeyAbove() and tukeyBelow() refused a negative interval, which stands for all but the last so many points. */
import { expect, test } from 'bun:test'
import { render, valuesOf } from '../api/render-fixture.ts'

const SERIES = {
  'a.early': [90, 2, 1, 2, 1, 2, 1, 2, 1, 2],
  'a.late': [1, 2, 1, 2, 1, 2, 1, 2, 1, 90],
}

const namesOf = async (target: string): Promise<string[]> =>
  (await valuesOf(target, SERIES)).map(([name]) => name)

test('a negative interval looks at what comes before it', async () => {
  expect(await namesOf('tukeyAbove(a.*,3,2)')).toEqual(['a.early', 'a.late'])
  expect(await namesOf('tukeyAbove(a.*,3,2,5)')).toEqual(['a.late'])
  expect(await namesOf('tukeyAbove(a.*,3,2,-5)')).toEqual(['a.early'])
  expect(await namesOf('tukeyAbove(a.*,3,2,"-5min")')).toEqual(['a.early'])
})

test('a moving window has no negative length', async () => {
  const refusal: unknown = await render('movingAverage(a.*,-5)', SERIES).catch(String)
  expect(refusal).toContain('negative')
})
