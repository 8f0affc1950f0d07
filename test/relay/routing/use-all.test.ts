/** Clusters with `useall`: members by address, from the load on and as addresses change. */
import { describe, expect, test } from 'bun:test'
import { realDisk } from '../../../src/lib/disk.ts'
import { parseRelayText } from '../../../src/relay/config/relay-conf.ts'
import type { Cluster } from '../../../src/relay/config/routing.ts'
import { type Successors, UseAll } from '../../../src/relay/routing/use-all.ts'
import { SimClock } from '../../sim/clock.ts'

describe('UseAll', () => {
  async function follow(conf: string, first: string[]) {
    const names: Record<string, string[]> = { pool: first }
    const loaded = parseRelayText(realDisk, `${conf} match * send to a;`, 'test')
    if (!loaded.ok) throw new Error(loaded.error)
    const clock = new SimClock()
    const changes: [string, string][][] = []
    let asked = 0
    const useAll = new UseAll(loaded.value, (host) => {
      asked++
      return Promise.resolve({ addresses: names[host] ?? [], freshMs: 10_000 })
    })
    await useAll.expand()
    const note = (_: Cluster, successors: Successors): void => {
      changes.push([...successors].map(([key, successor]) => [key, successor.address]))
    }
    useAll.follow(clock, note)
    await clock.advance(0)
    const cluster = loaded.value.clusters[0]!
    return {
      clock,
      useAll,
      changes,
      cluster,
      rule: loaded.value.rules[0],
      asked: () => asked,
      members: () => cluster.members.map(({ address, port }) => `${address}:${port}`),
      become: async (addresses: string[]) => {
        names['pool'] = addresses
        await clock.advance(10_000)
      },
    }
  }

  test('makes a member of each address, and keeps a name that has none', async () => {
    const { members, rule, cluster } = await follow('cluster a any_of useall pool:2004 gone;', [
      '10.0.0.1',
      '10.0.0.2',
    ])
    expect(members()).toEqual(['10.0.0.1:2004', '10.0.0.2:2004', 'gone:2003'])
    expect(rule).toMatchObject({ sendTo: [{ members: cluster.members }] })
  })

  test('the name is what a certificate has to be for', async () => {
    const { cluster } = await follow('cluster a forward useall pool transport plain ssl;', [
      '10.0.0.1',
    ])
    expect(cluster.members[0]).toMatchObject({ address: '10.0.0.1', name: 'pool' })
  })

  test('a member that comes takes the place of one that goes, and what it has not delivered', async () => {
    const { become, members, changes } = await follow('cluster a forward useall pool;', [
      '10.0.0.1',
      '10.0.0.2',
    ])
    await become(['10.0.0.3', '10.0.0.2'])
    expect(members()).toEqual(['10.0.0.3:2003', '10.0.0.2:2003'])
    expect(changes).toEqual([[['tcp 10.0.0.1 2003', '10.0.0.3']]])
  })

  test('an order that turns, as DNS has it, and no answer change nothing', async () => {
    const { become, members, changes } = await follow('cluster a any_of useall pool;', [
      '10.0.0.1',
      '10.0.0.2',
    ])
    await become(['10.0.0.2', '10.0.0.1'])
    await become([])
    expect(members()).toEqual(['10.0.0.1:2003', '10.0.0.2:2003'])
    expect(changes).toEqual([])
  })

  test('where fewer are left, one of them is the successor, but not in a cluster where all get the same', async () => {
    const all = ['10.0.0.1', '10.0.0.2']
    const any = await follow('cluster a any_of useall pool;', all)
    await any.become(['10.0.0.2'])
    expect(any.changes).toEqual([[['tcp 10.0.0.1 2003', '10.0.0.2']]])
    const forward = await follow('cluster a forward useall pool;', all)
    await forward.become(['10.0.0.2'])
    expect(forward.changes).toEqual([[]])
  })

  test('asks as often as answers are good for, and no more when it is closed', async () => {
    const { clock, asked, useAll } = await follow('cluster a any_of useall pool 10.9.9.9;', [])
    const before = asked()
    await clock.advance(100_000)
    expect(asked() - before).toBe(10)
    useAll.close()
    await clock.advance(100_000)
    expect(asked() - before).toBe(10)
  })
})
