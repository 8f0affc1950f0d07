/** A page whose name was made to lead to 127.0.0.1 could read metrics and delete series: its Origin was its Host. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { TestApi } from '../api/api-server.ts'

let api: TestApi

beforeAll(async () => {
  api = await TestApi.start({ EMON_HTTP_NAMES: 'graphs.example, metrics.example' })
})
afterAll(() => api.close())

function headers(host: string): Record<string, string> {
  return { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
}

async function remove(host: string): Promise<number> {
  const request = { method: 'POST', body: 'path=a.b', headers: headers(host) }
  return (await api.ask('/tags/delSeries', request)).status
}

async function read(host: string): Promise<number> {
  return (await api.ask('/metrics/find?query=*', { headers: headers(host) })).status
}

test('a name that is not this machine’s may neither read nor change', async () => {
  for (const host of ['evil.example:8888', 'evil.example', '127.0.0.1.evil.example', '192.0.2.1']) {
    expect([host, await read(host), await remove(host)]).toEqual([host, 403, 403])
  }
})

test('loopback’s names and those that are configured may', async () => {
  const good = ['127.0.0.1:8888', 'localhost', '[::1]:8888', 'a.localhost:1', 'metrics.example:80']
  for (const host of good) {
    expect([host, await read(host), await remove(host)]).toEqual([host, 200, 200])
  }
})

test('who is let in by a token may come by any name', async () => {
  const guarded = await TestApi.start({ EMON_API_TOKENS: 't0ken' })
  const authorization = 'Bearer t0ken'
  const asked = await guarded.ask('/metrics/find?query=*', {
    headers: { ...headers('proxy.example'), authorization },
  })
  await guarded.close()
  expect(asked.status).toBe(200)
})
