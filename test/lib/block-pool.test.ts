import { describe, expect, test } from 'bun:test'
import { BlockPool } from '../../src/lib/block-pool.ts'

const BLOCK = 100

function bytesOf(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value)
}

describe('BlockPool', () => {
  test('fills a block again that was given back, and no other', () => {
    const pool = new BlockPool({ blockBytes: BLOCK, sparesMax: 4 })
    const [first, second] = [pool.copy(bytesOf(80, 1)), pool.copy(bytesOf(60, 2))]
    pool.giveBack(first)
    const third = pool.copy(bytesOf(70, 3))
    expect(third.buffer).toBe(first.buffer)
    expect(second).toEqual(bytesOf(60, 2))
    expect(third).toEqual(bytesOf(70, 3))
  })

  test('gives a block that was given back, and then new ones', () => {
    const pool = new BlockPool({ blockBytes: BLOCK, sparesMax: 4 })
    const first = pool.take()
    pool.giveBack(first.subarray(4, 60))
    const [second, third] = [pool.take(), pool.take()]
    expect([second.length, third.length]).toEqual([BLOCK, BLOCK])
    expect(second.buffer).toBe(first.buffer)
    expect(third.buffer).not.toBe(first.buffer)
  })

  test('what does not fill half of a block, or more than one, is copied by itself', () => {
    const pool = new BlockPool({ blockBytes: BLOCK, sparesMax: 4 })
    for (const length of [0, 49, 101, 500]) {
      const copy = pool.copy(bytesOf(length, 7))
      expect(copy).toEqual(bytesOf(length, 7))
      pool.giveBack(copy)
      expect(pool.copy(bytesOf(length, 8)).buffer).not.toBe(copy.buffer)
    }
  })

  test('keeps no more blocks than it may', () => {
    const pool = new BlockPool({ blockBytes: BLOCK, sparesMax: 2 })
    const copies = Array.from({ length: 5 }, (_, i) => pool.copy(bytesOf(BLOCK, i)))
    for (const copy of copies) pool.giveBack(copy)
    const before = new Set(copies.map(({ buffer }) => buffer))
    const after = copies.map(() => pool.copy(bytesOf(BLOCK, 9)).buffer)
    expect(after.filter((buffer) => before.has(buffer)).length).toBe(2)
  })
})
