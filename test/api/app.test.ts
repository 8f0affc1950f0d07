import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { TestApi } from './api-server.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const NOW = 1_700_000_000
const RANGE = `from=${NOW - 5}&until=${NOW}&now=${NOW}`
const FIVE = { start: NOW - 4, step: 1, values: [1, 2.5, NaN, 4, 5] }

let api: TestApi

beforeAll(async () => {
  api = await TestApi.start()
  api.store
    .set('servers.web01.cpu', FIVE)
    .set('servers.web02.cpu', { ...FIVE, values: [10, 20, 30, 40, 50] })
    .set('servers.web01.disk.used', FIVE)
    .set('servers.web01.disk', FIVE)
    .set('disk;dc=eu;host=a', FIVE)
    .set('disk;dc=us;host=b', FIVE)
})

afterAll(() => api.close())

const WEB01 = {
  target: 'servers.web01.cpu',
  tags: { name: 'servers.web01.cpu' },
  datapoints: [
    [1, NOW - 4],
    [2.5, NOW - 3],
    [null, NOW - 2],
    [4, NOW - 1],
    [5, NOW],
  ],
}

describe('/render', () => {
  test('answers JSON to GET, form POST, JSON POST, and with a slash at the end', async () => {
    const path = '/render?target=servers.web01.cpu&format=json&' + RANGE
    expect(await api.json(path)).toEqual([WEB01])
    expect(await api.json(path.replace('/render?', '/render/?'))).toEqual([WEB01])
    const form = await api.post('/render', `target=servers.web01.cpu&format=json&${RANGE}`)
    expect(await form.json()).toEqual([WEB01])
    const body = {
      target: ['servers.web01.cpu'],
      format: 'json',
      from: NOW - 5,
      until: NOW,
      now: NOW,
    }
    const json = await api.post('/render', JSON.stringify(body), 'application/json')
    expect(await json.json()).toEqual([WEB01])
    const mixed = await api.post(`/render?${RANGE}`, 'target[]=servers.web01.cpu&format=json')
    expect(await mixed.json()).toEqual([WEB01])
  })

  test('answers 200 and [] to nothing', async () => {
    expect(await api.json(`/render?format=json&${RANGE}`)).toEqual([])
    expect(await api.json(`/render?format=json&target=&target=no.such&${RANGE}`)).toEqual([])
  })

  test('calls functions', async () => {
    const target = encodeURIComponent("alias(sumSeries(servers.*.cpu),'total')")
    const answer = await api.json(`/render?format=json&target=${target}&${RANGE}`)
    expect(answer).toMatchObject([
      {
        target: 'total',
        datapoints: [
          [11, NOW - 4],
          [22.5, NOW - 3],
          [30, NOW - 2],
          [44, NOW - 1],
          [55, NOW],
        ],
      },
    ])
  })

  test('asks the store once for all targets', async () => {
    api.store.asked.length = 0
    const targets = ['servers.*.cpu', 'scale(servers.web01.cpu,2)', 'disk', 'servers.*.cpu']
      .map((target) => `target=${encodeURIComponent(target)}`)
      .join('&')
    await api.json(`/render?format=json&${targets}&${RANGE}`)
    expect(api.store.asked.map((request) => request.op)).toEqual(['fetch'])
  })

  test('honours maxDataPoints, noNullPoints, jsonp, pretty and timestampFormat', async () => {
    const path = `/render?format=json&target=servers.web01.cpu&${RANGE}`
    expect(await api.json(`${path}&maxDataPoints=1`)).toMatchObject([
      { datapoints: [[3.125, NOW - 4]] },
    ])
    expect(await api.json(`${path}&maxDataPoints=none`)).toEqual([WEB01])
    expect(await api.json(`${path}&noNullPoints`)).toMatchObject([
      { datapoints: WEB01.datapoints.filter(([value]) => value !== null) },
    ])
    expect(await (await api.ask(`${path}&pretty=1`)).text()).toContain('\n      [2.5, ')
    expect(await api.json(`${path}&pretty=1`)).toEqual([WEB01])
    expect(await api.json(`${path}&timestampFormat=ms`)).toMatchObject([
      { datapoints: WEB01.datapoints.map(([value, time]) => [value!, time! * 1000]) },
    ])
    const jsonp = await api.ask(`${path}&jsonp=cb`)
    expect(jsonp.headers.get('content-type')).toBe('text/javascript')
    expect(await jsonp.text()).toBe(
      `cb(${JSON.stringify([WEB01]).replaceAll(/(\d|null),(1[67]\d{8})/g, '$1, $2')})`,
    )
  })

  test('swaps times and refuses an empty range', async () => {
    const path = '/render?format=json&target=servers.web01.cpu'
    expect(await api.json(`${path}&from=${NOW}&until=${NOW - 5}&now=${NOW}`)).toEqual([WEB01])
    const empty = await api.ask(`${path}&from=${NOW}&until=${NOW}`)
    expect([empty.status, await empty.text()]).toEqual([400, 'Invalid empty time range\n'])
  })

  test('says in plain text what is wrong', async () => {
    const wrong = [
      'target=sumSeries(a',
      'target=nope(a)',
      'target=a&from=sometime',
      'target=a&xFilesFactor=2',
      'target=a&jsonp=alert(1)',
      `target=${'a'.repeat(70_000)}`,
    ]
    for (const query of wrong) {
      const response = await api.post('/render', `format=json&${query}`)
      expect(response.status).toBeGreaterThanOrEqual(400)
      expect(response.status).toBeLessThan(500)
      expect(response.headers.get('content-type')).toStartWith('text/plain')
      expect((await response.text()).length).toBeGreaterThan(5)
    }
  })
})

