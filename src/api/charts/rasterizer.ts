/**
 * Drawings to PNG, in a thread of its own that is started by the first picture and ends when none was asked
 * for in a minute: it costs memory only who uses it, and a picture that takes long holds up only pictures.
 *
 * One picture at a time, others wait; one that takes longer than PICTURE_MS_MAX is given up with its thread.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import { RenderError } from '../render-series.ts'
import type { Drawing } from './drawing.ts'
import { printSvg } from './svg.ts'

export interface RasterTask {
  readonly svg: string
  /** Files of the typefaces that it uses. */
  readonly fontPaths: readonly string[]
}

export type RasterAnswer = { readonly png: Uint8Array<ArrayBuffer> } | { readonly error: string }

const IDLE_MS_MAX = 60_000
const PICTURE_MS_MAX = 10_000

export class Rasterizer {
  private readonly clock: Clock
  private worker: Worker | undefined
  private idle: Timer | undefined
  private last: Promise<unknown>

  constructor(clock: Clock) {
    this.clock = clock
    this.worker = undefined
    this.idle = undefined
    this.last = Promise.resolve()
  }

  toPng(drawing: Drawing): Promise<Uint8Array<ArrayBuffer>> {
    const fonts = new Set<string>()
    for (const { shapes } of drawing.groups) {
      for (const shape of shapes) if (shape.kind === 'text') fonts.add(shape.face.path)
    }
    const task = { svg: printSvg(drawing), fontPaths: [...fonts] }
    const result = this.last.then(() => this.run(task))
    this.last = result.catch(() => undefined)
    return result
  }

  close(): void {
    this.idle?.cancel()
    this.worker?.terminate()
    this.worker = undefined
  }

  private async run(task: RasterTask): Promise<Uint8Array<ArrayBuffer>> {
    this.idle?.cancel()
    this.worker ??= new Worker(new URL('./raster-worker.ts', import.meta.url))
    const answer = await this.ask(this.worker, task)
    this.idle = this.clock.after(IDLE_MS_MAX, () => this.close())
    if ('png' in answer) return answer.png
    this.close()
    throw new RenderError(`the picture cannot be drawn: ${answer.error}`, 422)
  }

  private ask(worker: Worker, task: RasterTask): Promise<RasterAnswer> {
    return new Promise((resolve) => {
      const timer = this.clock.after(PICTURE_MS_MAX, () => finish({ error: 'it takes too long' }))
      const finish = (answer: RasterAnswer): void => {
        timer.cancel()
        resolve(answer)
      }
      worker.onmessage = (event: MessageEvent<RasterAnswer>) => finish(event.data)
      worker.onerror = (event) => finish({ error: event.message })
      worker.postMessage(task)
    })
  }
}
