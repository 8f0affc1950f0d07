/**
 * A page of the listing of all names was looked for by its first name among names of which some had gone: it began too
 * late, or, when the names' memory had been written anew, threw.
 */
import { expect, test } from 'bun:test'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { endlessPatience } from '../../src/lib/slices.ts'
import { SeriesIndex } from '../../src/store/index/series-index.ts'
import { NameListing } from '../../src/store/queries/name-listing.ts'
import { SimClock } from '../sim/clock.ts'

const COUNT = 10_000
const PAGE = 100
/** Long, so that the index writes its memory anew when most of them have gone. */
const nameOf = (id: number): string =>
  `n${String(id).padStart(6, '0')}.${'x'.repeat(250)}.${'y'.repeat(250)}`

test('names that stay are listed, whatever goes between two pages', async () => {
  const clock = new SimClock()
  const index = new SeriesIndex()
  for (let id = 0; id < COUNT; id++) index.add(id, toUtf8(nameOf(id)))
  const listing = new NameListing({ index, clock, tree: undefined })
  const patience = endlessPatience(clock)
  const listed: string[] = []
  let page = await listing.page('', PAGE, patience)
  listed.push(...page.paths)
  // All but every hundredth of what was not listed yet, and the end of the first page itself.
  for (let id = PAGE - 1; id < COUNT; id++) if (id % 100 !== 0) index.remove(id)
  while (page.more) {
    page = await listing.page(listed.at(-1)!, PAGE, patience)
    listed.push(...page.paths)
  }
  const left = Array.from({ length: COUNT / 100 - 1 }, (_, i) => nameOf((i + 1) * 100))
  expect(listed.slice(PAGE)).toEqual(left)
})
