/**
 * The api as its clients meet it. Alone: printing and drawing. With --peers: the real store and api over
 * HTTP beside Debian's graphite-web, warm, over the same numbers; the figure `× graphite-web` is its median time
 * by ours, `× carbonapi` the time that carbonapi over go-carbon took where the budgets were written (neither is
 * in a Debian package) by ours. Seconds are wall time of one client, nothing cached on any side. Megabytes
 * are the most that a process held while its question was asked again and again.
 *
 * 1,000 one-second series of two hours, 100 tagged ones, and 100,000 names.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { drawChart } from '../../src/api/charts/chart.ts'
import { Rasterizer } from '../../src/api/charts/rasterizer.ts'
import { jsonFormat } from '../../src/api/formats/json.ts'
import { RequestParams } from '../../src/api/http/request-params.ts'
import { readRenderQuery } from '../../src/api/render-query.ts'
import { makeSeries, type RenderSeries } from '../../src/api/render-series.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { whisperPath } from '../api/differential/fixtures.ts'
import { Stack } from '../e2e/stack.ts'
import { GraphiteWeb, graphiteWebIsMissing } from '../peers/graphite-web.ts'
import { writeWhisper } from '../peers/whisper-file.ts'
import { type BenchCase, checksumOf, type Random, type Work } from './bench.ts'

const SERIES = 1_000
const SLOTS = 7_200
const NAMES = 100_000
const TAGGED = 100

// ── alone ───────────────────────────────────────────────────────────────────────────────────────────

function waves(count: number, slots: number, random: Random): RenderSeries[] {
  return Array.from({ length: count }, (_, i) => {
    const phase = random() * 7
    const values = Float64Array.from({ length: slots }, (_, j) => wave(phase + j / 60))
    return makeSeries({
      name: `bench.s${i}`,
      start: 1_760_000_000,
      step: 1,
      values,
      xFilesFactor: 0,
    })
  })
}

function wave(at: number): number {
  return Math.round((50 + 10 * Math.sin(at)) * 1_000) / 1_000
}

async function query(
  text: string,
): Promise<{ params: RequestParams; json: ReturnType<typeof readRenderQuery> }> {
  const params = await RequestParams.read(new Request(`http://api/render?${text}`))
  const json = readRenderQuery(params, { now: 1_760_007_200, timeZone: 'UTC', targetsMax: 1_000 })
  return { params, json }
}

const printing: BenchCase = {
  name: 'api/json: print 1,000 series of 7,200 slots, three decimals',
  unit: 'points',
  async prepare(scale, random) {
    const list = waves(Math.ceil(SERIES * scale), SLOTS, random)
    const { json } = await query('format=json')
    return {
      count: list.length * SLOTS,
      run() {
        let sum = 0
        for (const piece of jsonFormat.encode(list, json))
          sum = (sum + piece.length * 31 + piece[piece.length >> 1]!) >>> 0
        return sum
      },
    }
  },
}

const drawing: BenchCase = {
  name: 'api/charts: a PNG of 800 × 300 with 4 lines of 7,200 slots',
  unit: 'pictures',
  async prepare(_scale, random) {
    const series = waves(4, SLOTS, random)
    const rasterizer = new Rasterizer(systemClock)
    const { params } = await query('width=800&height=300&title=bench')
    const input = {
      series,
      slices: [],
      params,
      timeZone: 'UTC',
      format: 'png',
      rasterizer,
    } as const
    return {
      count: 1,
      run: async () => checksumOf((await drawChart(input)).bytes),
      close: () => rasterizer.close(),
    }
  },
}

// ── beside graphite-web ─────────────────────────────────────────────────────────────────────────────

/** Both programs over the same numbers; started by the first case and stopped by the last. */
interface Rig {
  readonly stack: Stack
  readonly peer: GraphiteWeb
  /** The newest slot. */
  readonly until: number
}

let rig: Promise<Rig> | undefined

