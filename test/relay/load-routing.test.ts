import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { loadConfig } from '../../src/config.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { loadRouting } from '../../src/relay/load-routing.ts'

describe('loadRouting()', () => {
  async function load(conf: string | undefined, environment: Record<string, string> = {}) {
    const dir = mkdtempSync(`${tmpdir()}/emon-routing-`)
    try {
      if (conf !== undefined) writeFileSync(`${dir}/relay.conf`, conf)
      const config = loadConfig({ environment: { EMON_DATA: dir, ...environment }, disk: realDisk })
      if (!config.ok) throw new Error(config.error.join('\n'))
      const addresses: Record<string, string[]> = { pool: ['10.0.0.1', '10.0.0.2'], gone: [] }
      return await loadRouting({
        config: config.value,
        disk: realDisk,
        resolve: (host) => Promise.resolve(addresses[host] ?? []),
      })
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  test('reads the relay.conf beside emon.toml, else makes one', async () => {
    const own = await load('cluster mine forward h; match * send to mine;')
    expect(own.ok && own.value.clusters.map(({ name }) => name)).toEqual(['mine'])
    const made = await load(undefined)
    expect(made.ok && made.value.clusters.map(({ name }) => name)).toEqual(['this-server'])
    const central = await load(undefined, { CENTRAL_METRICS_SERVER: 'central:2003' })
    expect(central.ok && central.value.clusters).toHaveLength(2)
  })

  test('makes a member of each address with useall, and keeps a name that has none', async () => {
    const loaded = await load('cluster a any_of useall pool:2004 gone; match * send to a;')
    if (!loaded.ok) throw new Error(loaded.error)
    const [cluster] = loaded.value.clusters
    expect(cluster!.members.map(({ address, port }) => `${address}:${port}`)).toEqual([
      '10.0.0.1:2004',
      '10.0.0.2:2004',
      'gone:2003',
    ])
    const [rule] = loaded.value.rules
    expect(rule).toMatchObject({ sendTo: [{ members: cluster!.members }] })
  })

  test('says what is wrong, and where', async () => {
    const loaded = await load('match * send to nowhere;')
    expect(loaded.ok ? '' : loaded.error).toMatch(/relay\.conf:1:16: unknown cluster\n/)
  })
})
