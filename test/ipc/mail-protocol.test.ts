import { expect, test } from 'bun:test'
import { FrameError, FrameReader, MAIL_FRAME_BYTES_MAX } from '../../src/ipc/frame-format.ts'
import { decodeAnswer, decodeMail, encodeAnswer, encodeMail } from '../../src/ipc/mail-protocol.ts'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'

function payloadOf(bytes: Uint8Array): Uint8Array {
  const payloads: Uint8Array[] = []
  const reader = new FrameReader({
    bytesMax: MAIL_FRAME_BYTES_MAX,
    onFrame: ({ payload }) => payloads.push(payload.slice()),
  })
  reader.feed(bytes)
  return payloads[0]!
}

test('a message crosses with its envelope', () => {
  const envelope = { from: '', recipients: ['root@localhost'] }
  const { envelope: got, message } = decodeMail(
    payloadOf(encodeMail(envelope, toUtf8('Subject: x\r\n\r\nä\r\n'))),
  )
  expect(got).toEqual(envelope)
  expect(fromUtf8(message)).toBe('Subject: x\r\n\r\nä\r\n')
})

test('an answer crosses', () => {
  const answer = { ok: false, temporary: true, text: 'disk full' } as const
  expect(decodeAnswer(payloadOf(encodeAnswer(answer)))).toEqual(answer)
})

test.each(['', '{}', '[]', 'null', '{"from":1,"recipients":[]}', '{"from":"a","recipients":[1]}'])(
  'an envelope of %p is refused',
  (json) => {
    const text = toUtf8(json)
    const payload = new Uint8Array(4 + text.length)
    payload[0] = text.length
    payload.set(text, 4)
    expect(() => decodeMail(payload)).toThrow(FrameError)
  },
)
