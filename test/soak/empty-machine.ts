/**
 * From an empty machine to a graph: ./scripts/soak empty-machine [SECONDS], 120 by default.
 *
 * A clone of the committed tree, with a PATH that has no Bun, is brought up with ./scripts/up. Then collectd writes to
 * it and to a recording listener, at one-second steps, while a client sends 20,000 points/s and each process is
 * killed with -9 in turn. At the end every point is asked for. Needs collectd, monit, tini and npm.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { PACKAGE_DIR } from '../../src/config.ts'
import { waitUntilReady } from '../../src/readiness.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { collectdProgram, notRendered, startCollectd, tipAge } from '../e2e/collectd.ts'
import { awaitWritten, linesReceived, SteadyLoad } from '../e2e/load.ts'
import { Stack } from '../e2e/stack.ts'

const RATE = 20_000

const seconds = Number(Bun.argv[2] ?? 120)
if (collectdProgram === null) throw new Error('there is no collectd')

const clone = mkdtempSync(`${tmpdir()}/emon-clone-`)
const stack = await Stack.create()
/** What npm needs to reach its registry from here, but no Bun. */
const environment = {
  ...process.env,
  ...stack.environment,
  HOME: process.env['HOME'] ?? '',
  PATH: withoutBun(process.env['PATH'] ?? ''),
}
let failures = 0

try {
  await command(['git', 'clone', '-q', PACKAGE_DIR, clone], PACKAGE_DIR)
  const startMs = performance.now()
  await command(['./scripts/up'], clone)
  report(
    'up, from a clone to the first point',
    `${((performance.now() - startMs) / 1000).toFixed(1)} s`,
  )
  await collectdAlone()
  await collectdAndLoadAndKills()
  await command([Bun.which('bun') ?? process.execPath, 'scripts/footprint.ts'], clone)
} finally {
  await command(['./scripts/down'], clone)
  await stack.close()
  rmSync(clone, { recursive: true, force: true })
}
process.exit(failures === 0 ? 0 : 1)

async function collectdAlone(): Promise<void> {
  const collectd = startCollectd(stack.dir, stack.config.relay.port)
  await Bun.sleep(3_000)
  let oldest = 0
  const untilMs = performance.now() + seconds * 1000
  while (performance.now() < untilMs) {
    oldest = Math.max(oldest, await tipAge(stack))
    await Bun.sleep(500)
  }
  await collectd.stop()
  await Bun.sleep(1_000)
  const wrong = await notRendered(stack, collectd.written)
  verdict('collectd: points written', collectd.written.size, collectd.written.size > 0)
  verdict('collectd: not in the answer', wrong.length, wrong.length === 0, wrong)
  verdict('collectd: oldest tip, s', oldest, oldest <= 2)
}

async function collectdAndLoadAndKills(): Promise<void> {
  const collectd = startCollectd(stack.dir, stack.config.relay.port)
  const before = await linesReceived(stack)
  const load = new SteadyLoad({ port: stack.config.relay.port, rate: RATE, prefix: 'soak' })
  await Bun.sleep(5_000)
  for (const name of ['store', 'api', 'mailer', 'relay'] as const) {
    if (name === 'relay') await awaitWritten(stack, load, before)
    const pid = pidOf(name)
    const killedMs = performance.now()
    process.kill(pid, 'SIGKILL')
    while (pidOf(name) === pid) await Bun.sleep(10)
    await waitUntilReady(stack.config, [name], { clock: systemClock, timeoutMs: 30_000 })
    report(`kill -9 ${name}: ready again after`, `${Math.round(performance.now() - killedMs)} ms`)
    await Bun.sleep(5_000)
  }
  await load.stop()
  await collectd.stop()
  const found = await load.check(stack, { timeoutMs: 20_000 })
  verdict('load: points sent', found.sent, found.sent > 20 * RATE)
  verdict('load: missing', found.missing.length, found.missing.length === 0, found.missing)
  report('load: lost with the killed relay, in its last half second', String(found.excused))
  // collectd's own connection broke with the relay: what it wrote into it then is its own loss.
  report(
    'collectd: lost with the killed relay',
    String((await notRendered(stack, collectd.written)).length),
  )
}

function pidOf(name: string): number {
  return Number(readFileSync(`${stack.config.run}/${name}.pid`, 'utf8'))
}

function withoutBun(path: string): string {
  return path
    .split(':')
    .filter((dir) => Bun.which('bun', { PATH: dir }) === null)
    .join(':')
}

async function command(words: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(words, {
    cwd,
    env: environment,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if ((await child.exited) !== 0) throw new Error(`${words.join(' ')} failed`)
}

function verdict(
  what: string,
  value: number,
  good: boolean,
  examples: readonly string[] = [],
): void {
  report(what, `${value}${good ? '' : '  WRONG'}`)
  if (good) return
  failures++
  for (const example of examples.slice(0, 5)) console.log(`    ${example}`)
}

function report(what: string, value: string): void {
  console.log(`${what.padEnd(56)} ${value}`)
}