describe('/metrics', () => {
  test('find answers treejson by default, branches first', async () => {
    const leaf = { allowChildren: 0, expandable: 0, leaf: 1 }
    const branch = { allowChildren: 1, expandable: 1, leaf: 0 }
    expect(await api.json('/metrics/find?query=servers.web01.*')).toEqual([
      { text: 'disk', id: 'servers.web01.disk', ...branch },
      { text: 'cpu', id: 'servers.web01.cpu', ...leaf },
      { text: 'disk', id: 'servers.web01.disk', ...leaf },
    ])
    expect(await api.json('/metrics/find?query=servers.*&wildcards=1')).toMatchObject([
      { text: '*', id: 'servers.*' },
      { text: 'web01' },
      { text: 'web02' },
    ])
    expect(await api.json('/metrics/find?query=nothing.*')).toEqual([])
    expect(await api.json('/metrics?query=servers')).toMatchObject([{ id: 'servers', leaf: 0 }])
  })

  test('find takes the query as Grafana sends it: in the body, not encoded', async () => {
    const response = await api.post(
      `/metrics/find?from=${NOW - 5}&until=${NOW}`,
      'query=servers.web0{1,2}.c*',
    )
    expect(await response.json()).toMatchObject([{ text: 'cpu', id: 'servers.web0{1,2}.cpu' }])
  })

  test('find answers its other formats', async () => {
    expect(await api.json('/metrics/find?query=servers.web02.*&format=json')).toEqual([
      {
        path: 'servers.web02.cpu',
        is_leaf: true,
        intervals: [{ start: expect.any(Number), end: NOW }],
      },
    ])
    expect(await api.json('/metrics/find?query=serv&format=completer')).toEqual({
      metrics: [{ path: 'servers.', name: 'servers', is_leaf: '0' }],
    })
    expect(await api.json('/metrics/find?query=*.*.cpu&format=nodelist&position=1')).toEqual({
      nodes: ['web01', 'web02'],
    })
    expect((await api.ask('/metrics/find?query=*&format=pickle')).headers.get('content-type')).toBe(
      'application/pickle',
    )
    expect((await api.ask('/metrics/find?query=*&format=msgpack')).status).toBe(200)
    expect((await api.ask('/metrics/find?query=*&format=xml')).status).toBe(400)
    expect((await api.ask('/metrics/find')).status).toBe(400)
  })

  test('expand lists paths, by query when asked', async () => {
    expect(await api.json('/metrics/expand?query=servers.*&query=servers.web01.cpu')).toEqual({
      results: ['servers.web01', 'servers.web01.cpu', 'servers.web02'],
    })
    expect(
      await api.json('/metrics/expand?query=servers.*.cpu&groupByExpr=1&leavesOnly=1'),
    ).toEqual({
      results: { 'servers.*.cpu': ['servers.web01.cpu', 'servers.web02.cpu'] },
    })
    expect(await api.json('/metrics/expand')).toEqual({ results: [] })
  })

  test('index.json lists every series', async () => {
    expect(await api.json('/metrics/index.json')).toEqual([...api.store.series.keys()].sort())
    expect(await (await api.ask('/metrics/index.json?jsonp=cb')).text()).toStartWith('cb(["')
  })

  test('details and info tell retentions', async () => {
    expect(await api.json('/metrics/details?query=servers.web01.cpu')).toMatchObject({
      metrics: { 'servers.web01.cpu': { aggregationMethod: 'average', lastSeen: NOW } },
    })
    expect(await api.json('/info?target=servers.web01.cpu')).toMatchObject({
      name: 'servers.web01.cpu',
      retentions: [{ secondsPerPoint: 1, numberOfPoints: 3600 }],
    })
    expect((await api.ask('/info?target=nope')).status).toBe(404)
  })
})

