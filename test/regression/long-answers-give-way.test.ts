/** A long answer whose reader took everything at once was made in one go: nobody else was served meanwhile. */
import { expect, test } from 'bun:test'
import { respond } from '../../src/api/http/respond.ts'

const PIECE = new Uint8Array(256 * 1024)
const PIECES = 64

test('others have their turn while a long answer is made', async () => {
  function* pieces(): Generator<Uint8Array<ArrayBuffer>> {
    for (let i = 0; i < PIECES; i++) yield PIECE
  }
  const request = new Request('http://api/render')
  const response = await respond(request, { contentType: 'text/plain', body: pieces() })
  const state = { turns: 0, isOver: false }
  const takeTurn = (): void => {
    state.turns++
    if (!state.isOver) setImmediate(takeTurn)
  }
  setImmediate(takeTurn)
  const body = await response.arrayBuffer()
  state.isOver = true
  expect(body.byteLength).toBe(PIECES * PIECE.length)
  expect(state.turns).toBeGreaterThan(10)
})
