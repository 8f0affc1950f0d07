/**
 * What Grafana's Graphite data source sends (public/app/plugins/datasource/graphite/datasource.ts,
 * pkg/tsdb/graphite), request by request, and its rules for reading the answers: strict JSON, values that
 * are numbers or null, names that end in the query's letter, lists of texts, plain-text errors.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { TestApi } from './api-server.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const NOW = 1_700_000_000
const HOUR = 3_600

let api: TestApi

beforeAll(async () => {
  api = await TestApi.start()
  const values = Array.from({ length: HOUR }, (_, i) =>
    i % 7 === 3 ? NaN : i % 11 === 5 ? Infinity : i / 10,
  )
  const start = NOW - HOUR + 1
  for (const host of ['web01', 'web02']) {
    api.store.set(`servers.${host}.cpu.user`, { start, step: 1, values })
    api.store.set(`servers.${host}.load+1m`, { start, step: 1, values })
    api.store.set(`disk.used;host=${host};rack=12`, { start, step: 1, values })
  }
})

afterAll(() => api.close())

interface GrafanaSeries {
  target: string
  tags: Record<string, string | number>
  datapoints: [number | null, number][]
}

/** The form that the front end posts for a panel. */
function panelForm(targets: readonly string[], more: Record<string, string> = {}): string {
  const form = new URLSearchParams()
  for (const target of targets) form.append('target', target)
  for (const [name, value] of Object.entries({
    from: String(NOW - HOUR),
    until: String(NOW),
    format: 'json',
    ...more,
  })) {
    form.append(name, value)
  }
  return form.toString()
}

async function render(form: string): Promise<GrafanaSeries[]> {
  const response = await api.post('/render', form)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toStartWith('application/json')
  return readSeries(await response.text())
}

/** The data source's decoding, and Go's: no NaN, no Infinity, nothing out of a float64's range. */
function readSeries(text: string): GrafanaSeries[] {
  const answer = JSON.parse(text) as GrafanaSeries[] | { series: GrafanaSeries[] }
  const list = Array.isArray(answer) ? answer : answer.series
  for (const series of list) {
    expect(typeof series.target).toBe('string')
    for (const tag of Object.values(series.tags)) expect(['string', 'number']).toContain(typeof tag)
    for (const [value, time] of series.datapoints) {
      expect(value === null || Number.isFinite(value)).toBe(true)
      expect(Number.isInteger(time)).toBe(true)
    }
  }
  return list
}

describe('panels', () => {
  test('every query is wrapped to carry its letter, which comes off again', async () => {
    const targets = [
      'aliasSub(servers.*.cpu.user, "(^.*$)", "\\1 A")',
      'aliasSub(aliasByNode(scale(servers.web01.cpu.user, 2), 1), "(^.*$)", "\\1 B")',
      'aliasSub(seriesByTag(\'name=disk.used\', \'host=~web.*\'), "(^.*$)", "\\1 C")',
    ]
    const list = await render(panelForm(targets, { maxDataPoints: '1000' }))
    const read = list.map(({ target }) => {
      const cut = target.lastIndexOf(' ')
      return [target.slice(0, cut), target.slice(cut + 1)]
    })
    expect(read).toEqual([
      ['servers.web01.cpu.user', 'A'],
      ['servers.web02.cpu.user', 'A'],
      ['web01', 'B'],
      ['disk.used;host=web01;rack=12', 'C'],
      ['disk.used;host=web02;rack=12', 'C'],
    ])
    for (const { datapoints } of list) {
      expect(datapoints.length).toBeLessThanOrEqual(1_000)
      expect(datapoints.length).toBeGreaterThan(500)
    }
  })

  test('times are epochs or words', async () => {
    for (const [from, until] of [
      ['-5min', 'now'],
      ['-1mon', 'now'],
      [String(NOW - 60), String(NOW)],
    ] as const) {
      const form = panelForm(['constantLine(1)'], { from, until })
      expect(await render(form)).toHaveLength(1)
    }
  })

  test('the back end and alerting ask without letters', async () => {
    const [series] = await render(panelForm(['servers.web01.cpu.user'], { maxDataPoints: '100' }))
    expect(series!.target).toBe('servers.web01.cpu.user')
    expect(series!.tags).toEqual({ name: 'servers.web01.cpu.user' })
  })

  test('range in the query, targets in the body, compressed', async () => {
    const form = new URLSearchParams({ target: 'servers.web01.cpu.user', format: 'json' })
    const response = await api.ask(`/render?from=${NOW - HOUR}&until=${NOW}`, {
      method: 'POST',
      body: form.toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'accept-encoding': 'gzip',
      },
    })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    const [series] = readSeries(await response.text())
    expect(series!.datapoints).toHaveLength(HOUR)
    expect(series!.datapoints.at(-1)![1]).toBe(NOW)
  })

  test('nothing is 200 and an empty list', async () => {
    expect(await render(panelForm(['aliasSub(no.such.thing, "(^.*$)", "\\1 A")']))).toEqual([])
  })

  test('a wrong query is a 4xx whose body says why', async () => {
    const response = await api.post('/render', panelForm(['sumSeries(servers.*']))
    expect(response.status).toBe(400)
    const body = await response.text()
    expect(body).not.toContain('<')
    expect(body.length).toBeGreaterThan(10)
  })
})

describe('save & test', () => {
  test('draws a constant line', async () => {
    const [line] = await render(panelForm(['constantLine(100)'], { maxDataPoints: '300' }))
    expect(line!.datapoints.every(([value]) => value === 100)).toBe(true)
  })

  test('reads the version', async () => {
    expect(await (await api.ask('/version')).text()).toMatch(/^\d+\.\d+\.\d+\s*$/)
  })
})

