/**
 * The thread that rasterises: SVG in, PNG out, with resvg in WebAssembly. Whatever goes wrong in there, a
 * panic too, is an exception here and no crash of the process.
 */

import { initWasm, Resvg } from '@resvg/resvg-wasm'
import { reason } from '../../lib/log.ts'
import type { RasterAnswer, RasterTask } from './rasterizer.ts'

declare const self: Worker

/** Two names of browsers' types that resvg's declarations use. */
declare global {
  type BufferSource = ArrayBufferView | ArrayBuffer
  type RequestInfo = Request | string
}

const wasm = Bun.fileURLToPath(import.meta.resolve('@resvg/resvg-wasm/index_bg.wasm'))
const ready = Bun.file(wasm).arrayBuffer().then(initWasm)
const fonts = new Map<string, Uint8Array>()

self.onmessage = (event: MessageEvent<RasterTask>): void => {
  void answer(event.data).then((message) => self.postMessage(message))
}

async function answer({ svg, fontPaths }: RasterTask): Promise<RasterAnswer> {
  try {
    await ready
    return { png: rasterise(svg, await Promise.all(fontPaths.map(loadFont))) }
  } catch (error) {
    return { error: reason(error) }
  }
}

function rasterise(svg: string, fontBuffers: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const resvg = new Resvg(svg, { font: { fontBuffers, loadSystemFonts: false } })
  const image = resvg.render()
  const png = new Uint8Array(image.asPng())
  image.free()
  resvg.free()
  return png
}

async function loadFont(path: string): Promise<Uint8Array> {
  const bytes = fonts.get(path) ?? (await Bun.file(path).bytes())
  fonts.set(path, bytes)
  return bytes
}