async function startRig(): Promise<Rig> {
  const until = Math.floor(systemClock.nowMs() / 1000)
  const stack = await Stack.create({ EMON_STATSD_PORT: 'off', EMON_PICKLE_PORT: 'off' })
  stack.spawn('store')
  stack.spawn('api')
  await stack.ready('store', 'api')
  const names = Array.from({ length: SERIES }, (_, i) => `bench.dc${i % 10}.host${i}.cpu`)
  const tagged = Array.from({ length: TAGGED }, (_, i) => `bench.disk;dc=eu;host=h${i}`)
  const [peer] = await Promise.all([
    GraphiteWeb.start((dir) => writeTree(dir, { names, tagged, until })),
    feed(stack.config.store.port, { names, tagged, until }),
  ])
  await peer.ask(
    '/tags/tagMultiSeries',
    tagged.map((path) => ['path', path] as const),
  )
  await stack.pointsWhen(names.at(-1)!, { from: until - 1, until }, 1)
  return { stack, peer, until }
}

interface Numbers {
  readonly names: readonly string[]
  readonly tagged: readonly string[]
  readonly until: number
}

async function writeTree(dir: string, { names, tagged, until }: Numbers): Promise<void> {
  for (const [i, name] of [...names, ...tagged].entries()) {
    const slots = name.includes(';') ? 600 : SLOTS
    const points = Array.from(
      { length: slots },
      (_, j) => [until - slots + 1 + j, wave(i + j / 60)] as const,
    )
    await writeWhisper(join(dir, whisperPath(name)), [{ step: 1, count: slots + 1, points }])
  }
  for (let i = 0; i < NAMES; i++) {
    const points = [[until - (until % 60), 1]] as const
    await writeWhisper(join(dir, whisperPath(wideName(i))), [{ step: 60, count: 2, points }])
  }
}

function wideName(i: number): string {
  return `wide.r${i % 10}.host${Math.floor(i / 100)}.m${Math.floor(i / 10) % 10}`
}

/** The same numbers as plain lines, second by second. */
async function feed(port: number, { names, tagged, until }: Numbers): Promise<void> {
  let drained = (): void => {}
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: { data() {}, drain: () => drained() },
  })
  const send = async (text: string): Promise<void> => {
    let bytes = Buffer.from(text)
    while (bytes.length > 0) {
      bytes = bytes.subarray(Math.max(0, socket.write(bytes)))
      if (bytes.length > 0) await new Promise<void>((resolve) => (drained = resolve))
    }
  }
  for (let j = 0; j < SLOTS; j++) {
    let text = ''
    const time = until - SLOTS + 1 + j
    names.forEach((name, i) => (text += `${name} ${wave(i + j / 60)} ${time}\n`))
    const late = j - (SLOTS - 600)
    if (late >= 0)
      tagged.forEach((name, i) => (text += `${name} ${wave(SERIES + i + late / 60)} ${time}\n`))
    await send(text)
  }
  for (let i = 0; i < NAMES; i += 1_000) {
    let text = ''
    for (let k = i; k < i + 1_000; k++) text += `${wideName(k)} 1 ${until}\n`
    await send(text)
  }
  socket.end()
}

interface Question {
  readonly what: string
  readonly path: string
  readonly target?: string
  readonly more?: string
  /** Seconds back. */
  readonly range?: number
  /** Points, or names, that are read. */
  readonly count: number
  readonly unit?: string
  /** Seconds that carbonapi took. */
  readonly carbonapi?: number
}

const QUESTIONS: readonly Question[] = [
  {
    what: '1 series of 3,600 slots',
    path: '/render',
    target: 'bench.dc1.host1.cpu',
    range: 3_600,
    count: 3_600,
  },
  {
    what: '100 series of 3,600 slots',
    path: '/render',
    target: 'bench.dc1.*.cpu',
    range: 3_600,
    count: 360_000,
  },
  {
    what: '1,000 series of 7,200 slots',
    path: '/render',
    target: 'bench.*.*.cpu',
    count: 7_200_000,
    carbonapi: 3.8,
  },
  {
    what: '1,000 × 7,200, maxDataPoints=1000',
    path: '/render',
    target: 'bench.*.*.cpu',
    more: '&maxDataPoints=1000',
    count: 7_200_000,
    carbonapi: 2.8,
  },
  {
    what: 'sumSeries of 1,000 × 7,200',
    path: '/render',
    target: 'sumSeries(bench.*.*.cpu)',
    count: 7_200_000,
    carbonapi: 2.5,
  },
  {
    what: 'movingAverage(100 × 3,600, 600)',
    path: '/render',
    target: 'movingAverage(bench.dc1.*.cpu,600)',
    range: 3_600,
    count: 360_000,
  },
  {
    what: 'summarize(100 × 7,200, 1min)',
    path: '/render',
    target: "summarize(bench.dc1.*.cpu,'1min','avg')",
    count: 720_000,
  },
  {
    what: 'seriesByTag, 100 × 600',
    path: '/render',
    target: "seriesByTag('name=bench.disk','host=~h.*')",
    range: 600,
    count: 60_000,
  },
  {
    what: 'a glob with three wildcards in 100,000 names',
    path: '/metrics/find',
    target: 'wide.r*.host1*.m?',
    count: NAMES,
    unit: 'names',
  },
]

