/**
 * The body of an HTTP answer that is made while it is sent: the maker waits until what it gave has been taken,
 * so that a slow reader costs no memory, and is told when the reader has gone.
 */

export class ReplyStream {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>
  private readonly chunks: Uint8Array<ArrayBuffer>[]
  private readonly abort: AbortController
  private wake: (() => void) | undefined
  private empty: (() => void) | undefined
  private isEnded: boolean
  private failure: Error | undefined

  constructor(abort: AbortController) {
    this.chunks = []
    this.abort = abort
    this.wake = undefined
    this.empty = undefined
    this.isEnded = false
    this.failure = undefined
    abort.signal.addEventListener('abort', () => this.empty?.())
    this.body = new ReadableStream({
      pull: (controller) => this.pull(controller),
      cancel: () => this.cancel(),
    })
  }

  push(chunk: Uint8Array<ArrayBuffer>): void {
    if (chunk.length === 0) return
    this.chunks.push(chunk)
    this.wake?.()
  }

  /** Resolves when everything pushed was taken. */
  async drained(): Promise<void> {
    if (this.chunks.length === 0 || this.abort.signal.aborted) return
    await new Promise<void>((resolve) => (this.empty = resolve))
  }

  end(failure?: Error): void {
    this.isEnded = true
    this.failure = failure
    this.wake?.()
  }

  private async pull(
    controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>,
  ): Promise<void> {
    if (this.chunks.length === 0 && !this.isEnded) {
      await new Promise<void>((resolve) => (this.wake = resolve))
      this.wake = undefined
    }
    const chunk = this.chunks.shift()
    if (chunk) {
      controller.enqueue(chunk)
      if (this.chunks.length === 0) this.empty?.()
    } else if (this.failure) controller.error(this.failure)
    else controller.close()
  }

  private cancel(): void {
    this.abort.abort()
    this.chunks.length = 0
    this.empty?.()
  }
}
