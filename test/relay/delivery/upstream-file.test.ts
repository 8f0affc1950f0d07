/** A cluster of type file: what counts as confirmed. */
import { expect, test } from 'bun:test'
import { realDisk } from '../../../src/lib/disk.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { openFileUpstream } from '../../../src/relay/delivery/upstream-file.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const LINE = toUtf8('a.b 1 1\n')

async function open(disk = new SimDisk(), path = '/d/lines') {
  const clock = new SimClock()
  const ends: string[] = []
  const onClose = ({ reason }: { reason: string }): void => void ends.push(reason)
  const events = { onOpen() {}, onDrain() {}, onData() {}, onClose }
  disk.makeDir('/d')
  const upstream = openFileUpstream({ disk, clock }, path, events)
  await clock.advance(1)
  return { clock, disk, upstream, ends }
}

test('lines are confirmed when they are synced, within half a second', async () => {
  const { clock, upstream, disk } = await open()
  upstream.write(LINE)
  await clock.advance(400)
  upstream.write(LINE)
  expect(upstream.unconfirmed).toBe(16)
  await clock.advance(200)
  expect(upstream.unconfirmed).toBe(0)
  upstream.write(LINE)
  disk.powerCut()
  expect(disk.readFile('/d/lines').length).toBe(16)
})

test('a sync that fails confirms nothing, and ends the connection', async () => {
  const { clock, upstream, disk, ends } = await open()
  upstream.write(LINE)
  disk.failSyncs(1)
  await clock.advance(600)
  expect([upstream.unconfirmed, ends.length, upstream.write(LINE)]).toEqual([8, 1, 0])
})

test('what cannot be synced is confirmed at once', async () => {
  const clock = new SimClock()
  const events = { onOpen() {}, onDrain() {}, onData() {}, onClose() {} }
  const upstream = openFileUpstream({ disk: realDisk, clock }, '/dev/null', events)
  await clock.advance(1)
  upstream.write(LINE)
  await clock.advance(600)
  while (upstream.unconfirmed > 0) await Bun.sleep(1)
  upstream.write(LINE)
  expect(upstream.unconfirmed).toBe(0)
  upstream.end()
})
