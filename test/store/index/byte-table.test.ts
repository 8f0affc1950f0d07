import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { ABSENT, ByteTable } from '../../../src/store/index/byte-table.ts'

describe('ByteTable', () => {
  test('finds what was set, by any view of the bytes', () => {
    const table = new ByteTable(7)
    table.set(5, toUtf8('xxservers.web1xx'), 2, 14)
    expect(table.find(toUtf8('servers.web1'))).toBe(5)
    expect(table.find(toUtf8('-servers.web1-'), 1, 13)).toBe(5)
    expect(table.find(toUtf8('servers.web'))).toBe(ABSENT)
    expect(table.text(5)).toBe('servers.web1')
  })

  test('holds an empty entry', () => {
    const table = new ByteTable()
    table.set(0, toUtf8(''))
    expect(table.find(toUtf8(''))).toBe(0)
    expect(table.text(0)).toBe('')
  })

  test('does what a Map does', () => {
    const step = fc.record({ text: fc.string({ maxLength: 12 }), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
        const table = new ByteTable(seed)
        const model = new Map<string, number>()
        let nextId = 0
        for (const { text, remove } of steps) {
          const known = model.get(text)
          expect(table.find(toUtf8(text))).toBe(known ?? ABSENT)
          if (known === undefined) {
            table.set(nextId, toUtf8(text))
            model.set(text, nextId++)
          } else if (remove) {
            table.remove(known)
            model.delete(text)
          }
        }
        expect(table.size).toBe(model.size)
        for (const [text, id] of model) expect(table.text(id)).toBe(text)
      }),
    )
  })

  test('gives the space of removed entries back', () => {
    const table = new ByteTable()
    const name = new Uint8Array(1000)
    const view = new DataView(name.buffer)
    for (let id = 0; id < 40_000; id++) {
      view.setUint32(0, id)
      table.set(id, name)
      if (id >= 100) table.remove(id - 100)
    }
    expect(table.size).toBe(100)
    expect(table.memoryBytes).toBeLessThan(12 * 1024 * 1024)
    for (let id = 39_900; id < 40_000; id++) {
      view.setUint32(0, id)
      expect(table.find(name)).toBe(id)
    }
  })
})
