/**
 * What goes out on one connection, in order: what the kernel does not take at once waits here, and a
 * producer of much waits until the reader has caught up.
 */

export class SocketWriter {
  /** What the kernel has not taken yet. */
  waitingBytes: number
  private readonly socket: Pick<Bun.Socket, 'write'>
  private readonly waiting: Uint8Array[]
  private readonly caughtUp: (() => void)[]
  private isClosed: boolean

  constructor(socket: Pick<Bun.Socket, 'write'>) {
    this.socket = socket
    this.waiting = []
    this.caughtUp = []
    this.waitingBytes = 0
    this.isClosed = false
  }

  /** Sends `bytes`, which are the writer's until they are `drained`, or for good. */
  write(bytes: Uint8Array): void {
    if (this.isClosed) return
    this.waiting.push(bytes)
    this.waitingBytes += bytes.length
    if (this.waiting.length === 1) this.flush()
  }

  /** To be called when the socket takes bytes again. */
  flush(): void {
    while (this.waiting.length > 0) {
      const first = this.waiting[0]!
      const taken = Math.max(0, this.socket.write(first))
      this.waitingBytes -= taken
      if (taken < first.length) {
        this.waiting[0] = first.subarray(taken)
        return
      }
      this.waiting.shift()
    }
    this.release()
  }

  /** Copies what waits, so that those who wrote it may use its memory again. */
  keepOwn(): void {
    for (let i = 0; i < this.waiting.length; i++) this.waiting[i] = this.waiting[i]!.slice()
  }

  /** Resolves when everything is with the kernel, or the connection is over. */
  async drained(): Promise<void> {
    if (this.waitingBytes > 0 && !this.isClosed) {
      await new Promise<void>((resolve) => this.caughtUp.push(resolve))
    }
  }

  /** The connection is over: what waits is forgotten. */
  close(): void {
    this.isClosed = true
    this.waiting.length = 0
    this.waitingBytes = 0
    this.release()
  }

  private release(): void {
    for (const resolve of this.caughtUp.splice(0)) resolve()
  }
}
