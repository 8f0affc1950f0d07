import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type AdminRoute, readSlowAnswer, serveAdmin, slowAnswer } from '../../src/ipc/admin.ts'
import { publishSocket } from '../../src/ipc/socket.ts'
import { sleep, systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { Stats } from '../../src/lib/stats.ts'

const folder = mkdtempSync(`${tmpdir()}/emon-admin-`)
afterAll(() => rmSync(folder, { recursive: true }))

test('answers health, readiness, statistics and the concern’s own routes', async () => {
  const socketPath = `${folder}/store-admin.sock`
  const reasons = ['recovering 43 %']
  const stats = new Stats()
  stats.counter('points').value = 5
  const routes = new Map<string, AdminRoute>([['POST /flush', () => new Response('flushed\n')]])
  const options = {
    concern: 'store',
    socketPath,
    disk: realDisk,
    stats,
    notReady: () => reasons,
    routes,
  }
  const server = serveAdmin(options)
  const get = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://store${path}`, { unix: socketPath, method })
    return `${response.status} ${await response.text()}`
  }
  expect(await get('/healthz')).toBe('200 ok\n')
  expect(await get('/readyz')).toBe('503 recovering 43 %\n')
  reasons.pop()
  expect(await get('/readyz')).toBe('200 ready\n')
  expect(await get('/metrics')).toContain('emon_store_points_total 5')
  expect(await get('/flush', 'POST')).toBe('200 flushed\n')
  expect(await get('/flush')).toStartWith('404')
  await server.stop()
  expect(existsSync(socketPath)).toBe(false)
})

test('a published socket replaces the old one and is removed only by its owner', () => {
  const path = `${folder}/x.sock`
  const listen = (at: string) => Bun.listen({ unix: at, socket: { data() {} } })
  const old = publishSocket(realDisk, path, { listen })
  const young = publishSocket(realDisk, path, { listen, permissions: 0o666 })
  expect(realDisk.stat(path)?.mode).toBe(0o666)
  old.unpublish()
  old.server.stop(true)
  expect(existsSync(path)).toBe(true)
  young.unpublish()
  young.server.stop(true)
  expect(existsSync(path)).toBe(false)
})

test('a socket path that is too long is refused with what to do', () => {
  const listen = (): never => {
    throw new Error('not reached')
  }
  expect(() => publishSocket(realDisk, `/${'x'.repeat(120)}`, { listen })).toThrow('set EMON_RUN')
})

test('a slow answer is waited for, longer than the server lets a silent one live', async () => {
  const socketPath = `${folder}/slow-admin.sock`
  const work = new Map<string, () => Promise<string>>([
    ['POST /slow', () => sleep(systemClock, 11_000).then(() => 'sealed\n')],
    ['POST /bad', () => Promise.reject(new Error('disk full'))],
  ])
  const routes = new Map<string, AdminRoute>(
    [...work].map(([route, run]) => [route, () => slowAnswer(systemClock, run())]),
  )
  const options = { concern: 'store', socketPath, disk: realDisk, stats: new Stats(), routes }
  const server = serveAdmin({ ...options, notReady: () => [] })
  const post = async (path: string) => {
    const response = await fetch(`http://store${path}`, { unix: socketPath, method: 'POST' })
    return readSlowAnswer(await response.text())
  }
  const [slow, bad] = await Promise.all([post('/slow'), post('/bad')])
  expect(slow).toEqual({ ok: true, value: 'sealed\n' })
  expect(bad).toEqual({ ok: false, error: 'disk full' })
  expect(readSlowAnswer('\n\n')).toEqual({
    ok: false,
    error: 'the process ended before it was done',
  })
  await server.stop()
}, 30_000)
