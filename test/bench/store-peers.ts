/**
 * Stores that are raced against one another (store-race.ts): each starts on free ports in a folder of its own, and
 * takes lines, or what it takes instead, as fast as it can.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { LineClient } from '../e2e/load.ts'
import { freePorts, Stack } from '../e2e/stack.ts'
import { type HostMetrics, linesOf } from './host-metrics.ts'
import { encodeWriteRequest } from './remote-write.ts'
import { folderBytes, type Load, type PeerRun, race, until, untilIdle } from './store-race.ts'

/** Our relay and store. */
export async function ours(load: Load): Promise<PeerRun> {
  const stack = await Stack.create({ CARBON_LOCAL_RETENTION: '1s:1d,10s:7d,1m:90d' })
  try {
    stack.spawn('store')
    stack.spawn('relay')
    await stack.ready('store', 'relay')
    const client = await LineClient.connect(stack.config.relay.port)
    return await race(load, {
      pids: [stack.pid('store'), stack.pid('relay')],
      send: (metrics, first, from, to) => sendLines(client, metrics, first, from, to),
      holds: async (points) => (await stack.metric('store', 'emon_store_points_total')) >= points,
      seal: () => stack.seal(),
      bytes: () => folderBytes(`${stack.dir}/store/data`),
    })
  } finally {
    await stack.close()
  }
}

export async function victoriaMetrics(load: Load): Promise<PeerRun | string> {
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
    const client = await LineClient.connect(line!)
    return race(load, {
      pids: [pid],
      send: (metrics, first, from, to) => sendLines(client, metrics, first, from, to),
      async holds(points) {
        const text = await (await ask('/metrics')).text()
        const rows = /vm_rows_inserted_total\{type="graphite"\} (\d+)/.exec(text)
        return Number(rows?.[1] ?? 0) >= points
      },
      async seal() {
        await ask('/internal/force_flush')
        await ask('/internal/force_merge')
        await untilIdle(pid)
      },
      bytes: () => folderBytes(`${dir}/data/data`),
    })
  })
}

export async function prometheus(load: Load): Promise<PeerRun | string> {
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
    return race(load, {
      pids: [pid],
      send: (metrics, first, from, to) => writeRemotely(url, metrics, first, from, to),
      // It answers a write when it has it.
      holds: () => Promise.resolve(true),
      async seal() {
        rmSync(`${dir}/data/snapshots`, { recursive: true, force: true })
        await fetch(`${url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' })
        await untilIdle(pid)
      },
      bytes: () => folderBytes(`${dir}/data/snapshots`),
    })
  })
}

async function writeRemotely(
  url: string,
  metrics: HostMetrics,
  first: number,
  from: number,
  to: number,
): Promise<void> {
  const reply = await fetch(`${url}/api/v1/write`, {
    method: 'POST',
    headers: { 'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf' },
    body: encodeWriteRequest(metrics, { from, to, first }),
  })
  if (!reply.ok) throw new Error(`prometheus answers ${reply.status}: ${await reply.text()}`)
}

export async function carbonCache(load: Load): Promise<PeerRun | string> {
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
    const client = await LineClient.connect(line!)
    return race(load, {
      pids: [pid],
      send: (metrics, first, from, to) => sendLines(client, metrics, first, from, to),
      // It says nothing about itself but by lines, a minute later.
      holds: () => Promise.resolve(true),
      seal: () => untilIdle(pid),
      bytes: () => folderBytes(`${dir}/whisper`),
    })
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

async function sendLines(
  client: LineClient,
  metrics: HostMetrics,
  first: number,
  from: number,
  to: number,
): Promise<void> {
  for (let second = from; second < to; second++)
    await client.write(linesOf(metrics, second, first + second))
}
