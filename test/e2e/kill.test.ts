/**
 * kill -9, TERM and HUP of each process in turn under 20,000 points/s: what was sent on a connection that stayed up is there.
 * Points are counted, logs are not looked at. ./scripts/soak empty-machine does it with monit and collectd, and for longer.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { awaitWritten, describeMissing, linesReceived, SteadyLoad } from './load.ts'
import { type ProcessName, Stack } from './stack.ts'

const RATE = 20_000

let stack: Stack
beforeAll(async () => {
  stack = await Stack.start()
}, 30_000)
afterAll(() => stack?.close())

for (const name of ['store', 'api', 'mailer', 'relay'] as const) {
  test(`kill -9 of the ${name} loses nothing`, async () => {
    const before = await linesReceived(stack)
    const load = new SteadyLoad({
      port: stack.config.relay.port,
      rate: RATE,
      prefix: `kill.${name}`,
    })
    await Bun.sleep(2_500)
    if (name === 'relay') await awaitWritten(stack, load, before)
    const awayMs = await killAndStart(name)
    await Bun.sleep(2_500)
    await load.stop()
    const report = await load.check(stack, { timeoutMs: 30_000 })
    expect(describeMissing(report)).toBe('')
    expect(report.sent).toBeGreaterThan(RATE)
    expect(report.found + report.excused).toBe(report.sent)
    // A process that is being killed may close a client's connection first and take a new one before it stops to listen.
    if (name === 'relay') expect([1, 2]).toContain(load.breaks)
    else expect(load.breaks).toBe(0)
    // Under 2 s on a machine that does nothing else (./scripts/soak empty-machine measures it).
    expect(awayMs).toBeLessThan(10_000)
  }, 120_000)
}

for (const name of ['store', 'api', 'relay'] as const) {
  test(`TERM of the ${name} and a new start lose nothing`, async () => {
    const before = await linesReceived(stack)
    const load = new SteadyLoad({
      port: stack.config.relay.port,
      rate: RATE,
      prefix: `term.${name}`,
    })
    await Bun.sleep(2_000)
    if (name === 'relay') await awaitWritten(stack, load, before)
    expect(await stack.stop(name)).toBe(0)
    stack.spawn(name)
    await stack.ready(name)
    await Bun.sleep(1_500)
    await load.stop()
    // What the relay has not read when it closes a connection is the client's: it sees the connection break.
    const report = await load.check(stack, { timeoutMs: 30_000 })
    expect(describeMissing(report)).toBe('')
    expect(load.breaks).toBe(name === 'relay' ? 1 : 0)
  }, 120_000)
}

test('HUP of every process loses nothing and breaks no connection', async () => {
  const load = new SteadyLoad({ port: stack.config.relay.port, rate: RATE, prefix: 'hup' })
  await Bun.sleep(1_500)
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) {
    stack.signal(name, 'SIGHUP')
    await Bun.sleep(300)
  }
  await Bun.sleep(500)
  await load.stop()
  const report = await load.check(stack, { timeoutMs: 30_000 })
  expect(describeMissing(report)).toBe('')
  expect(load.breaks).toBe(0)
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) {
    expect(stack.log(name)).toContain(`${name} reloaded`)
  }
}, 120_000)

async function killAndStart(name: ProcessName): Promise<number> {
  const startMs = performance.now()
  await stack.kill(name)
  stack.spawn(name)
  await stack.ready(name)
  return performance.now() - startMs
}