function urlOf({ path, target, more, range }: Question, until: number): string {
  const name = path === '/render' ? 'target' : 'query'
  const text = encodeURIComponent(target ?? '')
  return `${path}?${name}=${text}&format=json&from=${until - (range ?? SLOTS)}&until=${until}&now=${until}${more ?? ''}`
}

/** Seconds until the last byte, and how many there were. */
async function download(url: string): Promise<{ seconds: number; bytes: number }> {
  const started = performance.now()
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
  let bytes = 0
  for await (const piece of response.body!) bytes += piece.length
  if (!response.ok) throw new Error(`${response.status} from ${url}`)
  return { seconds: (performance.now() - started) / 1000, bytes }
}

async function medianSeconds(url: string, runs: number): Promise<number> {
  const seconds: number[] = []
  for (let i = 0; i < runs; i++) seconds.push((await download(url)).seconds)
  return seconds.sort((a, b) => a - b)[runs >> 1]!
}

function besideGraphiteWeb(question: Question, isLast: boolean): BenchCase {
  return {
    name: `api/http: ${question.what}`,
    unit: question.unit ?? 'points',
    peer: true,
    async prepare(): Promise<Work | string> {
      const missing = graphiteWebIsMissing()
      if (missing !== undefined) return missing
      rig ??= startRig()
      const { stack, peer, until } = await rig
      const path = urlOf(question, until)
      const pids = { store: stack.pid('store'), api: stack.pid('api'), 'graphite-web': peer.pid }
      forgetPeaks(pids)
      // Once to warm it.
      await download(`${peer.url}${path}`)
      const theirs = await medianSeconds(`${peer.url}${path}`, 3)
      const url = `http://127.0.0.1:${stack.config.api.port}${path}`
      await download(url)
      const ours = await medianSeconds(url, 7)
      return {
        count: question.count,
        async run() {
          const [store, api] = [cpuSeconds(pids.store), cpuSeconds(pids.api)]
          const { bytes, seconds } = await download(url)
          const figures = {
            's CPU store': cpuSeconds(pids.store) - store,
            's CPU api': cpuSeconds(pids.api) - api,
            's graphite-web': theirs,
            '× graphite-web': theirs / ours,
            ...(question.carbonapi && {
              's carbonapi': question.carbonapi,
              '× carbonapi': question.carbonapi / ours,
            }),
            ...peaks(pids),
          }
          return { checksum: bytes, seconds, figures }
        },
        async close() {
          if (!isLast) return
          await stack.close()
          await peer.stop()
          rig = undefined
        },
      }
    },
  }
}

type Pids = Readonly<Record<string, number>>

/** From now on counts what the processes hold from now on. */
function forgetPeaks(pids: Pids): void {
  for (const pid of Object.values(pids)) writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** The most that each held, in megabytes. */
function peaks(pids: Pids): Record<string, number> {
  const found: Record<string, number> = {}
  for (const [name, pid] of Object.entries(pids)) {
    const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    found[`MB ${name}`] = Math.round(Number(kilobytes) / 1024)
  }
  return found
}

const TICKS_A_SECOND = 100

/** What a process has had of the processors. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}

/** Milliseconds below which so many of a hundred lie. */
function percentile(milliseconds: readonly number[], percent: number): number {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))]!
}

const PANELS = 160
const PANELS_AT_A_TIME = 16

/** Ten series over an hour at a thousand points. */
function panelPath(i: number, until: number): string {
  const target = `aliasSub(bench.dc${i % 10}.host${i % 10}?.cpu, "(^.*$)", "\\1 A")`
  return `/render?target=${encodeURIComponent(target)}&from=${until - 3_600}&until=${until}&format=json&maxDataPoints=1000&now=${until}`
}

