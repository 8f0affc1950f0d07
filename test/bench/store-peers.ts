/**
 * Stores that are given the same lines: each starts on free ports in a folder of its own, takes them as fast as it
 * can, makes them durable and compact by its own means, and is stopped. Points are of the hour before now.
 */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { LineClient } from '../e2e/load.ts'
import { nowSeconds, Stack } from '../e2e/stack.ts'
import { type HostMetrics, linesOf } from './host-metrics.ts'
import { encodeWriteRequest } from './remote-write.ts'
import { readSlowAnswer } from '../../src/ipc/admin.ts'

export interface PeerRun {
  readonly points: number
  /** Of all processes that took part, from start to sealed. */
  readonly cpuSeconds: number
  /** On disk, sealed. */
  readonly bytes: number
  readonly pssBytes: number
}

const WAIT_MS_MAX = 120_000
const BATCH_SECONDS = 10

/** Our relay and store. */
export async function ours(metrics: HostMetrics): Promise<PeerRun> {
  const stack = await Stack.create({ CARBON_LOCAL_RETENTION: '1s:1d,10s:7d,1m:90d' })
  try {
    stack.spawn('store')
    stack.spawn('relay')
    await stack.ready('store', 'relay')
    const pids = [stack.pid('store'), stack.pid('relay')]
    await sendLines(stack.config.relay.port, metrics)
    await until(
      async () => (await stack.metric('store', 'emon_store_points_total')) >= metrics.points,
    )
    const unix = `${stack.config.run}/store-admin.sock`
    const flushed = await fetch('http://emon/flush', { unix, method: 'POST' })
    if (!readSlowAnswer(await flushed.text()).ok) throw new Error('the store did not flush')
    const bytes = folderBytes(`${stack.dir}/store/data`)
    return { points: metrics.points, bytes, ...taken(pids) }
  } finally {
    await stack.close()
  }
}

