/** The relay's surroundings in tests: a relay process, peers that record what reaches them, clients. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { FrameReader, POINTS_FRAME_BYTES_MAX } from '../../src/ipc/frame-format.ts'
import { parseOpening } from '../../src/ipc/points-format.ts'
import { PointsReceiver } from '../../src/ipc/points-receiver.ts'

const SCRIPT = `${import.meta.dir}/../../scripts/relay.ts`

const METRIC_RE = /^emon_relay_(\w+?)(?:_total)?(?:\{destination="(.*)"\})? (\S+)$/gm

export function temporaryDir(): { path: string; remove(): void } {
  const path = mkdtempSync(`${tmpdir()}/emon-relay-`)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await Bun.sleep(10)
  }
}

/** A store or central relay that keeps every point: name → timestamp → value. */
export class PointsPeer {
  readonly series = new Map<string, Map<number, number>>()
  points = 0
  /** Points of frames whose sequence had been applied already. */
  repeated = 0
  /** False: frames are taken and not acknowledged. */
  acknowledging = true
  /** False: `synced` stays behind. */
  syncing = true
  onPoint: (name: string, timestamp: number) => void = () => undefined
  onReceiver: (receiver: PointsReceiver) => void = () => undefined
  readonly last = new Map<string, { written: number; synced: number }>()
  private server: { stop(closeActive?: boolean): void } | undefined

  listen(where: { unix: string } | { hostname: string; port: number }): void {
    const socket: Bun.SocketHandler<Connection> = {
      open: (opened) => void (opened.data = new Connection(this, opened)),
      data: (opened, bytes) => opened.data.receive(bytes),
    }
    this.server =
      'unix' in where ? Bun.listen({ ...where, socket }) : Bun.listen({ ...where, socket })
  }

  stop(): void {
    this.server?.stop(true)
    this.server = undefined
  }

  lastOf(sender: string): { written: number; synced: number } {
    let last = this.last.get(sender)
    if (!last) this.last.set(sender, (last = { written: 0, synced: 0 }))
    return last
  }

  value(name: string, timestamp: number): number | undefined {
    return this.series.get(name)?.get(timestamp)
  }

  /** Distinct (name, timestamp). */
  get distinct(): number {
    let count = 0
    for (const slots of this.series.values()) count += slots.size
    return count
  }
}

class Connection {
  private text = ''
  private frames: FrameReader | undefined
  private readonly peer: PointsPeer
  private readonly socket: Bun.Socket<Connection>

  constructor(peer: PointsPeer, socket: Bun.Socket<Connection>) {
    this.peer = peer
    this.socket = socket
  }

  receive(bytes: Uint8Array): void {
    if (this.frames) return this.frames.feed(bytes)
    const newline = bytes.indexOf(0x0a)
    this.text += Buffer.from(newline < 0 ? bytes : bytes.subarray(0, newline)).toString()
    if (newline < 0) return
    const opening = parseOpening(this.text)
    if (!opening?.sender) return void this.socket.end()
    this.frames = this.open(opening.sender)
    if (newline + 1 < bytes.length) this.frames.feed(bytes.subarray(newline + 1))
  }

  private open(sender: string): FrameReader {
    const { peer, socket } = this
    const names: string[] = []
    const receiver: PointsReceiver = new PointsReceiver({
      sender,
      version: 1,
      nonce: new Uint8Array(16),
      send: (bytes) => void socket.write(bytes),
      sink: {
        resolve: (name) => names.push(Buffer.from(name).toString('latin1')) - 1,
        lastSequences: () => peer.lastOf(sender),
        points(_, columns) {
          const last = peer.lastOf(sender)
          if (columns.sequence <= last.written) {
            peer.repeated += columns.count
            return
          }
          for (let i = 0; i < columns.count; i++) {
            const name = names[columns.ids[i]!]!
            let slots = peer.series.get(name)
            if (!slots) peer.series.set(name, (slots = new Map()))
            slots.set(columns.timestamps[i]!, columns.values[i]!)
            peer.onPoint(name, columns.timestamps[i]!)
          }
          peer.points += columns.count
          if (!peer.acknowledging) return
          last.written = columns.sequence
          if (peer.syncing) last.synced = columns.sequence
          receiver.ack(last)
        },
      },
    })
    peer.onReceiver(receiver)
    return new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (f) => receiver.receive(f),
    })
  }
}

