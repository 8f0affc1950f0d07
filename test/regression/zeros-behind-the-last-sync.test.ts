/**
 * A power cut can leave zeros where a file's unsynced end was. They read as a batch with the sequence 0, and the
 * spool removed the segment with everything that had been synced before them.
 */
import { expect, test } from 'bun:test'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Spool } from '../../src/relay/delivery/spool.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

test('what was synced before the zeros is delivered', async () => {
  for (let zeros = 0; zeros < 200; zeros++) {
    const disk = new SimDisk()
    const open = (): Spool => {
      const spool = new Spool({
        dir: '/spool/one',
        disk,
        clock: new SimClock(),
        log: silentLog,
        limits: () => ({ bytesMax: 1e9, ageMsMax: 1e13 }),
        dropped: { value: 0 },
        damaged: { value: 0 },
      })
      spool.open()
      return spool
    }
    const batch = { count: 1, names: undefined, nameCount: 0, bornMs: 0 }
    const spool = open()
    for (const sequence of [1, 2, 3]) {
      spool.append({ ...batch, sequence, bytes: toUtf8(`a.b ${sequence} 1\n`) })
    }
    await spool.sync()
    spool.append({ ...batch, sequence: 4, bytes: new Uint8Array(200).fill(0x61) })
    disk.powerCut({ tornBytes: zeros, zeroed: true })
    const after = open()
    expect([after.read(0), after.read(1), after.read(2)].map((one) => one?.sequence)).toEqual([
      1, 2, 3,
    ])
    expect(after.read(3)).toBeUndefined()
    expect(after.lastSequence).toBe(3)
  }
})