export async function victoriaMetrics(metrics: HostMetrics): Promise<PeerRun | string> {
  const binary = Bun.which('victoria-metrics')
  if (!binary) return 'victoria-metrics is not installed'
  const [http, line] = await freePorts(2)
  return withProcess(async (dir, start) => {
    const pid = start(
      [
        binary,
        `-storageDataPath=${dir}/data`,
        `-httpListenAddr=127.0.0.1:${http}`,
        `-graphiteListenAddr=127.0.0.1:${line}`,
        '-retentionPeriod=1y',
        '-search.latencyOffset=0s',
        '-loggerLevel=ERROR',
      ],
      { GOMAXPROCS: '1' },
    )
    const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${http}${path}`)
    await until(async () => (await ask('/health')).ok)
    await sendLines(line!, metrics)
    await until(async () => {
      const text = await (await ask('/metrics')).text()
      const rows = /vm_rows_inserted_total\{type="graphite"\} (\d+)/.exec(text)
      return Number(rows?.[1] ?? 0) >= metrics.points
    })
    await ask('/internal/force_flush')
    await ask('/internal/force_merge')
    await untilIdle(pid)
    return { points: metrics.points, bytes: folderBytes(`${dir}/data/data`), ...taken([pid]) }
  })
}

export async function prometheus(metrics: HostMetrics): Promise<PeerRun | string> {
  const binary = Bun.which('prometheus')
  if (!binary) return 'prometheus is not installed'
  const [http] = await freePorts(1)
  return withProcess(async (dir, start) => {
    writeFileSync(`${dir}/prometheus.yml`, 'global: {scrape_interval: 1h}\n')
    const pid = start(
      [
        binary,
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=127.0.0.1:${http}`,
        '--web.enable-remote-write-receiver',
        '--web.enable-admin-api',
        '--log.level=error',
      ],
      { GOMAXPROCS: '1' },
    )
    const url = `http://127.0.0.1:${http}`
    await until(async () => (await fetch(`${url}/-/ready`)).ok)
    const first = nowSeconds() - metrics.seconds
    for (let from = 0; from < metrics.seconds; from += BATCH_SECONDS) {
      const to = Math.min(metrics.seconds, from + BATCH_SECONDS)
      const reply = await fetch(`${url}/api/v1/write`, {
        method: 'POST',
        headers: { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' },
        body: encodeWriteRequest(metrics, { from, to, first }),
      })
      if (!reply.ok) throw new Error(`prometheus answers ${reply.status}: ${await reply.text()}`)
    }
    await fetch(`${url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' })
    return { points: metrics.points, bytes: folderBytes(`${dir}/data/snapshots`), ...taken([pid]) }
  })
}

export async function carbonCache(metrics: HostMetrics): Promise<PeerRun | string> {
  const binary = Bun.which('carbon-cache')
  if (!binary) return 'carbon-cache is not installed'
  const [line, pickle, query] = await freePorts(3)
  return withProcess(async (dir, start) => {
    writeFileSync(
      `${dir}/carbon.conf`,
      `[cache]\nSTORAGE_DIR = ${dir}\nLOCAL_DATA_DIR = ${dir}/whisper/\nLOG_DIR = ${dir}/log\nPID_DIR = ${dir}
MAX_CACHE_SIZE = inf\nMAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf
LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = ${line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = ${pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = ${query}\nCARBON_METRIC_INTERVAL = 0\nLOG_CREATES = False\nLOG_UPDATES = False\nUSER =\n`,
    )
    writeFileSync(
      `${dir}/storage-schemas.conf`,
      '[all]\npattern = .*\nretentions = 1s:1d,10s:7d,1m:90d\n',
    )
    const pid = start([
      binary,
      '--nodaemon',
      `--config=${dir}/carbon.conf`,
      `--pidfile=${dir}/pid`,
      'start',
    ])
    await until(async () => (await LineClient.connect(line!)).end().then(() => true))
    await sendLines(line!, metrics)
    await untilIdle(pid)
    return { points: metrics.points, bytes: folderBytes(`${dir}/whisper`), ...taken([pid]) }
  })
}

// ── helpers ──

type Start = (command: string[], environment?: Record<string, string>) => number

/** Runs `work` with a folder and a way to start processes, which all end with it. */
async function withProcess<T>(work: (dir: string, start: Start) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(`${tmpdir()}/emon-peer-`)
  const children: Bun.Subprocess[] = []
  const start: Start = (command, environment = {}) => {
    const child = Bun.spawn(command, {
      cwd: dir,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    children.push(child)
    return child.pid
  }
  try {
    return await work(dir, start)
  } finally {
    for (const child of children) {
      child.kill('SIGKILL')
      await child.exited
    }
    rmSync(dir, { recursive: true, force: true })
  }
}

async function sendLines(port: number, metrics: HostMetrics): Promise<void> {
  const client = await LineClient.connect(port)
  const first = nowSeconds() - metrics.seconds
  for (let second = 0; second < metrics.seconds; second++)
    await client.write(linesOf(metrics, second, first + second))
  await client.end()
}

function taken(pids: readonly number[]): { cpuSeconds: number; pssBytes: number } {
  return {
    cpuSeconds: pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    pssBytes: pids.reduce((sum, pid) => sum + pssBytes(pid), 0),
  }
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const limitMs = performance.now() + WAIT_MS_MAX
  while (!(await isDone().catch(() => false))) {
    if (performance.now() > limitMs) throw new Error('waited too long')
    await Bun.sleep(50)
  }
}

/** Until it has used next to no CPU for two seconds. */
async function untilIdle(pid: number): Promise<void> {
  const limitMs = performance.now() + WAIT_MS_MAX
  for (;;) {
    const before = cpuSeconds(pid)
    await Bun.sleep(2_000)
    if (cpuSeconds(pid) - before < 0.05 || performance.now() > limitMs) return
  }
}

function folderBytes(dir: string): number {
  return readdirSync(dir, { withFileTypes: true }).reduce((bytes, entry) => {
    const path = `${dir}/${entry.name}`
    return bytes + (entry.isDirectory() ? folderBytes(path) : statSync(path).size)
  }, 0)
}

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let i = 0; i < count; i++) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (typeof address === 'object' && address) ports.push(address.port)
    await new Promise((resolve) => server.close(resolve))
  }
  return ports
}
