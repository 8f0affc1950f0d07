import { expect, test } from 'bun:test'
import { formatSyslog, openSyslog, splitHostPort } from '../../src/lib/syslog.ts'

const source = { host: 'web01', program: 'emon-relay', pid: 42 }
const line = '2026-01-02T03:04:05.678Z warn relay spool is full bytes=7\n'
const datagram =
  '<28>1 2026-01-02T03:04:05.678Z web01 emon-relay 42 - - warn relay spool is full bytes=7'

test('formatSyslog() writes RFC 5424', () => {
  expect(formatSyslog(source, 'warn', line)).toBe(datagram)
})

test.each([
  ['log', { host: 'log', port: 514 }],
  ['log:1514', { host: 'log', port: 1514 }],
  ['[::1]:1514', { host: '::1', port: 1514 }],
  ['::1', { host: '::1', port: 514 }],
])('splitHostPort(%p)', (text, want) => expect(splitHostPort(text, 514)).toEqual(want))

test('openSyslog() sends a datagram a line', async () => {
  const received = Promise.withResolvers<string>()
  const server = await Bun.udpSocket({
    hostname: '127.0.0.1',
    socket: { data: (_, bytes) => received.resolve(bytes.toString()) },
  })
  const send = await openSyslog(`127.0.0.1:${server.port}`, source)
  send(line, 'warn')
  expect(await received.promise).toBe(datagram)
  server.close()
})
