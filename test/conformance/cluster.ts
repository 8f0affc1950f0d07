/** What every kind of cluster does with names, whether members have failed or not. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createPlacement, type Placement } from '../../src/relay/routing/cluster.ts'
import { AS_IT_CAME, type SendStep } from '../../src/relay/routing/plan.ts'
import type { Cluster, ClusterType, Host } from '../../src/relay/config/routing.ts'

export interface ClusterKind {
  readonly type: ClusterType
  readonly replication?: number
  readonly dynamic?: boolean
  /** A name is never given to a failed member while one of the others works. */
  readonly avoidsFailed: boolean
}

export function makeCluster(kind: ClusterKind, members: number): Cluster {
  return {
    index: 0,
    name: kind.type,
    type: kind.type,
    members: Array.from({ length: members }, (_, i) => host(`10.0.0.${i + 1}`)),
    useall: false,
    replication: kind.replication ?? 1,
    dynamic: kind.dynamic ?? false,
  }
}

function host(address: string): Host {
  const transport = { compression: 'plain', tls: 'none', certificate: '', key: '' } as const
  const base = { port: 2003, instance: undefined, protocol: 'tcp', type: 'linemode' } as const
  return { address, ...base, transport }
}

export function stepFor(placement: Placement, key: string): SendStep {
  const members = placement.place(key)
  return { kind: 'send', cluster: 0, name: Buffer.from(key), form: AS_IT_CAME, members, key }
}

/** Runs in a describe block of the kind's own. */
export function clusterConformance(kind: ClusterKind): void {
  const scenario = fc.record({
    key: fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
    failed: fc.array(fc.boolean(), { minLength: kind.replication ?? 1, maxLength: 9 }),
  })

  describe(`${kind.type}${kind.dynamic ? ' dynamic' : ''}`, () => {
    test('gives a name to distinct members, and to the same ones each time', () => {
      fc.assert(
        fc.property(scenario, ({ key, failed }) => {
          const placement = createPlacement(makeCluster(kind, failed.length))
          const members = placement.place(key)
          expect(members.length).toBeGreaterThan(0)
          expect(new Set(members).size).toBe(members.length)
          for (const member of members) expect(member < failed.length && member >= 0).toBe(true)
          expect(placement.place(key)).toEqual([...members])
        }),
      )
    })

    test('changes nothing while no member has failed', () => {
      fc.assert(
        fc.property(scenario, ({ key, failed }) => {
          const placement = createPlacement(makeCluster(kind, failed.length))
          const step = stepFor(placement, key)
          expect(placement.choose(step, new Uint8Array(failed.length))).toEqual([...step.members])
        }),
      )
    })

    test('sends as many copies as ever when members have failed, each to another member', () => {
      fc.assert(
        fc.property(scenario, ({ key, failed }) => {
          const placement = createPlacement(makeCluster(kind, failed.length))
          const step = stepFor(placement, key)
          const flags = Uint8Array.from(failed, Number)
          const chosen = placement.choose(step, flags)
          expect(chosen.length).toBe(step.members.length)
          expect(new Set(chosen).size).toBe(chosen.length)
          expect(placement.choose(step, flags)).toEqual([...chosen])
        }),
      )
    })

    test('leaves a member that works its names', () => {
      fc.assert(
        fc.property(scenario, ({ key, failed }) => {
          const placement = createPlacement(makeCluster(kind, failed.length))
          const step = stepFor(placement, key)
          const chosen = placement.choose(step, Uint8Array.from(failed, Number))
          for (const member of step.members) if (!failed[member]) expect(chosen).toContain(member)
        }),
      )
    })

    test(kind.avoidsFailed ? 'avoids failed members' : 'waits for failed members', () => {
      fc.assert(
        fc.property(scenario, ({ key, failed }) => {
          const placement = createPlacement(makeCluster(kind, failed.length))
          const step = stepFor(placement, key)
          const chosen = placement.choose(step, Uint8Array.from(failed, Number))
          const working = failed.filter((one) => !one).length
          if (!kind.avoidsFailed) expect(chosen).toEqual([...step.members])
          else if (working >= step.members.length) {
            for (const member of chosen) expect(failed[member]).toBe(false)
          }
        }),
      )
    })
  })
}
