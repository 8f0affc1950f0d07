/** Who may ask, how much, and what happens when clients or stores go away. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Config } from '../../src/config.ts'
import { until } from '../peers/waiting.ts'
import { TestApi } from './api-server.ts'
import { FakeStore } from './fake-store.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const NOW = 1_700_000_000
const RANGE = `from=${NOW - 5}&until=${NOW}&now=${NOW}`
const FIVE = { start: NOW - 4, step: 1, values: [1, 2, 3, 4, 5] }
const RENDER = `/render?target=a.*&format=json&${RANGE}`

const running: TestApi[] = []
afterEach(async () => {
  for (const api of running.splice(0)) await api.close()
})

async function start(environment: Readonly<Record<string, string>> = {}): Promise<TestApi> {
  const api = await TestApi.start(environment)
  api.store.set('a.b', FIVE).set('a.c', FIVE)
  running.push(api)
  return api
}

describe('access', () => {
  test('needs a user or a token where they are configured, but for health and the socket', async () => {
    const api = await start({
      EMON_API_USERS: 'ann:secret, bob:pass:word',
      EMON_API_TOKENS: 't0ken',
    })
    const refused = await api.ask(RENDER)
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('Basic'),
    ])
    const ask = async (authorization: string): Promise<number> =>
      (await api.ask(RENDER, { headers: { authorization } })).status
    expect(await ask(`Basic ${btoa('ann:secret')}`)).toBe(200)
    expect(await ask(`Basic ${btoa('bob:pass:word')}`)).toBe(200)
    expect(await ask(`Basic ${btoa('ann:wrong!')}`)).toBe(401)
    expect(await ask('Bearer t0ken')).toBe(200)
    expect(await ask('Bearer t0kem')).toBe(401)
    expect((await api.ask('/healthz')).status).toBe(200)
    expect((await api.ask('/metrics')).status).toBe(401)
    expect((await fetch(`http://api${RENDER}`, { unix: api.socketPath })).status).toBe(200)
  })

  test('lets the instance’s token change things from elsewhere', async () => {
    const api = await start({ EMON_TOKEN: 'instance' })
    const post = async (headers: Record<string, string>): Promise<number> =>
      (await api.ask('/tags/delSeries', { method: 'POST', body: 'path=a.b', headers })).status
    expect(await post({ 'x-forwarded-for': '192.0.2.1' })).toBe(403)
    expect(await post({ 'x-forwarded-for': '192.0.2.1', authorization: 'Bearer instance' })).toBe(
      200,
    )
  })

  test('tells browsers which origins may ask', async () => {
    const api = await start({ EMON_API_CORS_ORIGINS: 'https://grafana.example' })
    const asked = await api.ask(RENDER, { headers: { origin: 'https://grafana.example' } })
    expect(asked.headers.get('access-control-allow-origin')).toBe('https://grafana.example')
    const other = await api.ask(RENDER, { headers: { origin: 'https://other.example' } })
    expect(other.headers.get('access-control-allow-origin')).toBe(null)
    const preflight = await api.ask('/render', {
      method: 'OPTIONS',
      headers: { origin: 'https://grafana.example', 'access-control-request-method': 'POST' },
    })
    expect(preflight.status).toBe(204)
    const closed = await start()
    expect(
      (await closed.ask(RENDER, { headers: { origin: 'https://a.example' } })).headers.get(
        'access-control-allow-origin',
      ),
    ).toBe(null)
  })

  test('speaks TLS with a certificate', async () => {
    const openssl = Bun.which('openssl')
    if (openssl === null) return console.log('speaks TLS: skipped: openssl is not installed')
    const dir = `${import.meta.dir}/../../var`
    const files = {
      key: `${dir}/test-${process.pid}.key`,
      certificate: `${dir}/test-${process.pid}.crt`,
    }
    await Bun.write(files.key, '')
    Bun.spawnSync([openssl, 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
      '-subj', '/CN=localhost', '-days', '2', '-keyout', files.key, '-out', files.certificate]) // prettier-ignore
    try {
      const api = await start({
        EMON_API_TLS_CERTIFICATE: files.certificate,
        EMON_API_TLS_KEY: files.key,
      })
      const response = await fetch(`${api.url}/healthz`, { tls: { rejectUnauthorized: false } })
      expect(await response.text()).toBe('ok\n')
    } finally {
      await Bun.file(files.key).delete()
      await Bun.file(files.certificate).delete()
    }
  })
})

describe('limits', () => {
  async function config(text: string): Promise<TestApi> {
    const file = `${import.meta.dir}/../../var/test-${process.pid}.toml`
    await Bun.write(file, text)
    try {
      return await start({ EMON_CONFIG: file })
    } finally {
      await Bun.file(file).delete()
    }
  }

  test('are plain 4xx texts', async () => {
    const api = await config(
      '[api]\nseries_max = 1\npoints_max = 1000\ntargets_max = 2\nnames_max = 50\n',
    )
    const many = await api.ask(RENDER)
    expect([many.status, many.headers.get('content-type')]).toEqual([
      413,
      'text/plain; charset=utf-8',
    ])
    const targets = await api.ask('/render?format=json&target=a&target=b&target=c')
    expect([targets.status, await targets.text()]).toEqual([
      413,
      '3 targets: at most 2 are taken\n',
    ])
  })

  test('refuse what is asked over the limit at once, and count it', async () => {
    const api = await config('[api]\nrequests_max = 2\n')
    api.store.delayMs = 200
    const statuses = await Promise.all(
      Array.from({ length: 5 }, async () => (await api.ask(RENDER)).status),
    )
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 200, 429, 429, 429])
    expect(api.stats.counter('requests.refused').value).toBe(3)
    expect((await api.ask(RENDER)).status).toBe(200)
  })

  test('count an answer until its client has read it, or left', async () => {
    const api = await config('[api]\nrequests_max = 1\n')
    const values = Array.from({ length: 90_000 }, (_, i) => i / 8)
    for (let i = 0; i < 9; i++)
      api.store.set(`long.s${i}`, { start: NOW - 89_999, step: 1, values })
    const range = `from=${NOW - 90_000}&until=${NOW}&now=${NOW}`
    const slow = await api.ask(`/render?target=long.*&format=json&${range}`)
    expect((await api.ask(RENDER)).status).toBe(429)
    expect((await api.ask('/healthz')).status).toBe(200)
    await slow.body!.cancel()
    await Bun.sleep(100)
    const head = await api.ask(`/render?target=long.*&format=json&${range}`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect((await api.ask(RENDER)).status).toBe(200)
  })

  test('end a request that takes too long', async () => {
    const api = await config('[api]\ntimeout = 1\n')
    api.store.silent = true
    const started = performance.now()
    const late = await api.ask(RENDER)
    expect(late.status).toBe(504)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('clients and stores that go away', () => {
  test('a client that leaves cancels the store’s work', async () => {
    const api = await start()
    api.store.silent = true
    const gone = new AbortController()
    const asked = api.ask(RENDER, { signal: gone.signal }).catch(() => 'gone')
    await Bun.sleep(50)
    gone.abort()
    expect(await asked).toBe('gone')
    await Bun.sleep(100)
    expect(api.store.cancelled.length).toBe(1)
  })

  test('a store that is away is 503 in plain text, and not ready', async () => {
    const api = await start()
    api.store.hangUp()
    await Bun.sleep(2_100)
    const response = await api.ask(RENDER)
    expect([response.status, await response.text()]).toEqual([
      503,
      expect.stringContaining('cannot be reached'),
    ])
    expect((await api.ask('/readyz')).status).toBe(503)
    expect((await api.ask('/healthz')).status).toBe(200)
  })

  test('one of two stores that is away is named in a header', async () => {
    const other = await start()
    const api = await start({
      EMON_STORES: `unix:${other.store.path},unix:/nonexistent/query.sock`,
    })
    await Bun.sleep(2_100)
    const response = await api.ask(RENDER)
    expect(response.headers.get('x-emon-stores-missing')).toBe('unix:/nonexistent/query.sock')
    expect(await response.json()).toHaveLength(2)
  })

  test('a long answer is streamed, compressed or not', async () => {
    const api = await start()
    const values = Array.from({ length: 50_000 }, (_, i) => i / 8)
    for (let i = 0; i < 5; i++)
      api.store.set(`long.s${i}`, { start: NOW - 49_999, step: 1, values })
    const path = `/render?target=long.*&format=json&from=${NOW - 50_000}&until=${NOW}&now=${NOW}`
    for (const accepted of ['identity', 'gzip', 'zstd']) {
      const response = await api.ask(path, { headers: { 'accept-encoding': accepted } })
      const answer = (await response.json()) as { datapoints: [number, number][] }[]
      expect(answer.map((one) => one.datapoints.length)).toEqual(
        Array.from({ length: 5 }, () => 50_000),
      )
      expect(answer[4]!.datapoints.at(-1)).toEqual([values.at(-1)!, NOW])
    }
  })
})

describe('HUP', () => {
  const reload = (api: TestApi, changes: Partial<Config['api']>): Promise<void> =>
    api.concern.reload({ ...api.config, api: { ...api.config.api, ...changes } })

  const valuesFrom = async (answer: Response | Promise<Response>): Promise<number[]> => {
    const series = (await (await answer).json()) as { datapoints: [number, number][] }[]
    return series[0]!.datapoints.map(([value]) => value)
  }

  test('takes over limits, access, origins and time, and keeps the connection to the store', async () => {
    const api = await start()
    const { connections } = api.store
    await reload(api, { targets_max: 1, cors_origins: 'https://grafana.example', timeout: 1 })
    expect((await api.ask('/render?format=json&target=a&target=b')).status).toBe(413)
    const crossing = await api.ask(RENDER, { headers: { origin: 'https://grafana.example' } })
    expect(crossing.headers.get('access-control-allow-origin')).toBe('https://grafana.example')
    await reload(api, { tokens: 't0ken' })
    expect((await api.ask(RENDER)).status).toBe(401)
    await reload(api, {})
    expect((await api.ask(RENDER)).status).toBe(200)
    expect(api.store.connections).toBe(connections)
  })

  test('changes the stores; what is being answered goes on with the old ones', async () => {
    const api = await start()
    const other = new FakeStore()
    try {
      other.set('a.b', { ...FIVE, values: [6, 7, 8, 9, 10] })
      api.store.delayMs = 300
      const underWay = api.ask(RENDER)
      await until(() => api.store.asked.length > 0)
      await reload(api, { stores: `unix:${other.path}` })
      expect(await valuesFrom(api.ask(RENDER))).toEqual([6, 7, 8, 9, 10])
      expect(api.store.connections).toBe(1)
      expect(await valuesFrom(underWay)).toEqual([1, 2, 3, 4, 5])
      await until(() => api.store.connections === 0, { what: 'the old store is left' })
      expect(api.concern.notReady()).toEqual([])
      // Its answer is long gone, and so is its part in being ready.
      api.store.hangUp()
      expect((await api.ask('/readyz')).status).toBe(200)
    } finally {
      other.close()
    }
  })

  test('adds a store behind the first', async () => {
    const api = await start()
    const other = new FakeStore()
    try {
      other.set('a.b', { ...FIVE, values: [6, 7, 8, 9, 10] }).set('a.d', FIVE)
      await reload(api, { stores: `unix:${api.store.path},unix:${other.path}` })
      const series = (await api.json(RENDER)) as { target: string }[]
      expect(series.map(({ target }) => target)).toEqual(['a.b', 'a.c', 'a.d'])
    } finally {
      other.close()
    }
  })

  test('with a wrong configuration changes nothing', async () => {
    const api = await start()
    const wrong: Partial<Config['api']>[] = [
      { stores: 'http://x' },
      { users: 'nobody', stores: 'unix:/nonexistent' },
      { redis: 'nonsense', targets_max: 1 },
    ]
    for (const changes of wrong) {
      expect(await reload(api, changes).catch(String)).toContain('api.')
      expect(await valuesFrom(api.ask(RENDER.replace('&', '&target=a.b&')))).toEqual([
        1, 2, 3, 4, 5,
      ])
    }
    expect(api.store.connections).toBe(1)
  })
})

describe('/events', () => {
  test('are made, listed, found by tag, and shown', async () => {
    const api = await start()
    const make = (event: unknown): Promise<Response> =>
      api.ask('/events/', { method: 'POST', body: JSON.stringify(event) })
    expect(
      (await make({ what: 'deploy', tags: ['web', 'eu'], when: NOW - 3, data: 'v1' })).status,
    ).toBe(200)
    expect((await make({ what: 'restart', tags: 'web us', when: NOW - 2 })).status).toBe(200)
    expect((await make({ what: 'now', data: { a: 1 } })).status).toBe(200)
    const find = (query: string): Promise<unknown> => api.json(`/events/get_data?${query}`)
    const first = { when: NOW - 3, what: 'deploy', data: 'v1', tags: ['eu', 'web'], id: 1 }
    const second = { when: NOW - 2, what: 'restart', data: '', tags: ['us', 'web'], id: 2 }
    expect(await find(`from=${NOW - 5}&until=${NOW}`)).toEqual([first, second])
    expect(await find(`from=${NOW - 5}&until=${NOW}&tags=web+eu`)).toEqual([first])
    expect(await find(`until=${NOW}&tags=web+nothing`)).toEqual([first, second])
    expect(await find(`until=${NOW}&tags=web+nothing&set=intersection`)).toEqual([])
    expect(await find(`until=${NOW}&tags=us+nothing&set=union`)).toEqual([second])
    expect(await find(`until=${NOW}&tags=nothing`)).toEqual([])
    expect(await api.json('/events/')).toHaveLength(3)
    expect(await api.json('/events/1', { headers: { accept: 'application/json' } })).toEqual({
      ...first,
      when: '2023-11-14T22:13:17Z',
    })
    expect((await api.ask('/events/99')).status).toBe(404)
    expect(
      await (await api.ask(`/events/get_data?until=${NOW}&tags=us&jsonp=cb`)).text(),
    ).toStartWith('cb([{')
    const drawn = await api.json(
      `/render?target=events('web')&format=json&from=${NOW - 5}&until=${NOW}&now=${NOW}`,
    )
    expect(drawn).toMatchObject([{ target: expect.stringContaining('events') }])
  })

  test('that are none are refused', async () => {
    const api = await start()
    for (const body of [
      '',
      '[]',
      'x',
      '{"what":"x","tags":5}',
      '{"what":"x","when":"yesterday"}',
    ]) {
      expect((await api.ask('/events', { method: 'POST', body })).status).toBe(400)
    }
  })
})

describe('/dashboard', () => {
  test('keeps, finds, loads and deletes', async () => {
    const api = await start()
    const state = JSON.stringify({ name: 'web', graphs: [] })
    expect(
      await (
        await api.post('/dashboard/save/web%20servers', `state=${encodeURIComponent(state)}`)
      ).json(),
    ).toEqual({ success: true })
    expect(await api.json('/dashboard/find?query=SERV')).toEqual({
      dashboards: [{ name: 'web servers' }],
    })
    expect(await api.json('/dashboard/find?query=db')).toEqual({ dashboards: [] })
    expect(await api.json('/dashboard/load/web%20servers')).toEqual({ state: JSON.parse(state) })
    expect(await api.json('/dashboard/load/none')).toHaveProperty('error')
    expect((await api.post('/dashboard/save/x', 'state=nonsense')).status).toBe(400)
    expect(await (await api.post('/dashboard/delete/web%20servers', '')).json()).toEqual({
      success: true,
    })
    expect(await api.json('/dashboard/find')).toEqual({ dashboards: [] })
  })
})

describe('pictures', () => {
  test('are answered in every format', async () => {
    const api = await start()
    const starts = { svg: '<?xml', pdf: '%PDF-', png: '\u0089PNG' } as const
    for (const [format, magic] of Object.entries(starts)) {
      const response = await api.ask(RENDER.replace('format=json', `format=${format}`))
      expect(response.status).toBe(200)
      expect(Buffer.from(await response.arrayBuffer()).toString('latin1')).toStartWith(magic)
    }
    const nothing = await api.ask(`/render?target=none&${RANGE}`)
    expect([nothing.status, nothing.headers.get('content-type')]).toEqual([200, 'image/png'])
    const pie = await api.ask('/render?graphType=pie&target=a:1&target=b:2&format=svg')
    expect(await pie.text()).toContain('66.7 %')
  })
})
