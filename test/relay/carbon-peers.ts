/**
 * Real carbons as the relay's destinations, each a process of Debian's packages that keeps what it gets in files:
 * carbon-c-relay (a file of lines) and Graphite's carbon-cache (Whisper files).
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { NAMES } from './fault-scene.ts'
import { until } from './peers.ts'

export const hasCarbonCRelay = Bun.which('carbon-c-relay') !== null

const STARTS_MAX = 10

/** Debian's Python, which has carbon and whisper; another one in PATH may not. */
const PYTHON = '/usr/bin/python3'
const CARBON_CACHE = Bun.which('carbon-cache')

class CarbonProcess {
  protected readonly dir: string
  protected readonly port: number
  private child: Bun.Subprocess | undefined

  constructor(dir: string, port: number) {
    this.dir = dir
    this.port = port
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child?.kill(signal)
    await this.child?.exited
    this.child = undefined
  }

  protected spawn(command: string[], env: Record<string, string> = {}): void {
    const log = Bun.file(this.logPath)
    this.child = Bun.spawn(command, {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', log, log],
    })
  }

  protected get logPath(): string {
    return `${this.dir}/log`
  }

  protected get isOver(): boolean {
    return this.child?.exitCode !== null || this.child.signalCode !== null
  }
}

export class CarbonCRelay extends CarbonProcess {
  async start(): Promise<void> {
    writeFileSync(`${this.dir}/lines`, '')
    const conf = `cluster all file ${this.dir}/lines;\nmatch fault. send to all;\n`
    writeFileSync(`${this.dir}/c-relay.conf`, conf)
    const options = ['-w', '1', '-q', '1000000', '-b', '2500', '-L', '15', '-s']
    const port = ['-p', String(this.port)]
    const command = ['carbon-c-relay', '-f', `${this.dir}/c-relay.conf`, ...port, ...options]
    // 3.7.3 dies when somebody connects while it starts, as a relay that waits for it may do.
    for (let starts = 0; starts < STARTS_MAX; starts++) {
      this.spawn(command)
      await until('carbon-c-relay is up or over', () => this.isUp || this.isOver, 30_000)
      await Bun.sleep(200)
      if (!this.isOver) return
    }
    throw new Error(readFileSync(this.logPath, 'utf8'))
  }

  override async end(signal: NodeJS.Signals): Promise<void> {
    await super.end(signal)
    rmSync(`/tmp/.s.carbon-c-relay.${this.port}`, { force: true })
  }

  private get isUp(): boolean {
    return readFileSync(this.logPath, 'utf8').includes('startup sequence complete')
  }

  /** All lines, and how many different ones. */
  count(): { arrived: number; distinct: number } {
    const lines = readFileSync(`${this.dir}/lines`, 'latin1').split('\n')
    lines.pop()
    return { arrived: lines.length, distinct: new Set(lines).size }
  }
}

export class CarbonCache extends CarbonProcess {
  static readonly missing =
    CARBON_CACHE === null ? 'carbon-cache (graphite-carbon) is not installed' : undefined

  async start(spare: readonly [number, number]): Promise<void> {
    const { dir, port } = this
    const [pickle, query] = spare
    writeFileSync(`${dir}/storage-schemas.conf`, '[all]\npattern = .*\nretentions = 1s:20m\n')
    const settings = {
      STORAGE_DIR: `${dir}/`,
      LOCAL_DATA_DIR: `${dir}/whisper/`,
      CONF_DIR: `${dir}/`,
      LOG_DIR: `${dir}/`,
      PID_DIR: `${dir}/`,
      LINE_RECEIVER_INTERFACE: '127.0.0.1',
      LINE_RECEIVER_PORT: port,
      PICKLE_RECEIVER_INTERFACE: '127.0.0.1',
      PICKLE_RECEIVER_PORT: pickle,
      CACHE_QUERY_INTERFACE: '127.0.0.1',
      CACHE_QUERY_PORT: query,
      MAX_CACHE_SIZE: 'inf',
      MAX_UPDATES_PER_SECOND: 'inf',
      MAX_CREATES_PER_MINUTE: 'inf',
      LOG_CREATES: 'False',
      LOG_UPDATES: 'False',
      ENABLE_LOGROTATION: 'False',
      CARBON_METRIC_INTERVAL: 0,
    }
    const text = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
    writeFileSync(`${dir}/carbon.conf`, `[cache]\n${text.join('')}`)
    this.spawn(
      [
        PYTHON,
        CARBON_CACHE!,
        `--config=${dir}/carbon.conf`,
        `--pidfile=${dir}/pid`,
        '--nodaemon',
        'start',
      ],
      { GRAPHITE_ROOT: dir, GRAPHITE_STORAGE_DIR: dir, GRAPHITE_CONF_DIR: dir },
    )
    await until('carbon-cache listens', () => listens(port), 30_000)
  }

  /** Lines of `lineOf` that are in its files with their value, of those that began at a second from `from` to `to`. */
  async count(sent: number, from: number, to: number): Promise<number> {
    const script = `
import os, sys, whisper
names, sent, first, last = ${NAMES}, ${sent}, ${from}, ${to}
found = 0
for n in range(min(names, sent)):
    path = '${this.dir}/whisper/fault/n%d.wsp' % n
    if not os.path.exists(path): continue
    try:
        _, values = whisper.fetch(path, first - sent // names - 2, last + 1)
    except whisper.CorruptWhisperFile: # is just being made
        continue
    found += sum(1 for value in set(values) if value is not None and value < sent and value % names == n)
print(found)`
    const run = Bun.spawn([PYTHON, '-c', script], { stdout: 'pipe', stderr: 'inherit' })
    return Number(await new Response(run.stdout).text())
  }
}

function listens(port: number): Promise<boolean> {
  const asked = Promise.withResolvers<boolean>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.once('connect', () => {
    socket.destroy()
    asked.resolve(true)
  })
  socket.once('error', () => asked.resolve(false))
  return asked.promise
}

/** Stands between the relay and a peer, and resets the relay's connections when it is told to. */
export class ResettingProxy {
  readonly port: number
  private readonly server: Bun.TCPSocketListener<Through>
  private readonly open: Set<Bun.Socket<Through>>

  constructor(target: number) {
    const open = new Set<Bun.Socket<Through>>()
    this.open = open
    this.server = Bun.listen<Through>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open(socket) {
          open.add(socket)
          socket.data = new Through(target, socket)
        },
        data: (socket, bytes) => socket.data.forward(bytes),
        close(socket) {
          open.delete(socket)
          socket.data.end()
        },
        error: () => undefined,
      },
    })
    this.port = this.server.port
  }

  reset(): void {
    for (const socket of this.open) socket.terminate()
  }

  stop(): void {
    this.server.stop(true)
  }
}

/** One connection through the proxy: what came before a reset still reaches the peer, in order. */
class Through {
  private readonly upstream: ReturnType<typeof connect>

  constructor(target: number, client: Bun.Socket<Through>) {
    this.upstream = connect({ port: target, host: '127.0.0.1' })
    this.upstream.on('drain', () => client.resume())
    this.upstream.on('error', () => client.terminate())
    this.upstream.on('close', () => client.end())
    this.client = client
  }

  private readonly client: Bun.Socket<Through>

  forward(bytes: Uint8Array): void {
    if (!this.upstream.write(bytes.slice())) this.client.pause()
  }

  end(): void {
    this.upstream.end()
  }
}
