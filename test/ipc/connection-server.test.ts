import { expect, test } from 'bun:test'
import { serveConnections } from '../../src/ipc/connection-server.ts'
import { Stats } from '../../src/lib/stats.ts'

/** More than the kernel takes for a reader that does not read. */
const BYTES = 16 * 1024 * 1024

test('a connection is not read while its object says so', async () => {
  const { promise: room, resolve: makeRoom } = Promise.withResolvers<void>()
  let received = 0
  const server = serveConnections({
    where: { hostname: '127.0.0.1', port: 0 },
    connectionsMax: 1,
    refused: new Stats().counter('refused'),
    open: () => ({
      receive(bytes) {
        received += bytes.length
        return room
      },
      drain() {},
      close() {},
    }),
  })
  const { promise: sent, resolve: allSent } = Promise.withResolvers<void>()
  let rest = new Uint8Array(BYTES)
  const send = (socket: Bun.Socket): void => {
    rest = rest.subarray(Math.max(0, socket.write(rest)))
    if (rest.length === 0) allSent()
  }
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port,
    socket: { open: send, drain: send, data() {} },
  })
  await Bun.sleep(100)
  const whileWaiting = received
  expect(whileWaiting).toBeGreaterThan(0)
  expect(whileWaiting).toBeLessThan(BYTES / 2)
  await Bun.sleep(50)
  expect(received).toBe(whileWaiting)
  makeRoom()
  await sent
  while (received < BYTES) await Bun.sleep(5)
  socket.terminate()
  server.stop()
})
