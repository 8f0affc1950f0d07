/**
 * A store with a million series: ./scripts/soak million-names [COUNT]. Names come as plain lines, one point
 * each; then globs, tag questions and a listing through query.sock, the process's memory, kill -9, the time until it
 * serves again, and whether every name is still there.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type {
  FindReply,
  IndexReply,
  StoreRequest,
  TagsReply,
} from '../../src/ipc/store-protocol.ts'
import { cpuSeconds } from '../../scripts/proc.ts'
import { QueryClient } from '../store/edge-clients.ts'

const COUNT = Number(Bun.argv[2] ?? 1_000_000)
const PORT = 30_000 + (process.pid % 10_000)
const LINES_A_PIECE = 5_000
const now = Math.floor(Date.now() / 1000)
const dir = mkdtempSync(`${tmpdir()}/emon-million-`)
const environment = {
  ...process.env,
  EMON_DATA: dir,
  EMON_STORE_PORT: String(PORT),
  CARBON_LOCAL_RETENTION: '10s:1d,1m:30d',
}
writeFileSync(`${dir}/emon.toml`, '[store]\nnew_series_per_second = 0\n')
let good = true

function spawn(): Bun.Subprocess {
  const script = `${import.meta.dir}/../../scripts/store.ts`
  return Bun.spawn(['bun', script], { env: environment, stderr: 'inherit', stdout: 'ignore' })
}

async function ready(): Promise<void> {
  const unix = `${dir}/run/store-admin.sock`
  for (;;) {
    const answer = await fetch('http://store/readyz', { unix }).catch(() => undefined)
    if (answer?.ok) return
    await Bun.sleep(20)
  }
}

/** Proportional set size, MB. */
function memory(child: Bun.Subprocess): number {
  const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8')
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)![1]) / 1024
}

/** A tenth of the series has tags. */
function name(id: number): string {
  const host = Math.floor(id / 50)
  if (id % 10 === 9) return `requests;dc=dc${host % 10};host=host${host};what=w${id % 50}`
  return `fleet.dc${host % 10}.host${String(host).padStart(5, '0')}.kind${Math.floor(id / 10) % 5}.leaf${id % 10}`
}

async function sendNames(): Promise<void> {
  let drained = (): void => {}
  const handlers = { data() {}, drain: () => drained() }
  const socket = await Bun.connect({ hostname: '127.0.0.1', port: PORT, socket: handlers })
  for (let id = 0; id < COUNT;) {
    let text = ''
    for (const end = Math.min(COUNT, id + LINES_A_PIECE); id < end; id++)
      text += `${name(id)} ${id} ${now}\n`
    let rest = Buffer.from(text)
    while ((rest = rest.subarray(Math.max(0, socket.write(rest)))).length > 0) {
      await new Promise<void>((resolve) => (drained = resolve))
    }
  }
  socket.end()
}

async function ask<T>(request: Record<string, unknown>): Promise<{ reply: T; ms: number }> {
  const api = new QueryClient()
  await api.connect(`${dir}/run/query.sock`)
  const started = performance.now()
  const full = { now, deadlineMs: 60_000, ...request } as unknown as StoreRequest
  const { reply, failure } = await api.ask(full)
  const ms = performance.now() - started
  api.close()
  if (failure) throw new Error(failure.text)
  return { reply: reply as T, ms }
}

/** The median of five. */
async function timed<T>(
  what: string,
  request: Record<string, unknown>,
  count: (reply: T) => number,
): Promise<number> {
  const answers = []
  for (let i = 0; i < 5; i++) answers.push(await ask<T>(request))
  const ms = answers.map((answer) => answer.ms).sort((a, b) => a - b)[2]!
  const found = count(answers[0]!.reply)
  console.log(`${ms.toFixed(1).padStart(9)} ms  ${what}: ${found}`)
  return found
}

async function names(): Promise<number> {
  let total = 0
  for (let after = ''; ;) {
    const { reply } = await ask<IndexReply>({ op: 'index', after, namesMax: 50_000 })
    total += reply.paths.length
    if (!reply.more) return total
    after = reply.paths.at(-1)!
  }
}

async function allThere(when: string): Promise<void> {
  let total = 0
  for (let tries = 0; tries < 100 && (total = await names()) < COUNT; tries++) await Bun.sleep(100)
  console.log(`${total} of ${COUNT} names ${when}`)
  good &&= total === COUNT
}

let store = spawn()
try {
  await ready()
  const before = memory(store)
  let started = performance.now()
  await sendNames()
  await allThere('are listed')
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s to send and list them`)
  await Bun.sleep(3_000)
  const after = memory(store)
  const perSeries = ((after - before) * 1024 * 1024) / COUNT
  console.log(
    `${before.toFixed(0)} MB empty, ${after.toFixed(0)} MB now: ${perSeries.toFixed(0)} bytes a series`,
  )
  const find = { op: 'find', leavesOnly: false, namesMax: 1_000 }
  for (const pattern of [
    'fleet.*.host00*1.*.leaf3',
    'fleet.dc*.*1234*.kind?.leaf1',
    '*.*.host0012?.kind[12].l*',
    'fleet.**.host00001.*.*',
  ]) {
    await timed<FindReply>(
      `find ${pattern}`,
      { ...find, patterns: [pattern] },
      ({ matches }) => matches[0]!.length,
    )
  }
  const tags = { op: 'tags', ask: 'findSeries', namesMax: 100_000 }
  for (const expressions of [
    ['name=requests', 'host=host123'],
    ['dc=dc3', 'host=~host12.*'],
    ['name=requests', 'what!=w9', 'dc=dc1'],
  ]) {
    await timed<TagsReply>(
      `tags ${expressions.join(' ')}`,
      { ...tags, expressions },
      (reply) => reply.names.length,
    )
  }
  store.kill('SIGKILL')
  await store.exited
  started = performance.now()
  store = spawn()
  await ready()
  const seconds = ((performance.now() - started) / 1000).toFixed(2)
  const cpu = cpuSeconds(store.pid).toFixed(2)
  console.log(`${seconds} s from kill -9 to serving, ${cpu} s of CPU`)
  await allThere('are there after kill -9')
} finally {
  store.kill()
  await store.exited
  rmSync(dir, { recursive: true })
}
process.exit(good ? 0 : 1)
