/**
 * The store on disks that are slow, full or read-only, with real file systems under it and load on it: nothing is lost,
 * questions are answered, /readyz tells, and it goes on alone. Only the store's folder lies on the bad disk.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { notReady } from '../../src/readiness.ts'
import { allocate, fillOrEmpty, FuseDisk, LoopDisk, TmpfsDisk } from './disks.ts'
import { describeMissing, SteadyLoad } from './load.ts'
import { Stack } from './stack.ts'

const RATE = 2_000

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
}, 60_000)

/** A folder for EMON_DATA. */
function dataFolder(): string {
  const data = mkdtempSync(`${tmpdir()}/emon-bad-disk-`)
  cleanups.push(() => rmSync(data, { recursive: true, force: true }))
  return data
}

/** One whose store is on another disk. */
function dataWithStoreOn(path: string): string {
  const data = dataFolder()
  mkdirSync(`${path}/store`)
  symlinkSync(`${path}/store`, `${data}/store`)
  return data
}

async function start(data: string): Promise<{ stack: Stack; load: SteadyLoad }> {
  const stack = await Stack.start({ EMON_DATA: data })
  cleanups.push(() => stack.close())
  const load = new SteadyLoad({ port: stack.config.relay.port, rate: RATE, prefix: 'disk' })
  cleanups.push(() => load.stop())
  return { stack, load }
}

async function untilItSays(stack: Stack, reason: RegExp): Promise<void> {
  let said: readonly string[] = []
  for (const untilMs = performance.now() + 20_000; performance.now() < untilMs;) {
    said = await notReady(stack.config, 'store')
    if (said.some((line) => reason.test(line))) return
    await Bun.sleep(50)
  }
  throw new Error(
    `/readyz of the store says ${said.join('; ') || 'nothing'}, not ${String(reason)}`,
  )
}

async function expectAnswers(stack: Stack, load: SteadyLoad): Promise<void> {
  expect((await stack.points('disk.g0.s1', load.range)).size).toBeGreaterThan(0)
}

async function expectWhole(stack: Stack, load: SteadyLoad): Promise<void> {
  await load.stop()
  const report = await load.check(stack, { timeoutMs: 30_000 })
  expect(describeMissing(report)).toBe('')
  expect(report.sent).toBeGreaterThan(RATE)
  expect(load.breaks).toBe(0)
}

test('mounted read-only under load', async () => {
  const data = dataFolder()
  const disk = await FuseDisk.mount(`${data}/store`)
  if (typeof disk === 'string') return console.log(`skipped: ${disk}`)
  cleanups.push(() => disk.unmount())
  const { stack, load } = await start(data)
  await Bun.sleep(2_500)
  disk.setReadOnly(true)
  await untilItSays(stack, /disk mounted read-only/)
  await Bun.sleep(7_000)
  // It has tried again meanwhile.
  expect(await notReady(stack.config, 'store')).toContain('store: disk mounted read-only')
  await expectAnswers(stack, load)
  disk.setReadOnly(false)
  await stack.ready('store', 'relay')
  await expectWhole(stack, load)
}, 90_000)

test('slow under load', async () => {
  const disk = LoopDisk.create(2)
  if (typeof disk === 'string') return console.log(`skipped: ${disk}`)
  cleanups.push(() => disk.unmount())
  const { stack, load } = await start(dataWithStoreOn(disk.path))
  await Bun.sleep(1_500)
  // The load alone is more than that.
  const problem = disk.slowDown(stack.pid('store'), 15_000)
  if (problem !== undefined) return console.log(`skipped: ${problem}`)
  await untilItSays(stack, /last sync \d+ s ago/)
  const flushed = stack.seal()
  // Of a test that failed nobody waits for it.
  flushed.catch(() => {})
  for (let i = 0; i < 30; i++) {
    const askedMs = performance.now()
    await expectAnswers(stack, load)
    // Nobody waits for the disk who does not have to.
    expect(performance.now() - askedMs).toBeLessThan(1_000)
    await Bun.sleep(100)
  }
  disk.slowDown(stack.pid('store'), 0)
  await flushed
  await stack.ready('store', 'relay')
  await expectWhole(stack, load)
}, 90_000)

test('full under load, and opened while it is full', async () => {
  const disk = LoopDisk.create(2)
  if (typeof disk === 'string') return console.log(`skipped: ${disk}`)
  cleanups.push(() => disk.unmount())
  const { stack, load } = await start(dataWithStoreOn(disk.path))
  await Bun.sleep(2_500)
  const free = allocate(disk.path)
  fillOrEmpty(disk.path, true)
  await untilItSays(stack, /disk full, read-only/)
  // The room that the reserve gave is gone too.
  fillOrEmpty(disk.path, true)
  await expectAnswers(stack, load)
  await stack.kill('store')
  stack.spawn('store')
  await untilItSays(stack, /disk full, read-only/)
  // The api comes back to it by itself.
  await stack.ready('api')
  await expectAnswers(stack, load)
  fillOrEmpty(disk.path, false)
  free()
  await stack.ready('store', 'relay')
  await expectWhole(stack, load)
}, 90_000)

test('opened while it is mounted read-only', async () => {
  const disk = TmpfsDisk.mount(1_400)
  if (typeof disk === 'string') return console.log(`skipped: ${disk}`)
  cleanups.push(() => disk.unmount())
  const { stack, load } = await start(dataWithStoreOn(disk.path))
  await Bun.sleep(2_500)
  await stack.kill('store')
  disk.remount('ro')
  stack.spawn('store')
  await untilItSays(stack, /disk mounted read-only/)
  // The api comes back to it by itself.
  await stack.ready('api')
  await expectAnswers(stack, load)
  disk.remount('rw')
  await stack.ready('store', 'relay')
  await expectWhole(stack, load)
}, 90_000)
