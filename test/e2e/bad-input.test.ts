/** Bad input, end to end: a clear error or a counted drop, and nothing of the good data around it lost. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { LineClient, sendLines } from './load.ts'
import { freePorts, nowSeconds, Stack } from './stack.ts'

let stack: Stack
const pids = new Map<string, number>()

beforeAll(async () => {
  stack = await Stack.start()
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) pids.set(name, stack.pid(name))
}, 30_000)

afterAll(async () => {
  // Nothing has crashed on the way.
  for (const [name, pid] of pids) expect(`${name} ${process.kill(pid, 0)}`).toBe(`${name} true`)
  await stack.close()
})

/** Sends `bad` between two good lines, and expects both of those and `extra` points more. */
async function amidGood(label: string, bad: string | Uint8Array, extra = 0): Promise<void> {
  const time = nowSeconds() - 3
  const client = await LineClient.connect(stack.config.relay.port)
  await client.write(`bad.${label}.before 1 ${time}\n`)
  await client.write(bad)
  await client.write(`\nbad.${label}.after 2 ${time}\n`)
  await client.end()
  const range = { from: nowSeconds() - 60, until: nowSeconds() + 2 }
  const points = await stack.pointsWhen(`bad.${label}.*`, range, 2 + extra)
  expect(points.get(`bad.${label}.before ${time}`)).toBe(1)
  expect(points.get(`bad.${label}.after ${time}`)).toBe(2)
  expect([...points.keys()]).toHaveLength(2 + extra)
}

test('garbage bytes', async () => {
  const garbage = new Uint8Array(200_000)
  for (let i = 0; i < garbage.length; i++) garbage[i] = (i * 2_654_435_761) >>> 13
  await amidGood('garbage', garbage)
})

test('a line of 10 MB without a newline', async () => {
  // The relay may hang up on such a client: then a new connection is as good.
  const time = nowSeconds() - 3
  const client = await LineClient.connect(stack.config.relay.port)
  await client.write(`bad.long.before 1 ${time}\n`)
  await client.write(new Uint8Array(10_000_000).fill(0x61))
  await client.end()
  await sendLines(stack, `bad.long.after 2 ${time}\n`)
  const points = await stack.pointsWhen('bad.long.*', { from: time - 1, until: time }, 2)
  expect([...points.values()]).toEqual([2, 1])
})

test('half a line and a hang stalls nobody', async () => {
  const hanging = await LineClient.connect(stack.config.relay.port)
  await hanging.write('bad.half.hanging 1')
  await amidGood('half', '')
  await hanging.write(` ${nowSeconds() - 1}\n`)
  const range = { from: nowSeconds() - 60, until: nowSeconds() }
  expect((await stack.pointsWhen('bad.half.hanging', range, 1)).size).toBe(1)
  await hanging.end()
})

test('control characters in names', async () => {
  const time = nowSeconds() - 3
  await amidGood(
    'control',
    `bad.control\u0000x 1 ${time}\nbad.\u0007control.bell 1 ${time}\n\u001b[31m 1 ${time}`,
  )
})

test('values that are none', async () => {
  const time = nowSeconds() - 3
  const values = ['nan', 'NaN', '-nan', 'x', '1e', '--1', '1,5']
  const lines = values.map((value, i) => `bad.value.v${i} ${value} ${time}`).join('\n')
  await amidGood('value', lines)
  expect(await dropped('value')).toBeGreaterThanOrEqual(3)
})

test('times that are none, and the one that means now', async () => {
  const far = nowSeconds() + 100_000
  const lines = [`bad.time.zero 1 0`, `bad.time.far 1 ${far}`, `bad.time.word 1 noon`]
  await amidGood('time', lines.join('\n'))
  expect(await dropped('time')).toBeGreaterThanOrEqual(2)
  await amidGood('now', 'bad.now.minus 1 -1', 1)
})

test('HTTP on the line port, lines on the HTTP port', async () => {
  await amidGood('http', 'GET /render?target=x HTTP/1.1\r\nHost: x\r\n\r\n')
  const client = await LineClient.connect(stack.config.api.port)
  await client.write(`a.b 1 ${nowSeconds()}\n`)
  const answer = await fetch(
    `http://127.0.0.1:${stack.config.api.port}/render?target=a.b&format=json`,
  )
  expect(answer.status).toBe(200)
})

test('a question that makes no sense is answered so', async () => {
  const ask = (query: string) => fetch(`http://127.0.0.1:${stack.config.api.port}/render?${query}`)
  for (const query of ['target=sumSeries(', 'target=noSuchFunction(a)', 'target=a&from=whenever']) {
    const answer = await ask(`${query}&format=json`)
    expect(`${query} ${answer.status}`).toBe(`${query} 400`)
    expect((await answer.text()).length).toBeGreaterThan(10)
  }
})

/** Points dropped for that reason, by the relay or the store. */
async function dropped(reason: string): Promise<number> {
  let sum = 0
  for (const name of ['relay', 'store'] as const) {
    const unix = `${stack.config.run}/${name}-admin.sock`
    const text = await (await fetch('http://emon/metrics', { unix })).text()
    for (const line of text.split('\n')) {
      const found = new RegExp(`^emon_\\w*${reason}\\w*_total (\\d+)$`, 'i').exec(line)
      if (found) sum += Number(found[1])
    }
  }
  return sum
}

test('a port in use is said, with its number', async () => {
  const second = await Stack.create({ EMON_API_PORT: String(stack.config.api.port) })
  second.spawn('api')
  expect(await second.exited('api')).not.toBe(0)
  expect(second.log('api')).toContain(String(stack.config.api.port))
  await second.close()
}, 15_000)

test('a relay port in use is said too', async () => {
  const second = await Stack.create({ EMON_RELAY_PORT: String(stack.config.relay.port) })
  second.spawn('relay')
  expect(await second.exited('relay')).not.toBe(0)
  expect(second.log('relay')).toContain(String(stack.config.relay.port))
  await second.close()
}, 15_000)

test('a data folder that cannot be written is refused', async () => {
  // A file in its place, because root may write everywhere else.
  const second = await Stack.create()
  await Bun.write(`${second.dir}/file`, '')
  second.environment['EMON_DATA'] = `${second.dir}/file/data`
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) {
    second.spawn(name)
    expect(`${name} ${await second.exited(name)}`).toBe(`${name} 78`)
    expect(second.log(name)).toContain(`${second.dir}/file/data`)
  }
  await second.close()
}, 15_000)

test('a broken emon.toml is refused with every complaint', async () => {
  const second = await Stack.create()
  await Bun.write(`${second.dir}/emon.toml`, 'tz = "Mars"\n[relay]\nporridge = 1\n')
  second.spawn('relay')
  expect(await second.exited('relay')).toBe(78)
  expect(second.log('relay')).toMatch(/emon\.toml:1: tz must be a time zone/)
  expect(second.log('relay')).toMatch(/emon\.toml:3: there is no setting relay\.porridge/)
  await second.close()
}, 15_000)

test('a second process of one kind is refused, and names the first', async () => {
  const [port] = await freePorts(1)
  const child = Bun.spawn([process.execPath, 'scripts/api.ts'], {
    env: { ...stack.environment, EMON_API_PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  expect(await child.exited).toBe(78)
  expect(await new Response(child.stderr).text()).toContain(`pid ${stack.pid('api')}`)
}, 15_000)
