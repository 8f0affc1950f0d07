/**
 * While nobody listened on a port of this machine that lies among those for outgoing connections, one of the many
 * tries connected the relay with itself: it took its own lines for delivered.
 */
import { expect, test } from 'bun:test'
import { isWithItself } from '../../src/relay/delivery/upstream.ts'

test('a connection with itself is told from one to a neighbour, and from a Unix socket', () => {
  const ends = { localAddress: '127.0.0.1', remoteAddress: '127.0.0.1' }
  expect(isWithItself({ ...ends, localPort: 45_124, remotePort: 45_124 })).toBe(true)
  expect(isWithItself({ ...ends, localPort: 45_126, remotePort: 45_124 })).toBe(false)
  const other = { ...ends, remoteAddress: '127.0.0.2' }
  expect(isWithItself({ ...other, localPort: 45_124, remotePort: 45_124 })).toBe(false)
  const unix = { localAddress: '', remoteAddress: '', localPort: 0, remotePort: 0 }
  expect(isWithItself(unix)).toBe(false)
})
