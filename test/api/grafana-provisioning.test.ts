/** scripts/grafana: what Grafana needs is in the files, and every query in the dashboards is one that we answer. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { YAML } from 'bun'
import { TestApi } from './api-server.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const DIR = `${import.meta.dir}/../../scripts/grafana`

interface Dashboard {
  uid: string
  title: string
  templating: { list: { name: string; type: string }[] }
  panels: {
    id: number
    type: string
    title: string
    gridPos: object
    datasource?: object
    targets?: { target: string }[]
  }[]
}

let api: TestApi
beforeAll(async () => {
  api = await TestApi.start()
  const values = Array.from({ length: 60 }, (_, i) => i)
  const add = (name: string): void =>
    void api.store.set(name, { start: 1_700_000_000 - 59, step: 1, values })
  for (const state of ['user', 'idle', 'wait']) add(`collectd.box.cpu-0.cpu-${state}`)
  for (const term of ['shortterm', 'midterm', 'longterm']) add(`collectd.box.load.load.${term}`)
  for (const kind of ['used', 'free']) {
    add(`collectd.box.memory.memory-${kind}`)
    add(`collectd.box.df-root.df_complex-${kind}`)
  }
  for (const way of ['read', 'write'])
    for (const kind of ['octets', 'ops']) add(`collectd.box.disk-sda.disk_${kind}.${way}`)
  add('collectd.box.disk-sda.disk_io_time.io_time')
  for (const way of ['rx', 'tx'])
    for (const kind of ['octets', 'packets', 'errors'])
      add(`collectd.box.interface-eth0.if_${kind}.${way}`)
})
afterAll(() => api.close())

describe.each(['host', 'emon'])('dashboards/%s.json', (name) => {
  test('is a dashboard that can be imported, all of whose queries are answered', async () => {
    const dashboard = (await Bun.file(`${DIR}/dashboards/${name}.json`).json()) as Dashboard
    expect(dashboard.uid).toStartWith('emon-')
    expect(dashboard.templating.list[0]).toMatchObject({ name: 'datasource', type: 'datasource' })
    const ids = dashboard.panels.map((panel) => panel.id)
    expect(new Set(ids).size).toBe(ids.length)
    const empty: string[] = []
    for (const { type, title, targets } of dashboard.panels) {
      if (type === 'row') continue
      expect(targets!.length).toBeGreaterThan(0)
      for (const { target } of targets!) {
        const query = target.replaceAll('$prefix', 'collectd').replaceAll('$host', 'box')
        expect(query).not.toContain('$')
        const form = new URLSearchParams({
          target: query,
          format: 'json',
          from: '1699999940',
          until: '1700000000',
          now: '1700000000',
        })
        const response = await api.post('/render', form.toString())
        if (response.status !== 200) throw new Error(`${title}: ${query}: ${await response.text()}`)
        if (((await response.json()) as unknown[]).length === 0) empty.push(title)
      }
    }
    if (name === 'host') expect(empty).toEqual([])
  })
})

describe('provisioning', () => {
  test('points Grafana at the api and the dashboards', async () => {
    const source = YAML.parse(await Bun.file(`${DIR}/provisioning/datasources/emon.yaml`).text())
    expect(source).toMatchObject({
      apiVersion: 1,
      datasources: [{ type: 'graphite', uid: 'emon', url: 'http://127.0.0.1:8888' }],
    })
    const boards = YAML.parse(await Bun.file(`${DIR}/provisioning/dashboards/emon.yaml`).text())
    expect(boards).toMatchObject({
      apiVersion: 1,
      providers: [{ type: 'file', options: { path: '/opt/emon/scripts/grafana/dashboards' } }],
    })
  })
})
