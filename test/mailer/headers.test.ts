/** Header blocks: what is kept byte for byte, what we write, and what cannot be smuggled in. */
import { describe, expect, test } from 'bun:test'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { encodeText, Headers, toLatin1 } from '../../src/mailer/headers.ts'
import { makeRig } from './rig.ts'

const parse = (text: string): { headers: Headers; rest: string } => {
  const { headers, rest } = Headers.parse(toUtf8(text))
  return { headers, rest: fromUtf8(rest) }
}

describe('Headers', () => {
  test('comes back as it came, bytes above 127 too', () => {
    const bytes = toLatin1('Subject: caf\xe9\r\n folded\r\nX-A:b\r\n\r\nbody\r\n')
    const { headers, rest } = Headers.parse(bytes)
    expect(Buffer.concat([headers.toBytes(), rest])).toEqual(Buffer.from(bytes))
    expect(headers.get('subject')).toBe('caf\xe9 folded')
  })

  test('a line that is no field begins the body', () => {
    const { headers, rest } = parse('Subject: x\r\nnot a field\r\n\r\nbody\r\n')
    expect(headers.toString()).toBe('Subject: x\r\n')
    expect(rest).toBe('\r\nnot a field\r\n\r\nbody\r\n')
  })

  test('a message without header or body gets the line between them', () => {
    expect(parse('').rest).toBe('\r\n')
    expect(parse('Subject: x\r\n').rest).toBe('\r\n')
    expect(parse('\r\nbody').rest).toBe('\r\nbody')
  })

  test('what we write is one line, whatever was asked for', () => {
    const { headers } = parse('\r\n')
    headers.set('Subject', 'disk full\r\nBcc: evil@x.test\n\r\nbody')
    expect(headers.toString()).toBe('Subject: disk full Bcc: evil@x.test body\r\n')
  })

  test('set() replaces all of a name, in place', () => {
    const { headers } = parse('A: 1\r\nFrom: x\r\nB: 2\r\nfrom: y\r\n\r\n')
    headers.set('From', 'z')
    expect(headers.toString()).toBe('A: 1\r\nFrom: z\r\nB: 2\r\n')
  })

  test('encodeText() encodes what is not ASCII, in words of at most 75 characters', () => {
    expect(encodeText('plain')).toBe('plain')
    const encoded = encodeText('日本語'.repeat(20))
    const words = encoded.split('\r\n ')
    for (const word of words) expect(word.length).toBeLessThanOrEqual(75)
    const text = words.map((word) => Buffer.from(word.slice(10, -2), 'base64').toString()).join('')
    expect(text).toBe('日本語'.repeat(20))
  })
})

describe('header injection through an alert', () => {
  const sent = async (
    message: string,
  ): Promise<{ recipients: readonly string[]; text: string }> => {
    const rig = await makeRig()
    await rig.put('a@x.test', ['ops@y.test'], message)
    await rig.clock.advance(0)
    return rig.transport.carried[0]!
  }

  test('a Bcc that came with the subject reaches nobody', async () => {
    const { recipients, text } = await sent(
      'Subject: disk full\r\nBcc: evil@x.test\r\nTo: ops@y.test\r\n\r\nbody\r\n',
    )
    expect(recipients).toEqual(['ops@y.test'])
    expect(text).not.toContain('evil')
  })

  test('a NUL does not hide a field', async () => {
    const { text } = await sent('Subject: a\0b\r\n\r\nbody\r\n')
    expect(text).toContain('Subject: ab\r\n')
  })

  test('a sender of this machine is replaced in envelope and header, the first kept in Reply-To', async () => {
    const rig = await makeRig({ mailer: { from: 'emon@x.test' } })
    await rig.put('root@box.test', ['ops@y.test'], 'From: Cron <root@box.test>\r\n\r\nbody\r\n')
    await rig.clock.advance(0)
    const [mail] = rig.transport.carried
    expect(mail?.from).toBe('emon@x.test')
    expect(mail?.text).toContain('\r\nFrom: emon@x.test\r\n')
    expect(mail?.text).toContain('\r\nReply-To: Cron <root@box.test>\r\n')
  })
})
