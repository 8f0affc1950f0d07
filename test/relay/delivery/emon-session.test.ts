import { expect, test } from 'bun:test'
import { appendAck, appendHello } from '../../../src/ipc/points-format.ts'
import { NameTable } from '../../../src/ipc/points-sender.ts'
import { ByteWriter, toUtf8 } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { EmonSession } from '../../../src/relay/delivery/emon-session.ts'
import { Outbox } from '../../../src/relay/delivery/outbox.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const BATCHES = 400
const BATCH_BYTES = 12 + 16 * 4_096

test('what waits for a peer that is always a little slow takes no more memory for it', () => {
  const clock = new SimClock()
  const spool = new Spool({
    dir: '/spool',
    disk: new SimDisk(),
    clock,
    log: silentLog,
    limits: () => ({ bytesMax: 1e9, ageMsMax: 1e9 }),
    dropped: { value: 0 },
    damaged: { value: 0 },
  })
  spool.open()
  const outbox = new Outbox({
    spool,
    window: undefined,
    maySpool: () => true,
    memoryBytesMax: 1e9,
    dropped: { value: 0 },
    spooled: { value: 0 },
  })
  let sent = 0
  let largest = 0
  const upstream = {
    unconfirmed: 0,
    write(bytes: Uint8Array): number {
      largest = Math.max(largest, bytes.buffer.byteLength)
      // Once it is open, a kilobyte is always left.
      const taken = sent === 0 ? bytes.length : Math.max(0, bytes.length - 1024)
      sent += taken
      return taken
    },
    finish() {},
    end() {},
  }
  const session = new EmonSession({
    clock,
    outbox,
    upstream,
    sender: '00000000000000aa',
    token: undefined,
    compress: false,
    maxFutureSeconds: () => 3600,
    onHello() {},
    onSilence() {},
    onSent() {},
    onDropped() {},
    onProgress() {},
    onFailure: (reason) => expect.unreachable(reason),
  })
  const answer = new ByteWriter()
  appendHello(answer, { version: 1, nonce: new Uint8Array(16), written: 0, synced: 0 })
  session.receive(answer.copy())
  const names = new NameTable()
  names.add(toUtf8('a.b'))
  for (let sequence = 1; sequence <= BATCHES; sequence++) {
    const bytes = new Uint8Array(BATCH_BYTES)
    outbox.push({ sequence, count: 4_096, bytes, names, nameCount: 1, bornMs: 0 })
    session.pump()
    answer.reset()
    appendAck(answer, { written: sequence, synced: sequence })
    session.receive(answer.copy())
  }
  session.close()
  expect(sent).toBeGreaterThan((BATCHES - 1) * BATCH_BYTES)
  expect(largest).toBeLessThanOrEqual(4 * 1024 * 1024)
})
