/** ./scripts/up with monit and tini, ./scripts/down, and `bun run all` without them, in scratch folders. */
import { afterEach, expect, test } from 'bun:test'
import { readFileSync, statSync } from 'node:fs'
import { PACKAGE_DIR } from '../../src/config.ts'
import { isAlive } from '../../scripts/monit.ts'
import { nowSeconds, type ProcessName, Stack } from './stack.ts'

const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']

const missing = ['monit', 'tini', 'setsid'].filter((program) => Bun.which(program) === null)
if (missing.length > 0)
  console.log(`up.test.ts: skipped in part: there is no ${missing.join(', ')}`)

const open: Stack[] = []
afterEach(async () => {
  for (const stack of open.splice(0)) {
    await run(stack, './scripts/down')
    await stack.close()
  }
})

async function create(): Promise<Stack> {
  const stack = await Stack.create()
  open.push(stack)
  return stack
}

async function run(stack: Stack, ...command: string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn(command, {
    cwd: PACKAGE_DIR,
    env: stack.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, error] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, said: `${out}${error}` }
}

function pidOf(stack: Stack, name: ProcessName): number {
  return Number(readFileSync(`${stack.config.run}/${name}.pid`, 'utf8'))
}

test.if(missing.length === 0)(
  'up starts what is watched from then on, down ends it',
  async () => {
    const stack = await create()
    const first = await run(stack, './scripts/up')
    expect(first).toMatchObject({ code: 0 })
    const curl = /curl -gs '(.*)'/.exec(first.said)![1]!
    const series = (await (await fetch(curl)).json()) as { datapoints: [number | null, number][] }[]
    expect(series[0]!.datapoints.some(([value]) => value !== null)).toBe(true)

    const files = ['emon.toml', 'monitrc'].map((file) => `${stack.dir}/${file}`)
    const before = files.map((file) => [statSync(file).mtimeMs, statSync(file).mode & 0o777])
    expect(before.map(([, mode]) => mode)).toEqual([0o600, 0o600])
    const pids = PROCESSES.map((name) => pidOf(stack, name))
    const second = await run(stack, './scripts/up')
    expect(second).toMatchObject({ code: 0 })
    expect(second.said).not.toContain('wrote')
    expect(files.map((file) => [statSync(file).mtimeMs, statSync(file).mode & 0o777])).toEqual(
      before,
    )
    expect(PROCESSES.map((name) => pidOf(stack, name))).toEqual(pids)

    for (const name of PROCESSES) {
      const killed = pidOf(stack, name)
      const killedMs = performance.now()
      process.kill(killed, 'SIGKILL')
      while (pidOf(stack, name) === killed && performance.now() - killedMs < 10_000)
        await Bun.sleep(20)
      await readyAgain(stack, name)
      // Monit looks once a second, and a machine that runs tests is slow.
      expect(performance.now() - killedMs).toBeLessThan(4_000)
    }

    const monit = pidOfMonit(stack)
    expect(await run(stack, './scripts/down')).toMatchObject({ code: 0 })
    expect(isAlive(monit)).toBe(false)
    expect(PROCESSES.filter((name) => statExists(`${stack.config.run}/${name}.pid`))).toEqual([])
  },
  90_000,
)

test('bun run all starts what dies and stops in order', async () => {
  const stack = await create()
  const child = Bun.spawn([process.execPath, 'scripts/all.ts'], {
    cwd: PACKAGE_DIR,
    env: stack.environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  for (const name of PROCESSES) await readyAgain(stack, name)
  const killed = pidOf(stack, 'store')
  process.kill(killed, 'SIGKILL')
  while (pidOf(stack, 'store') === killed) await Bun.sleep(20)
  await readyAgain(stack, 'store')
  expect(pidOf(stack, 'store')).not.toBe(killed)

  const time = nowSeconds()
  const client = await fetch(
    `http://127.0.0.1:${stack.config.api.port}/render?target=x&format=json`,
  )
  expect(`${time > 0} ${client.status}`).toBe('true 200')
  child.kill('SIGTERM')
  expect(await child.exited).toBe(0)
  const said = await new Response(child.stderr).text()
  const order = [...said.matchAll(/ info (\w+) stopped/g)].map(([, name]) => name!)
  expect(order).toEqual(['relay', 'api', 'store', 'mailer'])
  expect(PROCESSES.filter((name) => statExists(`${stack.config.run}/${name}.lock`))).toEqual([])
}, 40_000)

test('bun run all ends with 78 when the configuration cannot work', async () => {
  const stack = await create()
  await Bun.write(`${stack.dir}/relay.conf`, 'match * send to nowhere;\n')
  const { code, said } = await run(stack, process.execPath, 'scripts/all.ts')
  expect(code).toBe(78)
  expect(said).toContain('relay.conf')
}, 40_000)

async function readyAgain(stack: Stack, name: ProcessName): Promise<void> {
  const untilMs = performance.now() + 15_000
  while (performance.now() < untilMs) {
    try {
      const unix = `${stack.config.run}/${name}-admin.sock`
      const { ok } = await fetch('http://emon/readyz', { unix, signal: AbortSignal.timeout(1_000) })
      if (ok) return
    } catch {
      // Not there yet.
    }
    await Bun.sleep(20)
  }
  throw new Error(`${name} is not ready`)
}

function pidOfMonit(stack: Stack): number {
  return Number(readFileSync(`${stack.dir}/monit/pid`, 'utf8'))
}

function statExists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
