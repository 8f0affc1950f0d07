/** The api of one instance is told by HUP to ask another's store as well, and later to leave it again. */
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { expect, test } from 'bun:test'
import { until } from '../peers/waiting.ts'
import { nowSeconds, Stack } from './stack.ts'

const NAME = 'only.in.the.other'

test('HUP changes the stores that are asked', async () => {
  const [own, other] = [await Stack.create(), await Stack.create()]
  const setStores = (...stores: Stack[]): void => {
    const list = stores.map(({ config }) => `unix:${config.run}/query.sock`).join(',')
    writeFileSync(`${own.dir}/emon.toml`, `[api]\nstores = "${list}"\n`)
  }
  try {
    setStores(own)
    own.spawn('store')
    own.spawn('api')
    other.spawn('store')
    await Promise.all([own.ready(), other.ready()])
    const now = nowSeconds()
    const socket = connect(other.config.store.port, '127.0.0.1')
    socket.end(`${NAME} 5 ${now}\n`)
    const isThere = async (): Promise<boolean> => {
      const list = await own.render({ target: NAME, from: now - 10, until: now })
      return list.some(({ datapoints }) => datapoints.some(([value]) => value === 5))
    }
    expect(await isThere()).toBe(false)
    setStores(own, other)
    own.signal('api', 'SIGHUP')
    await until(isThere, { what: 'the other store is asked' })
    setStores(own)
    own.signal('api', 'SIGHUP')
    await until(async () => !(await isThere()), { what: 'the other store is left' })
    // One that is refused changes nothing.
    writeFileSync(`${own.dir}/emon.toml`, '[api]\nstores = "nonsense"\n')
    own.signal('api', 'SIGHUP')
    await until(() => own.log('api').includes('cannot parse store'), { what: 'the complaint' })
    expect(await isThere()).toBe(false)
  } finally {
    await Promise.all([own.close(), other.close()])
  }
}, 60_000)