/** Milliseconds of each panel, and what they came to. */
async function askPanels(
  url: string,
  until: number,
  count: number,
): Promise<{ milliseconds: number[]; bytes: number; seconds: number }> {
  const milliseconds: number[] = []
  let next = 0
  let bytes = 0
  const client = async (): Promise<void> => {
    while (next < count) {
      const answer = await download(`${url}${panelPath(next++, until)}`)
      bytes += answer.bytes
      milliseconds.push(answer.seconds * 1_000)
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: PANELS_AT_A_TIME }, client))
  return { milliseconds, bytes, seconds: (performance.now() - started) / 1_000 }
}

/** 20,000 points/s to the store, until `stop`. */
async function sendPoints(port: number): Promise<{ stop(): void }> {
  const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
  const timer = systemClock.every(50, () => {
    const now = Math.floor(systemClock.nowMs() / 1_000)
    let text = ''
    for (let i = 0; i < 1_000; i++) text += `live.s${i} ${i} ${now}\n`
    socket.write(text)
  })
  return {
    stop() {
      timer.cancel()
      socket.end()
    },
  }
}

/** graphite-web answers the same panels, without the points that come in here. */
const panels: BenchCase = {
  name: 'api/http: 16 panels at a time while 20,000 points/s come in',
  unit: 'requests',
  peer: true,
  async prepare() {
    if (graphiteWebIsMissing() !== undefined) return 'it shares the data with graphite-web'
    rig ??= startRig()
    const { stack, peer, until } = await rig
    const pids = { store: stack.pid('store'), api: stack.pid('api'), 'graphite-web': peer.pid }
    forgetPeaks(pids)
    await askPanels(peer.url, until, PANELS_AT_A_TIME)
    const theirs = await askPanels(peer.url, until, PANELS)
    const points = await sendPoints(stack.config.store.port)
    const url = `http://127.0.0.1:${stack.config.api.port}`
    const milliseconds: number[] = []
    return {
      count: PANELS,
      async run() {
        const ours = await askPanels(url, until, PANELS)
        milliseconds.push(...ours.milliseconds)
        const figures = {
          'ms median': percentile(milliseconds, 50),
          'ms p99': percentile(milliseconds, 99),
          'requests/s graphite-web': PANELS / theirs.seconds,
          'ms median graphite-web': percentile(theirs.milliseconds, 50),
          'ms p99 graphite-web': percentile(theirs.milliseconds, 99),
          ...peaks(pids),
        }
        return { checksum: ours.bytes, figures }
      },
      close: () => points.stop(),
    }
  },
}

/** What others wait while long answers are made: one client asks for everything, others for little. */
const beside: BenchCase = {
  name: 'api/http: 1 series of 60 slots beside 1,000 × 7,200',
  unit: 'requests',
  peer: true,
  async prepare() {
    if (graphiteWebIsMissing() !== undefined) return 'it shares the data with graphite-web'
    rig ??= startRig()
    const { stack, until } = await rig
    const url = `http://127.0.0.1:${stack.config.api.port}`
    const all = QUESTIONS.find(({ what }) => what === '1,000 series of 7,200 slots')!
    const one = { ...QUESTIONS[0]!, range: 60 }
    const renders: number[] = []
    const stores: number[] = []
    return {
      count: 1,
      async run() {
        const state = { isOver: false }
        const long = download(`${url}${urlOf(all, until)}`).finally(() => (state.isOver = true))
        let bytes = 0
        const probe = async (waits: number[], ask: () => Promise<unknown>): Promise<void> => {
          while (!state.isOver) {
            const started = performance.now()
            await ask()
            waits.push(performance.now() - started)
            await Bun.sleep(2)
          }
        }
        const unix = `${stack.config.run}/store-admin.sock`
        await Promise.all([
          probe(renders, async () => ({ bytes } = await download(`${url}${urlOf(one, until)}`))),
          probe(stores, async () => (await fetch('http://emon/healthz', { unix })).text()),
          long,
        ])
        const figures = {
          'ms median': percentile(renders, 50),
          'ms p99': percentile(renders, 99),
          'ms most': Math.max(...renders),
          'ms p99 of /healthz of the store': percentile(stores, 99),
          'ms most of it': Math.max(...stores),
        }
        return { checksum: bytes, figures }
      },
    }
  },
}

export const cases: readonly BenchCase[] = [
  printing,
  drawing,
  panels,
  beside,
  ...QUESTIONS.map((question, i) => besideGraphiteWeb(question, i === QUESTIONS.length - 1)),
]
