/**
 * /metrics/index.json: the names of all series as one JSON array, read from the stores piece by piece and
 * written as it comes, so that a million names take neither long nor much memory.
 */

import type { IndexReply } from '../../ipc/store-protocol.ts'
import { type Answer, readCallback } from '../http/respond.ts'
import type { RequestParams } from '../http/request-params.ts'
import { TextBuffer } from './text-buffer.ts'

const NAMES_A_PIECE = 20_000

export async function streamNames(
  params: RequestParams,
  ask: (after: string, namesMax: number) => Promise<IndexReply>,
): Promise<Answer> {
  const callback = readCallback(params)
  const pieces: Uint8Array<ArrayBuffer>[] = []
  const out = new TextBuffer(1024 * 1024)
  out.text(callback === undefined ? '[' : `${callback}([`)
  let after = ''
  let first = true
  for (;;) {
    const reply = await ask(after, NAMES_A_PIECE)
    for (const path of reply.paths) {
      out.text(first ? '' : ',')
      first = false
      out.json(path)
    }
    pieces.push(out.take().slice())
    after = reply.paths.at(-1) ?? after
    if (!reply.more || reply.paths.length === 0) break
  }
  out.text(callback === undefined ? ']' : '])')
  pieces.push(out.take().slice())
  return {
    contentType: callback === undefined ? 'application/json' : 'text/javascript',
    body: pieces,
  }
}
