/**
 * What a relay's kernel had taken and the peer's kernel had not was lost at a reset where it was more than the resend
 * window: 112,000 of 320,000 lines behind 1 MiB. It stays in the outbox until the peer's kernel confirms it. So was what
 * the reader of a Unix socket had not read when it died: it stays until it has been read.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { forwardTo, hasRead, load, staged } from '../relay/fault-scene.ts'
import { LineClient, LinePeer, until } from '../relay/peers.ts'

setDefaultTimeout(60_000)

/** It reads nothing before its first reset. */
class LatePeer extends LinePeer {
  readonly early: Set<Bun.Socket<unknown>> = new Set()
  private readonly deaf: Bun.TCPSocketListener<undefined>

  constructor() {
    super()
    this.deaf = Bun.listen<undefined>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => {
          this.early.add(socket)
          socket.pause()
        },
        data() {},
        error: () => undefined,
      },
    })
    this.port = this.deaf.port
  }

  /** Resets who is connected, and reads what comes from then on. */
  wake(): void {
    for (const socket of this.early) socket.terminate()
    this.deaf.stop(true)
    this.listen()
  }
}

test('lines that no peer had confirmed come again, however small the window is', () =>
  staged(async (scene) => {
    const peer = new LatePeer()
    scene.defer(() => peer.stop())
    const relay = await scene.relay(scene.dir(), {
      conf: forwardTo(peer.port),
      env: { EMON_RESEND_WINDOW: '1MiB', EMON_REPLAY_RATE: '500000' },
    })
    const client = await LineClient.connect({ port: relay.port })
    const sent = await load(client, { seconds: 2, perSecond: 100_000 })
    await hasRead(relay, sent)
    peer.wake()
    const distinct = (): number => new Set(peer.lines).size
    await until('all lines', () => peer.lines.length >= sent && distinct() >= sent, 30_000).catch(
      () => undefined,
    )
    expect(distinct()).toBe(sent)
  }))

test('what the reader of a Unix socket has not read when it dies comes again', () =>
  staged(async (scene) => {
    const path = `${scene.dir()}/carbon.sock`
    const deaf: Bun.Socket<undefined>[] = []
    let text = ''
    const listen = (open: (socket: Bun.Socket<undefined>) => void): { stop(): void } =>
      Bun.listen<undefined>({
        unix: path,
        socket: {
          open,
          data: (_, bytes) => void (text += bytes.toString()),
          error: () => undefined,
        },
      })
    const listener = listen((socket) => {
      deaf.push(socket)
      socket.pause()
    })
    const conf = `cluster c forward "${path}" proto unix;\nmatch * send to c;\n`
    const relay = await scene.relay(scene.dir(), { conf })
    const client = await LineClient.connect({ port: relay.port })
    await client.send('a.b 1 1\n')
    await until('the kernel has it', async () => {
      const metrics = await relay.metrics()
      return [...metrics].some(([name, value]) => /destinations_.*_sent/.test(name) && value === 1)
    })
    for (const socket of deaf) socket.terminate()
    listener.stop()
    const reader = listen(() => undefined)
    scene.defer(() => reader.stop())
    await until('it comes again', () => text === 'a.b 1 1\n')
  }))