/** A carbon that keeps every line. */
export class LinePeer {
  readonly lines: string[] = []
  /** False: the line is not kept. */
  keeps: (line: string) => boolean = () => true
  connections = 0
  private readonly sockets = new Set<Bun.Socket<{ rest: string }>>()
  private server: Bun.TCPSocketListener<{ rest: string }> | undefined
  port = 0

  listen(port = this.port, hostname = '127.0.0.1'): void {
    this.server = Bun.listen<{ rest: string }>({
      hostname,
      port,
      socket: {
        open: (socket) => {
          this.connections++
          socket.data = { rest: '' }
          this.sockets.add(socket)
        },
        data: (socket, bytes) => {
          const parts = (socket.data.rest + bytes.toString('latin1')).split('\n')
          socket.data.rest = parts.pop()!
          for (const line of parts) if (this.keeps(line)) this.lines.push(line)
        },
        close: (socket) => void this.sockets.delete(socket),
        error: () => undefined,
      },
    })
    this.port = this.server.port
  }

  /** Resets every connection. */
  reset(): void {
    for (const socket of this.sockets) socket.terminate()
  }

  stop(): void {
    this.server?.stop(true)
    this.server = undefined
  }
}

export interface RelayProcess {
  readonly port: number
  readonly dir: string
  readonly pid: number
  exited: Promise<number>
  log(): string
  signal(name: NodeJS.Signals): void
  /** Numbers of /metrics, without `emon_relay_` and `_total`, a destination's as `destinations_WHICH_NAME`. */
  metrics(): Promise<Map<string, number>>
}

export async function startRelay(
  dir: string,
  options: { env?: Record<string, string>; conf?: string; wait?: boolean; args?: string[] } = {},
): Promise<RelayProcess> {
  const port = Number(options.env?.['EMON_RELAY_PORT'] ?? (await freePort()))
  if (options.conf !== undefined) await Bun.write(`${dir}/relay.conf`, options.conf)
  const child = Bun.spawn([process.execPath, SCRIPT, ...(options.args ?? [])], {
    env: {
      PATH: process.env['PATH'] ?? '',
      EMON_DATA: dir,
      EMON_RELAY_PORT: String(port),
      EMON_RELAY_BIND: '127.0.0.1',
      EMON_PICKLE_PORT: 'off',
      EMON_STATSD_PORT: 'off',
      ...options.env,
    },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  let log = ''
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) log += decoder.decode(chunk)
  })()
  const admin = (path: string) => fetch(`http://x${path}`, { unix: `${dir}/run/relay-admin.sock` })
  const relay: RelayProcess = {
    port,
    dir,
    pid: child.pid,
    exited: child.exited,
    log: () => log,
    signal: (name) => child.kill(name),
    async metrics() {
      const text = await (await admin('/metrics')).text()
      const values = new Map<string, number>()
      for (const [, name, which, value] of text.matchAll(METRIC_RE)) {
        const whole = which === undefined ? name! : name!.replace('_', `_${which}_`)
        values.set(whole.replaceAll(/\W/g, '_'), Number(value))
      }
      return values
    },
  }
  if (options.wait === false) return relay
  await until(
    `relay is up; its log: ${log}`,
    () => log.includes(' started ') || log.includes(' error '),
  )
  return relay
}

export async function stopRelay(relay: RelayProcess): Promise<number> {
  relay.signal('SIGTERM')
  return relay.exited
}

/** A client connection that waits until the kernel has taken everything. */
export class LineClient {
  private readonly socket: Bun.Socket<undefined>
  private drained: (() => void) | undefined
  closed = false

  private constructor(socket: Bun.Socket<undefined>) {
    this.socket = socket
  }

  static async connect(where: { port: number } | { unix: string }): Promise<LineClient> {
    let client: LineClient | undefined
    const socket: Bun.SocketHandler<undefined> = {
      data: () => undefined,
      drain: () => client?.drained?.(),
      close: () => {
        if (client) client.closed = true
        client?.drained?.()
      },
      error: () => undefined,
    }
    const opened =
      'unix' in where
        ? await Bun.connect<undefined>({ unix: where.unix, socket })
        : await Bun.connect<undefined>({ hostname: '127.0.0.1', port: where.port, socket })
    client = new LineClient(opened)
    return client
  }

  async send(content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content
    let sent = 0
    while (sent < bytes.length && !this.closed) {
      sent += Math.max(0, this.socket.write(bytes.subarray(sent)))
      if (sent < bytes.length) {
        await new Promise<void>((resolve) => (this.drained = resolve))
        this.drained = undefined
      }
    }
  }

  end(): void {
    this.socket.end()
  }
}
