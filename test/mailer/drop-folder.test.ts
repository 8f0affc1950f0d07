/** queue/drop on a simulated disk: once each, across any crash. */
import { describe, expect, test } from 'bun:test'
import { encodeMail } from '../../src/ipc/mail-protocol.ts'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { silentLog } from '../../src/lib/log.ts'
import { DropFolder } from '../../src/mailer/drop-folder.ts'
import { submitToDrop } from '../../src/mailer/submit-client.ts'
import type { SimDisk } from '../sim/disk.ts'
import { makeRig, type Rig } from './rig.ts'

const MAIL = {
  envelope: { from: 'cron', recipients: ['ops@y.test'] },
  message: toUtf8('Subject: from cron\r\n\r\nbody\r\n'),
}

function open(rig: Rig): DropFolder {
  const { intake, queue, disk, clock, stats } = rig
  return new DropFolder({ dir: '/queue', intake, queue, disk, clock, stats, log: silentLog })
}

function put(disk: SimDisk, name: string, bytes: Uint8Array, mode: number): void {
  disk.makeDir('/queue/drop')
  const file = disk.open(`/queue/drop/${name}`, 'create', mode)
  file.append(bytes)
  file.close()
}

describe('DropFolder', () => {
  test('takes what sendmail left', async () => {
    const rig = await makeRig()
    rig.disk.makeDir('/queue/drop')
    submitToDrop('/queue/drop', MAIL, rig)
    open(rig).start()
    await rig.clock.advance(10)
    expect(rig.transport.carried.map(({ recipients }) => recipients)).toEqual([['ops@y.test']])
    expect(rig.transport.carried[0]!.text).toContain('with local (uid 0)')
    expect(rig.disk.list('/queue/drop')).toEqual([])
  })

  test('a crash at any change takes it once: nothing lost, nothing queued twice', async () => {
    for (let changes = 0; changes < 14; changes++) {
      const rig = await makeRig()
      rig.disk.makeDir('/queue/drop')
      submitToDrop('/queue/drop', MAIL, rig)
      await rig.delivery.stop(0)
      rig.disk.crashAfter(changes)
      try {
        open(rig).start()
        await rig.clock.advance(10)
      } catch {
        // the crash
      }
      rig.disk.revive()
      const again = await makeRig({ disk: rig.disk, clock: rig.clock })
      again.delivery.start()
      open(again).start()
      await again.clock.advance(10_000)
      expect(again.transport.carried).toHaveLength(1)
      expect(rig.disk.list('/queue/drop')).toEqual([])
    }
  })

  test('what is being written is left alone for a day', async () => {
    const rig = await makeRig()
    rig.disk.nowMs = () => rig.clock.nowMs()
    put(rig.disk, 'unfinished', toUtf8('half'), 0o600)
    open(rig).start()
    await rig.clock.advance(86_000_000)
    expect(rig.disk.list('/queue/drop')).toEqual(['unfinished'])
    await rig.clock.advance(1_000_000)
    expect(rig.disk.list('/queue/drop')).toEqual([])
  })

  test('a torn, doubled or foreign file goes to corrupt, whatever its length', async () => {
    const whole = encodeMail(MAIL.envelope, MAIL.message).slice()
    const rig = await makeRig({ mailer: { message_size_max: 10_000 } })
    for (let length = 0; length < whole.length; length += 7) {
      put(rig.disk, `torn${length}`, whole.subarray(0, length), 0o744)
    }
    put(rig.disk, 'twice', Buffer.concat([whole, whole]), 0o744)
    put(rig.disk, 'nobody', encodeMail({ from: '', recipients: [] }, MAIL.message).slice(), 0o744)
    const count = rig.disk.list('/queue/drop').length
    open(rig).start()
    await rig.clock.advance(60_000)
    expect(rig.disk.list('/queue/drop')).toEqual([])
    expect(rig.disk.list('/queue/corrupt')).toHaveLength(count)
    expect(rig.transport.carried).toEqual([])
  })
})
