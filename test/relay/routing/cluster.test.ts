import { describe, expect, test } from 'bun:test'
import { createPlacement } from '../../../src/relay/routing/cluster.ts'
import { clusterConformance, makeCluster, stepFor } from '../../conformance/cluster.ts'

clusterConformance({ type: 'forward', avoidsFailed: false })
clusterConformance({ type: 'file', avoidsFailed: false })
clusterConformance({ type: 'file ip', avoidsFailed: false })
clusterConformance({ type: 'any_of', avoidsFailed: true })
clusterConformance({ type: 'failover', avoidsFailed: true })
for (const type of ['carbon_ch', 'fnv1a_ch', 'jump_fnv1a_ch'] as const) {
  clusterConformance({ type, replication: 2, avoidsFailed: false })
  clusterConformance({ type, replication: 2, dynamic: true, avoidsFailed: true })
}

describe('any_of', () => {
  test('spreads a failed member’s names evenly over the others', () => {
    const placement = createPlacement(makeCluster({ type: 'any_of', avoidsFailed: true }, 4))
    const counts = [0, 0, 0, 0]
    let moved = 0
    for (let i = 0; i < 8000; i++) {
      const step = stepFor(placement, `host${i}.cpu`)
      const [chosen] = placement.choose(step, Uint8Array.of(0, 1, 0, 0))
      if (step.members[0] !== 1) continue
      moved++
      counts[chosen!]!++
    }
    expect(counts[1]).toBe(0)
    for (const member of [0, 2, 3]) expect(counts[member]!).toBeGreaterThan(moved / 3.6)
  })
})

describe('failover', () => {
  test('takes the first that works, and the first of all when none does', () => {
    const placement = createPlacement(makeCluster({ type: 'failover', avoidsFailed: true }, 3))
    const step = stepFor(placement, 'a')
    expect(placement.choose(step, Uint8Array.of(1, 0, 0))).toEqual([1])
    expect(placement.choose(step, Uint8Array.of(1, 1, 0))).toEqual([2])
    expect(placement.choose(step, Uint8Array.of(1, 1, 1))).toEqual([0])
  })
})
