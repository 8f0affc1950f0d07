import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { fromUtf8, toUtf8 } from '../../../src/lib/bytes.ts'
import { OpeningNames } from '../../../src/store/index/opening-names.ts'

function nameOf(names: OpeningNames, id: number): string {
  let name = ''
  names.tell(id, (_, bytes, start, end) => (name = fromUtf8(bytes.subarray(start, end))))
  return name
}

describe('OpeningNames', () => {
  test('has the last name of each id that has one', () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 3_000 }),
      name: fc.option(fc.string({ minLength: 1, maxLength: 30 }), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const names = new OpeningNames()
        const model = new Map<number, string>()
        for (const { id, name } of steps) {
          if (name === undefined) {
            names.remove(id)
            model.delete(id)
          } else {
            const bytes = toUtf8(`<${name}>`)
            names.put(id, bytes, 1, bytes.length - 1)
            model.set(id, name)
          }
        }
        const found: [number, string][] = []
        for (let id = 0; id < names.length; id++)
          if (names.has(id)) found.push([id, nameOf(names, id)])
        expect(found).toEqual([...model].sort(([a], [b]) => a - b))
      }),
    )
  })

  test('goes on in the next chunk when a name does not fit the rest of one', () => {
    const names = new OpeningNames()
    const long = 'x'.repeat(1_000)
    for (let id = 0; id < 3_000; id++) {
      const bytes = toUtf8(`${id}${long}`)
      names.put(id, bytes, 0, bytes.length)
    }
    for (let id = 0; id < 3_000; id++)
      if (nameOf(names, id) !== `${id}${long}`) throw new Error(`name of ${id}`)
  })
})
