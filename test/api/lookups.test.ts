/** aliasByRedis and aliasByPostgres against the real servers. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { compileAliasQuery } from '../../src/api/lookups/postgres-query.ts'
import { postgresIsMissing, PostgresServer } from '../peers/postgres.ts'
import { redisIsMissing, RedisServer } from '../peers/redis.ts'
import { freePort } from '../peers/waiting.ts'
import { TestApi } from './api-server.ts'

setDefaultTimeout(60_000)

const NOW = 1_700_000_000
const ONE = { start: NOW, step: 1, values: [1] }

for (const missing of [redisIsMissing(), postgresIsMissing()]) {
  if (missing !== undefined) console.log(`skipped: look-ups: ${missing}`)
}

const running: TestApi[] = []
afterEach(async () => {
  for (const api of running.splice(0)) await api.close()
})

async function start(environment: Readonly<Record<string, string>>): Promise<TestApi> {
  const api = await TestApi.start(environment)
  for (const host of ['a', 'b', 'nobody']) api.store.set(`dc1.${host}.load`, ONE)
  for (const host of ['a', 'b', 'nobody']) api.store.set(`hosts.${host}`, ONE)
  running.push(api)
  return api
}

function askFor(api: TestApi, ...targets: string[]): Promise<Response> {
  const query = targets.map((target) => `target=${encodeURIComponent(target)}`).join('&')
  return api.ask(`/render?${query}&format=json&from=${NOW - 5}&until=${NOW}&now=${NOW}`)
}

async function namesOf(api: TestApi, ...targets: string[]): Promise<string[]> {
  const response = await askFor(api, ...targets)
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  return ((await response.json()) as { target: string }[]).map((series) => series.target)
}

async function refusal(api: TestApi, target: string): Promise<[number, string]> {
  const response = await askFor(api, target)
  return [response.status, (await response.text()).trim()]
}

describe.skipIf(redisIsMissing() !== undefined)('aliasByRedis', () => {
  const redis = new RedisServer()
  const startFilled = async (): Promise<void> => {
    await redis.start()
    await redis.send('HSET', ['names', 'a', 'Anna', 'b', 'Bert, of dc1', 'long', 'x'.repeat(5_000)])
    await redis.send('SET', ['text', 'no hash'])
  }
  beforeAll(startFilled)
  afterAll(() => redis.close())

  const commands = async (): Promise<number> =>
    Number(
      /cmdstat_hmget:calls=(\d+)/.exec(String(await redis.send('INFO', ['commandstats'])))?.[1],
    )

  test('names series after a hash; what is not in it after its last node', async () => {
    const api = await start({ EMON_REDIS: redis.url })
    expect(await namesOf(api, 'aliasByRedis(hosts.*,"names")')).toEqual([
      'Anna',
      'Bert, of dc1',
      'nobody',
    ])
    expect(await namesOf(api, 'aliasByRedis(hosts.*,"names",true)')).toEqual([
      'hosts.Anna',
      'hosts.Bert, of dc1',
      'hosts.nobody',
    ])
    expect(await namesOf(api, 'aliasByRedis(hosts.a,"nothing")')).toEqual(['a'])
    expect(await namesOf(api, 'aliasByRedis(scale(hosts.a,2),redisKey="names")')).toEqual(['Anna'])
    expect(await namesOf(api, 'aliasByRedis(none.*,"names")')).toEqual([])
    api.store.set('hosts.long', ONE)
    expect((await namesOf(api, 'aliasByRedis(hosts.long,"names")'))[0]).toHaveLength(1_024)
  })

  test('asks once a request for all targets, in pieces of a thousand', async () => {
    const api = await start({ EMON_REDIS: redis.url })
    await namesOf(api, 'aliasByRedis(hosts.a,"names")')
    const before = await commands()
    const targets = ['a', 'b', '*'].map((host) => `aliasByRedis(hosts.${host},"names")`)
    expect(await namesOf(api, ...targets)).toEqual([
      'Anna',
      'Bert, of dc1',
      'Anna',
      'Bert, of dc1',
      'nobody',
    ])
    expect(await commands()).toBe(before + 1)
    for (let i = 0; i < 2_500; i++) api.store.set(`many.m${i}`, ONE)
    await redis.send('HSET', ['names', 'm2499', 'the last'])
    const many = await namesOf(api, 'aliasByRedis(many.*,"names")')
    expect(many.filter((name) => name === 'the last')).toHaveLength(1)
    expect(await commands()).toBe(before + 4)
  })

  test('a key that is no hash is a 400', async () => {
    const api = await start({ EMON_REDIS: redis.url })
    expect(await refusal(api, 'aliasByRedis(hosts.*,"text")')).toEqual([
      400,
      'aliasByRedis(): key "text" is not a hash',
    ])
  })

  test('no server, a wrong password, a server that is away or hangs', async () => {
    expect(await refusal(await start({}), 'aliasByRedis(hosts.*,"names")')).toEqual([
      400,
      'aliasByRedis(): no Redis server is set up: EMON_REDIS',
    ])
    const locked = await start({ EMON_REDIS: redis.url.replace('secret', 'wrong') })
    const [status, text] = await refusal(locked, 'aliasByRedis(hosts.*,"names")')
    expect([status, text]).toEqual([
      503,
      expect.stringContaining('the Redis server cannot be asked'),
    ])
    expect(text).not.toContain('wrong:')
    const away = await start({ EMON_REDIS: `redis://127.0.0.1:${freePort()}` })
    expect((await refusal(away, 'aliasByRedis(hosts.*,"names")'))[0]).toBe(503)
    const api = await start({ EMON_REDIS: redis.url })
    expect(await namesOf(api, 'aliasByRedis(hosts.a,"names")')).toEqual(['Anna'])
    redis.signal('SIGSTOP')
    let hangs = true
    const hanging = refusal(api, 'aliasByRedis(hosts.*,"names")').finally(() => (hangs = false))
    // Others are answered meanwhile.
    expect(await namesOf(api, 'hosts.a')).toEqual(['hosts.a'])
    expect(hangs).toBe(true)
    expect(await hanging).toEqual([503, 'the Redis server did not answer within 1 s'])
    redis.signal('SIGCONT')
    expect(await namesOf(api, 'aliasByRedis(hosts.a,"names")')).toEqual(['Anna'])
    await redis.stop()
    expect((await refusal(api, 'aliasByRedis(hosts.*,"names")'))[0]).toBe(503)
    await startFilled()
    expect(await namesOf(api, 'aliasByRedis(hosts.a,"names")')).toEqual(['Anna'])
  })
})

describe.skipIf(postgresIsMissing() !== undefined)('aliasByPostgres', () => {
  const postgres = new PostgresServer()
  beforeAll(() =>
    postgres.start([
      'CREATE TABLE hosts (dc text, name text, owner text, id int)',
      `CREATE FUNCTION erase() RETURNS text LANGUAGE sql AS $$ DELETE FROM hosts; SELECT 'x' $$`,
      `INSERT INTO hosts VALUES ('dc1', 'a', 'Anna', 1), ('dc1', 'b', 'Bert', 2),
         ('dc1', 'b', 'Zoe', 7), ('dc2', 'a', 'Carl', 3), ('dc1', 'nobody', NULL, 4)`,
    ]),
  )
  afterAll(() => postgres.close())

  const queries = [
    'inventory.owner=SELECT owner FROM hosts WHERE name = $1 ORDER BY owner;',
    "inventory.both = SELECT owner || ' at $1' FROM hosts WHERE dc = $1 AND name = $2",
    'inventory.number=SELECT id FROM hosts WHERE id = $1::int',
    'inventory.slow=SELECT pg_sleep(5)::text WHERE $1 <> $1 OR true',
    'inventory.wrong=SELECT x FROM nowhere WHERE y = $1',
    'inventory.call=SELECT erase() WHERE $1 = $1',
    'inventory.write=WITH gone AS (DELETE FROM hosts RETURNING owner) SELECT owner FROM gone WHERE $1 = $1',
  ].join('\n')
  const settings = { EMON_POSTGRES: `inventory=${postgres.url}`, EMON_POSTGRES_QUERIES: queries }

  test('names series after what the query answers for their nodes', async () => {
    const api = await start(settings)
    const owners = await namesOf(api, 'aliasByPostgres(dc1.*.load,"inventory","owner",1)')
    expect(owners).toEqual(['Anna', 'Bert', 'nobody'])
    // Nodes that the query does not take follow.
    expect(await namesOf(api, 'aliasByPostgres(dc1.*.load,"inventory","owner",1,2)')).toEqual([
      'Anna.load',
      'Bert.load',
      'nobody.load',
    ])
    expect(await namesOf(api, 'aliasByPostgres(dc1.a.load,"inventory","both",0,-2)')).toEqual([
      'Anna at $1',
    ])
    api.store.set('ids.3', ONE)
    expect(await namesOf(api, 'aliasByPostgres(ids.*,"inventory","number",1)')).toEqual(['3'])
    expect(await namesOf(api, 'aliasByPostgres(none.*,"inventory","owner",1)')).toEqual([])
  })

  test('takes values that look like SQL for values', async () => {
    const api = await start(settings)
    api.store.set(`quotes.a' OR 'x'='x`, ONE)
    const named = await namesOf(api, 'aliasByPostgres(quotes.*,"inventory","owner",1)')
    expect(named).toEqual([`a' OR 'x'='x`])
  })

  test('what is not set up, or not enough, is a 400', async () => {
    const ok = async (target: string, text: string): Promise<void> =>
      expect(await refusal(api, target)).toEqual([400, expect.stringContaining(text)])
    const api = await start(settings)
    await ok('aliasByPostgres(dc1.*.load,"other","owner",1)', 'no database "other" is set up')
    await ok('aliasByPostgres(dc1.*.load,"inventory","what",1)', 'no query "what" is set up')
    await ok('aliasByPostgres(dc1.*.load,"inventory","both",1)', 'takes 2 nodes, not 1')
    await ok('aliasByPostgres(dc1.*.load,"inventory","number",1)', 'refuses: invalid input syntax')
    await ok(
      'aliasByPostgres(dc1.*.load,"inventory","wrong",1)',
      'relation "nowhere" does not exist',
    )
  })

  test('reads only, and waits no longer than it may', async () => {
    const api = await start(settings)
    for (const key of ['write', 'call']) {
      const written = await refusal(api, `aliasByPostgres(dc1.*.load,"inventory","${key}",1)`)
      expect(written).toEqual([400, expect.stringContaining('refuses: ')])
    }
    expect(await postgres.run('SELECT count(*)::int AS count FROM hosts')).toEqual([{ count: 5 }])
    const started = performance.now()
    const slow = await refusal(api, 'aliasByPostgres(dc1.a.load,"inventory","slow",1)')
    expect(slow).toEqual([503, expect.stringContaining('statement timeout')])
    expect(performance.now() - started).toBeLessThan(5_000)
    const away = await start({
      ...settings,
      EMON_POSTGRES: `inventory=postgres://emon@127.0.0.1:${freePort()}/postgres`,
    })
    const [status, text] = await refusal(away, 'aliasByPostgres(dc1.a.load,"inventory","owner",1)')
    expect([status, text]).toEqual([503, expect.stringContaining('cannot be asked')])
  })
})

describe('settings of look-ups', () => {
  const refused = async (settings: Record<string, string>, text: string): Promise<void> => {
    const complaint = await TestApi.start(settings).then(
      () => 'taken',
      (error: unknown) => String(error),
    )
    expect(complaint).toContain(text)
  }

  test('that cannot be used are refused at the start, without their passwords', async () => {
    await refused({ EMON_REDIS: 'http://x' }, 'api.redis: ')
    await refused({ EMON_LOOKUP_TIMEOUT: '0' }, 'api.lookup_timeout must be at least a second')
    await refused({ EMON_POSTGRES: 'a=mysql://u:hunter2@h/d' }, 'entry 1 must be NAME=postgres://')
    await refused({ EMON_POSTGRES_QUERIES: 'a.b=SELECT $1' }, 'there is no database a')
    const bad = (query: string, text: string): Promise<void> =>
      refused({ EMON_POSTGRES: 'a=postgres://h/d', EMON_POSTGRES_QUERIES: query }, text)
    await bad('a.b=DROP TABLE hosts', 'must be a SELECT')
    await bad('a.b=SELECT 1', 'must use $1')
    await bad('a.b=SELECT $9', '$9 must be one of $1 to $8')
    await bad('SELECT $1', 'must be DATABASE.KEY=SELECT')
  })

  test('a query for one becomes a query for many', () => {
    const query = compileAliasQuery(`SELECT "$1", '$1 it''s' FROM t WHERE a = $2 AND b = $1;`)
    expect(query).toMatchObject({ ok: true, value: { nodeCount: 2 } })
    expect(query.ok && query.value.sql).toContain(
      `SELECT "$1", '$1 it''s' FROM t WHERE a = emon_asked.node2 AND b = emon_asked.node1\n`,
    )
  })
})