describe('variables and completion', () => {
  interface Found {
    text: string
    expandable: 0 | 1 | boolean
  }

  async function find(query: string): Promise<Found[]> {
    const response = await api.post(
      `/metrics/find?from=${NOW - HOUR}&until=${NOW}`,
      `query=${query}`,
    )
    expect(response.status).toBe(200)
    return (await response.json()) as Found[]
  }

  test('find takes the query as it stands in the body', async () => {
    const roots = (await find('s*')).map(({ text, expandable }) => [text, Boolean(expandable)])
    expect(roots).toEqual([['servers', true]])
    expect((await find('servers.{web01,web02}.cpu.*')).map(({ text }) => text)).toEqual(['user'])
    expect((await find('servers.web01.load+*')).map(({ text }) => text)).toHaveLength(1)
    expect(await find('no.such.*')).toEqual([])
  })

  test('expand lists whole paths', async () => {
    const query = encodeURIComponent('servers.*.cpu')
    const expanded = await api.json(
      `/metrics/expand?query=${query}&from=${NOW - HOUR}&until=${NOW}`,
    )
    expect(expanded).toEqual({ results: ['servers.web01.cpu', 'servers.web02.cpu'] })
  })

  test('tags and their values are lists of texts', async () => {
    const range = `from=${NOW - HOUR}&until=${NOW}`
    expect(await api.json(`/tags/autoComplete/tags?limit=10000&${range}`)).toEqual([
      'host',
      'name',
      'rack',
    ])
    expect(
      await api.json(
        `/tags/autoComplete/tags?expr=${encodeURIComponent('name=disk.used')}&tagPrefix=ho&limit=10000&${range}`,
      ),
    ).toEqual(['host'])
    expect(
      await api.json(
        `/tags/autoComplete/values?expr=${encodeURIComponent('name=disk.used')}&tag=host&valuePrefix=&limit=10000&${range}`,
      ),
    ).toEqual(['web01', 'web02'])
  })

  test('the tag editor goes on from a tag that only excludes', async () => {
    const asked = `expr=${encodeURIComponent('host!=web01')}&limit=10000`
    await api.json(`/tags/autoComplete/values?tag=rack&valuePrefix=&${asked}`)
    // At least one expression must select something: the store is asked for what has the tag.
    expect(api.store.asked.at(-1)).toMatchObject({ expressions: ['host!=web01', 'rack!='] })
  })
})

/** What the editor reads of a parameter beside its name and type, and what it takes it for. */
const READ: Readonly<Record<string, (value: unknown) => boolean>> = {
  required: (value) => value === true,
  multiple: (value) => value === true,
  default: (value) => ['string', 'number', 'boolean'].includes(typeof value),
  options: (value) => Array.isArray(value) && value.length > 0,
  suggestions: (value) => Array.isArray(value) && value.length > 0,
}

describe('the function list', () => {
  test('is strict JSON once Infinity is out, and has what the editor reads', async () => {
    const text = await (await api.ask('/functions')).text()
    const functions = JSON.parse(text) as Record<
      string,
      { name: string; description: string; group: string; params: Record<string, unknown>[] }
    >
    expect(text).not.toMatch(/: ?-?(?:Infinity|NaN)/)
    for (const [name, one] of Object.entries(functions)) {
      expect(one.name).toBe(name)
      expect(one.group).not.toBe('')
      for (const { name, type, ...more } of one.params) {
        expect([typeof name, typeof type]).toEqual(['string', 'string'])
        for (const [key, value] of Object.entries(more)) expect(READ[key]?.(value), key).toBe(true)
      }
    }
    for (const name of [
      'alias',
      'aliasByNode',
      'sumSeries',
      'scale',
      'movingAverage',
      'summarize',
      'seriesByTag',
      'perSecond',
    ]) {
      expect(functions).toHaveProperty(name)
    }
    expect(functions['sumSeries']!.params[0]).toMatchObject({ type: 'seriesList', multiple: true })
  })
})

describe('annotations', () => {
  test('read events, and series', async () => {
    await api.ask('/events/', {
      method: 'POST',
      body: JSON.stringify({ what: 'deploy', tags: 'web', when: NOW - 60, data: 'v2' }),
    })
    const events = await api.json(`/events/get_data?from=${NOW - HOUR}&until=${NOW}&tags=web`)
    expect(events).toMatchObject([{ when: NOW - 60, what: 'deploy', tags: ['web'], data: 'v2' }])
    const range = `from=${NOW - HOUR}&until=${NOW}`
    await api.ask('/events/', {
      method: 'POST',
      body: JSON.stringify({ what: 'restart', tags: ['web', 'eu'], when: NOW - 30 }),
    })
    const whats = async (tags: string): Promise<string[]> => {
      const found = (await api.json(`/events/get_data?${range}${tags}`)) as { what: string }[]
      return found.map(({ what }) => what)
    }
    expect(await whats('&tags=web%20eu')).toEqual(['restart'])
    expect(await whats('&tags=web+eu')).toEqual(['restart'])
    expect(await whats('&tags=')).toEqual(['deploy', 'restart'])
    expect(await whats('')).toEqual(['deploy', 'restart'])
    // As the front end sends them: words, and the range of a panel.
    const relative = (await api.json('/events/get_data?from=-1h&until=now')) as unknown[]
    expect(relative).toEqual([])
    expect(
      await render(panelForm(['drawAsInfinite(servers.web01.cpu.user)'], { maxDataPoints: '100' })),
    ).toHaveLength(1)
  })
})
