import { describe, expect, test } from 'bun:test'
import { createRing, fnv1a32 } from '../../../src/relay/routing/hash-ring.ts'

function member(address: string, port = 2003, instance?: string) {
  return { address, port, instance }
}

describe('hash rings', () => {
  const members = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => member(address))

  test.each(['carbon_ch', 'fnv1a_ch', 'jump_fnv1a_ch'] as const)(
    '%s places every name on distinct members, the same for the same name',
    (type) => {
      const ring = createRing(type, members)
      const counts = [0, 0, 0]
      for (let i = 0; i < 3000; i++) {
        const placed = ring.place(`host.${i}.cpu`, 3)
        expect(new Set(placed).size).toBe(3)
        expect(ring.place(`host.${i}.cpu`, 1)).toEqual(placed.slice(0, 1))
        counts[placed[0]!]!++
      }
      for (const count of counts) expect(count).toBeGreaterThan(500)
    },
  )

  test('jump_fnv1a_ch puts members with an instance first, numbers by value', () => {
    const ring = createRing('jump_fnv1a_ch', [
      member('a', 1),
      member('b', 1, '10'),
      member('c', 1, '9'),
    ])
    expect(ring.points().map((point) => point.member)).toEqual([2, 1, 0])
  })

  test('fnv1a32() is the published function for ASCII', () => {
    const hash = (text: string): number => fnv1a32(Buffer.from(text), 0, text.length)
    expect(hash('')).toBe(0x811c9dc5)
    expect(hash('a')).toBe(0xe40c292c)
    expect(hash('foobar')).toBe(0xbf9cf968)
  })
})
