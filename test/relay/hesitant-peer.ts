/**
 * A plain carbon that reads for a while, then does not, and that does not end when its peer does. `cut` leaves of a
 * connection what a power cut of the peer's machine would: what had reached this kernel, and nothing of the rest.
 */
import { until } from './peers.ts'

const READ_MS = 300

export class HesitantPeer {
  readonly lines = new Set<string>()
  private readonly pauseMs: number
  private readonly server: Bun.TCPSocketListener<{ rest: string }>
  private readonly open = new Set<Bun.Socket<{ rest: string }>>()
  private timer: ReturnType<typeof setTimeout> | undefined
  private isPaused = false

  constructor(port: number, pauseMs: number) {
    this.pauseMs = pauseMs
    this.server = Bun.listen<{ rest: string }>({
      hostname: '127.0.0.1',
      port,
      allowHalfOpen: true,
      socket: {
        open: (socket) => {
          socket.data = { rest: '' }
          this.open.add(socket)
          if (this.isPaused) socket.pause()
        },
        data: (socket, bytes) => {
          const lines = (socket.data.rest + bytes.toString('latin1')).split('\n')
          socket.data.rest = lines.pop()!
          for (const line of lines) this.lines.add(line)
        },
        close: (socket) => void this.open.delete(socket),
        error: () => undefined,
      },
    })
    this.hesitate()
  }

  async cut(): Promise<void> {
    for (const socket of this.open) {
      // Once this end is over, the other's closes it.
      socket.shutdown()
      socket.shutdown(true)
      socket.resume()
    }
    await until('all connections are over', () => this.open.size === 0)
  }

  readAll(): void {
    clearTimeout(this.timer)
    this.isPaused = false
    for (const socket of this.open) socket.resume()
  }

  stop(): void {
    clearTimeout(this.timer)
    this.server.stop(true)
  }

  private hesitate(): void {
    this.readAll()
    if (this.pauseMs === 0) return
    this.timer = setTimeout(() => {
      this.isPaused = true
      for (const socket of this.open) socket.pause()
      if (this.pauseMs === Infinity) return
      this.timer = setTimeout(() => this.hesitate(), this.pauseMs)
    }, READ_MS)
  }
}
