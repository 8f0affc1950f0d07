/**
 * A full disk took a part of a line; the next one was appended to it, and both were lost in one that is none.
 */
import { expect, test } from 'bun:test'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { openFileUpstream } from '../../src/relay/delivery/upstream-file.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

test('a line that was cut short ends before the next begins', async () => {
  const disk = new SimDisk()
  const clock = new SimClock()
  disk.makeDir('/d')
  disk.capacityBytes = 10
  const events = { onOpen() {}, onDrain() {}, onData() {}, onClose() {} }
  const open = async () => {
    const upstream = openFileUpstream({ disk, clock }, '/d/lines', events)
    await clock.advance(1)
    return upstream
  }
  const batch = toUtf8('a.b 1 1\nc.d 2 2\n')
  expect((await open()).write(batch)).toBe(0)
  disk.capacityBytes = Infinity
  expect((await open()).write(batch)).toBe(batch.length)
  expect(Buffer.from(disk.readFile('/d/lines')).toString()).toBe('a.b 1 1\nc.\na.b 1 1\nc.d 2 2\n')
})
