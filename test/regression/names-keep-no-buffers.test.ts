/**
 * A name that a plan keeps was a view of what had come from the socket: `slice()` of a Buffer is no copy. Each such
 * name kept the whole read, up to half a megabyte, in memory.
 */
import { expect, test } from 'bun:test'
import { copyOf, NEWLINE } from '../../src/lib/bytes.ts'
import { LineClient, LinePeer, startRelay, temporaryDir, until } from '../relay/peers.ts'

const NAMES = 2_000
const PADDING = Buffer.from('same.name 1 1\n'.repeat(8_000))

test('copyOf() has memory of its own', () => {
  const buffer = Buffer.alloc(1_000_000, NEWLINE)
  expect(copyOf(buffer.subarray(5, 15)).buffer.byteLength).toBe(10)
})

test('two thousand names that come among much else cost little', async () => {
  const dir = temporaryDir()
  const peer = new LinePeer()
  peer.keeps = (line) => line.startsWith('last')
  peer.listen(0)
  const conf =
    `cluster c forward 127.0.0.1:${peer.port};\n` +
    'match ^new validate ^[0-9]+ else drop send to c;\nmatch ^last send to c;\n'
  const relay = await startRelay(dir.path, { conf })
  try {
    const client = await LineClient.connect({ port: relay.port })
    await client.send(PADDING)
    const before = (await relay.metrics()).get('process_residentBytes')!
    for (let i = 0; i < NAMES; i++) {
      await client.send(Buffer.concat([Buffer.from(`new.n${i} 1 1\n`), PADDING]))
    }
    await client.send('last 1 1\n')
    await until('all is read', () => peer.lines.length > 0, 60_000)
    const grown = (await relay.metrics()).get('process_residentBytes')! - before
    expect(grown).toBeLessThan(100 * 2 ** 20)
  } finally {
    relay.signal('SIGKILL')
    await relay.exited
    peer.stop()
    dir.remove()
  }
}, 90_000)
