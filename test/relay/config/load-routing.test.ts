import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { relative } from 'node:path'
import { loadConfig } from '../../../src/config.ts'
import { realDisk } from '../../../src/lib/disk.ts'
import { loadRouting } from '../../../src/relay/config/load-routing.ts'

describe('loadRouting()', () => {
  function load(conf: string | undefined, environment: Record<string, string> = {}) {
    const dir = mkdtempSync(`${tmpdir()}/emon-routing-`)
    try {
      if (conf !== undefined) writeFileSync(`${dir}/relay.conf`, conf)
      const config = loadConfig({ environment: { EMON_DATA: dir, ...environment }, disk: realDisk })
      if (!config.ok) throw new Error(config.error.join('\n'))
      return loadRouting({ config: config.value, disk: realDisk })
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  test('reads the relay.conf beside emon.toml, else makes one', () => {
    const own = load('cluster mine forward h; match * send to mine;')
    expect(own.ok && own.value.clusters.map(({ name }) => name)).toEqual(['mine'])
    const made = load(undefined)
    expect(made.ok && made.value.clusters.map(({ name }) => name)).toEqual(['this-server'])
    const central = load(undefined, { CENTRAL_METRICS_SERVER: 'central:2003' })
    expect(central.ok && central.value.clusters).toHaveLength(2)
  })

  test('names the file as it was given, not by its whole path', () => {
    const config = loadConfig({ environment: {}, disk: realDisk })
    if (!config.ok) throw new Error(config.error.join('\n'))
    const conf = relative(process.cwd(), `${import.meta.dir}/../../golden/relay/basic.lines`)
    const loaded = loadRouting({ config: config.value, disk: realDisk, conf })
    expect(loaded.ok ? '' : loaded.error).toStartWith(`${conf}:1:0: `)
  })

  test('says what is wrong, and where', () => {
    const loaded = load('match * send to nowhere;')
    expect(loaded.ok ? '' : loaded.error).toMatch(/relay\.conf:1:16: unknown cluster\n/)
  })
})