describe('/tags', () => {
  test('lists, details, finds and completes', async () => {
    expect(await api.json('/tags')).toMatchObject([{ tag: 'dc' }, { tag: 'host' }, { tag: 'name' }])
    expect(await api.json('/tags/dc')).toMatchObject({
      tag: 'dc',
      values: [
        { value: 'eu', count: 1 },
        { value: 'us', count: 1 },
      ],
    })
    expect(await api.json('/tags/nope')).toBe(null)
    expect(await api.json('/tags/findSeries?expr=dc=eu')).toEqual(['disk;dc=eu;host=a'])
    expect(await (await api.post('/tags/findSeries', 'expr[]=host=b')).json()).toEqual([
      'disk;dc=us;host=b',
    ])
    expect(await api.json('/tags/autoComplete/tags?tagPrefix=h&limit=10000')).toEqual(['host'])
    expect(await api.json('/tags/autoComplete/values?tag=dc&valuePrefix=u')).toEqual(['us'])
  })

  test('makes and deletes series, from this machine', async () => {
    expect(await (await api.post('/tags/tagSeries', 'path=n;a=1')).json()).toBe('n;a=1')
    expect(await (await api.post('/tags/tagMultiSeries', 'path=n;a=2&path=n;a=3')).json()).toEqual([
      'n;a=2',
      'n;a=3',
    ])
    const all = 'path=n;a=1&path=n;a=2&path=n;a=3'
    const forwarded = await api.ask('/tags/delSeries', {
      method: 'POST',
      body: all,
      headers: { 'x-forwarded-for': '192.0.2.1' },
    })
    expect(forwarded.status).toBe(403)
    const foreign = await api.ask('/tags/delSeries', {
      method: 'POST',
      body: all,
      headers: { origin: 'https://example.org' },
    })
    expect(foreign.status).toBe(403)
    expect(await (await api.post('/tags/delSeries', all)).json()).toBe(true)
    expect(api.store.series.has('n;a=1')).toBe(false)
  })

  test('refuses other methods and missing parameters', async () => {
    expect((await api.ask('/tags/tagSeries')).status).toBe(405)
    expect((await api.post('/tags', '')).status).toBe(405)
    const missing = await api.ask('/tags/findSeries')
    expect([missing.status, await missing.json()]).toEqual([
      400,
      { error: 'no tag expressions specified' },
    ])
  })
})

describe('/functions', () => {
  test('describes functions as Grafana reads them', async () => {
    const all = (await api.json('/functions')) as Record<
      string,
      { name: string; group: string; params: { name: string; type: string }[] }
    >
    expect(all['sumSeries']).toMatchObject({ name: 'sumSeries', group: 'Combine' })
    expect(all['alias']!.params.map((param) => param.name)).toEqual(['seriesList', 'newName'])
    for (const [name, one] of Object.entries(all)) {
      expect(one.name).toBe(name)
      expect(Object.keys(one).sort()).toEqual([
        'description',
        'function',
        'group',
        'module',
        'name',
        'params',
      ])
    }
  })

  test('groups, filters, and knows what it does not have', async () => {
    const grouped = (await api.json('/functions?grouped=1')) as Record<string, object>
    expect(Object.keys(grouped['Alias']!)).toContain('alias')
    expect(Object.keys((await api.json('/functions?group=Alias')) as object)).not.toContain(
      'sumSeries',
    )
    expect(await api.json('/functions/alias')).toMatchObject({ name: 'alias' })
    const none = await api.ask('/functions/nope')
    expect([none.status, await none.json()]).toEqual([404, { error: 'Function not found: nope' }])
    expect((await api.post('/functions', '')).status).toBe(405)
  })
})

describe('health and version', () => {
  test('are there', async () => {
    expect(await (await api.ask('/version')).text()).toBe('1.1.10\n')
    expect(await (await api.ask('/healthz')).text()).toBe('ok\n')
    expect((await api.ask('/readyz')).status).toBe(200)
    expect((await api.ask('/lb_check')).status).toBe(200)
    expect(await (await api.ask('/metrics')).text()).toContain('emon_api_requests_render_total')
    expect((await api.ask('/nothing')).status).toBe(404)
  })

  test('are there on the Unix socket too', async () => {
    const response = await fetch(
      'http://api/render?format=json&target=servers.web01.cpu&' + RANGE,
      { unix: api.socketPath },
    )
    expect(await response.json()).toEqual([WEB01])
  })
})

describe('answers', () => {
  test('are compressed as the client accepts', async () => {
    const path = `${api.url}/functions`
    for (const [accepted, used] of [
      ['gzip', 'gzip'],
      ['gzip, zstd', 'zstd'],
      ['br', null],
      ['gzip;q=0', null],
    ] as const) {
      const response = await fetch(path, {
        headers: { 'accept-encoding': accepted },
        decompress: false,
      })
      expect(response.headers.get('content-encoding')).toBe(used)
      await response.arrayBuffer()
      expect(
        await (await fetch(path, { headers: { 'accept-encoding': accepted } })).json(),
      ).toHaveProperty('alias')
    }
  })

  test('carry an ETag and are not sent again', async () => {
    const path = `/render?format=json&target=servers.web01.cpu&${RANGE}`
    const first = await api.ask(path)
    const etag = first.headers.get('etag')!
    expect(first.headers.get('cache-control')).toBe('no-cache')
    expect((await api.ask(path, { headers: { 'if-none-match': etag } })).status).toBe(304)
    expect(
      (
        await api.ask(path.replace(/until=\d+/, `until=${NOW - 1}`), {
          headers: { 'if-none-match': etag },
        })
      ).status,
    ).toBe(200)
  })
})
