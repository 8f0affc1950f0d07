/** The queue on a simulated disk: what survives which crash. */
import { describe, expect, test } from 'bun:test'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { MailQueue } from '../../src/mailer/mail-queue.ts'
import type { Envelope } from '../../src/mailer/queue-format.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk, SimulatedCrash } from '../sim/disk.ts'

const ENVELOPE: Envelope = {
  from: 'a@x.test',
  recipients: ['b@y.test', 'c@y.test'],
  arrivalMs: 1_800_000_000_000,
  expiresMs: 1_800_432_000_000,
  origin: 'test',
}
const MESSAGE = toUtf8('Subject: hello\r\n\r\nthe whole message, nothing but the message\r\n')

async function openQueue(disk: SimDisk, stats = new Stats()): Promise<MailQueue> {
  const clock = new SimClock()
  const queue = new MailQueue({ dir: '/queue', disk, clock, log: silentLog, stats })
  await queue.open(() => {})
  return queue
}

async function put(queue: MailQueue, message = MESSAGE): Promise<string> {
  const writer = queue.create()
  writer.envelope(ENVELOPE)
  writer.write(message)
  await writer.commit()
  return queue.add(writer, ENVELOPE).id
}

function text(queue: MailQueue, id: string): string | undefined {
  const file = queue.load(queue.entries.get(id)!)
  if (!file) return undefined
  return fromUtf8(Buffer.concat([...file.chunks()]))
}

describe('MailQueue', () => {
  test('commit() makes a message that survives a power cut', async () => {
    const disk = new SimDisk()
    const id = await put(await openQueue(disk))
    disk.powerCut()
    const queue = await openQueue(disk)
    expect([...queue.entries.keys()]).toEqual([id])
    expect(text(queue, id)).toBe(fromUtf8(MESSAGE))
  })

  test('a message in many parts comes back whole', async () => {
    const disk = new SimDisk()
    const message = new Uint8Array(1_000_000).map((_, i) => 32 + (i % 90))
    const queue = await openQueue(disk)
    const id = await put(queue, message)
    expect(text(await openQueue(disk), id)).toBe(fromUtf8(message))
  })

  test('a file torn at any byte is never half a message', async () => {
    const disk = new SimDisk()
    const id = await put(await openQueue(disk))
    const whole = disk.readFile(`/queue/active/${id}`)
    for (let length = 0; length <= whole.length; length++) {
      for (const mode of [0o600, 0o700]) {
        const torn = new SimDisk()
        torn.makeDir('/queue/active')
        const file = torn.open(`/queue/active/${id}`, 'create', mode)
        file.append(whole.subarray(0, length))
        file.close()
        const queue = await openQueue(torn)
        if (length === whole.length) expect(text(queue, id)).toBe(fromUtf8(MESSAGE))
        else expect(queue.entries.size).toBe(0)
        // What claims to be complete and is not, is kept for a person to look at.
        const kept = mode === 0o700 && length < whole.length
        expect(torn.list('/queue/corrupt')).toEqual(kept ? [id] : [])
      }
    }
  })

  test('a message in many parts that is torn anywhere is not there', async () => {
    const disk = new SimDisk()
    const id = await put(await openQueue(disk), new Uint8Array(600_000).fill(65))
    const whole = disk.readFile(`/queue/active/${id}`)
    for (let length = whole.length - 1; length > 0; length -= 9_973) {
      const torn = new SimDisk()
      torn.makeDir('/queue/active')
      const file = torn.open(`/queue/active/${id}`, 'create', 0o600)
      file.append(whole.subarray(0, length))
      file.close()
      expect((await openQueue(torn)).entries.size).toBe(0)
      expect(torn.list('/queue/active')).toEqual([])
    }
  })

  test('a message that is done with stays away, though its file was still there at the kill', async () => {
    const disk = new SimDisk()
    const queue = await openQueue(disk)
    const id = await put(queue)
    disk.removeAsync = async () => {}
    queue.remove(queue.entries.get(id)!)
    expect(disk.list('/queue/active')).toEqual([id])
    expect((await openQueue(disk)).entries.size).toBe(0)
    expect(disk.list('/queue/active')).toEqual([])
  })

  test('a byte changed anywhere is found, or changes nothing that matters', async () => {
    const disk = new SimDisk()
    const id = await put(await openQueue(disk))
    const { length } = disk.readFile(`/queue/active/${id}`)
    for (let offset = 10; offset < length; offset++) {
      const damaged = new SimDisk()
      const id2 = await put(await openQueue(damaged))
      damaged.corrupt(`/queue/active/${id2}`, offset)
      const queue = await openQueue(damaged)
      const entry = queue.entries.get(id2)
      if (entry) expect(queue.load(entry)).toBeUndefined()
      expect(damaged.list('/queue/corrupt')).toEqual([id2])
    }
  })

  test('a crash at every change of an accept leaves all or nothing', async () => {
    for (let changes = 0; ; changes++) {
      const disk = new SimDisk()
      const queue = await openQueue(disk)
      disk.crashAfter(changes, 7)
      const done = await put(queue).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(SimulatedCrash)
          return false
        },
      )
      disk.powerCut({ tornBytes: changes % 5 === 0 ? 1e9 : 0 })
      const after = await openQueue(disk)
      for (const id of after.entries.keys()) expect(text(after, id)).toBe(fromUtf8(MESSAGE))
      if (done) {
        expect(after.entries.size).toBe(1)
        break
      }
    }
  })

  test('a failed sync leaves no file behind', async () => {
    const disk = new SimDisk()
    const queue = await openQueue(disk)
    disk.failSyncs(1)
    expect(put(queue)).rejects.toThrow('EIO')
    await Promise.resolve()
    expect((await openQueue(disk)).entries.size).toBe(0)
  })

  test('the last whole state counts, and a torn one is cut off', async () => {
    const disk = new SimDisk()
    const queue = await openQueue(disk)
    const id = await put(queue)
    const entry = queue.entries.get(id)!
    const path = `/queue/active/${id}`
    const state = { pending: [{ address: 'c@y.test' }], attempts: 1, nextAttemptMs: 5 }
    await queue.save(entry, state, true)
    const { length } = disk.readFile(path)
    await queue.save(entry, { ...state, attempts: 2 }, true)
    const whole = disk.readFile(path)
    for (let cut = length; cut < whole.length; cut++) {
      const torn = new SimDisk()
      torn.makeDir('/queue/active')
      const file = torn.open(path, 'create', 0o700)
      file.append(whole.subarray(0, cut))
      file.close()
      const again = await openQueue(torn)
      expect(again.entries.get(id)?.attempts).toBe(1)
      // Later states must be readable behind it.
      await again.save(again.entries.get(id)!, { ...state, attempts: 3 }, true)
      expect((await openQueue(torn)).entries.get(id)?.attempts).toBe(3)
    }
  })

  test('a move from active to deferred loses nothing at any crash', async () => {
    for (let changes = 0; changes < 6; changes++) {
      const disk = new SimDisk()
      const queue = await openQueue(disk)
      const id = await put(queue)
      disk.crashAfter(changes)
      try {
        queue.move(queue.entries.get(id)!, 'deferred')
        await queue.close()
      } catch {
        // the crash
      }
      disk.powerCut()
      expect([...(await openQueue(disk)).entries.keys()]).toEqual([id])
    }
  })

  test('refuses a file of a later version', async () => {
    const disk = new SimDisk()
    const id = await put(await openQueue(disk))
    const bytes = disk.readFile(`/queue/active/${id}`)
    bytes[8] = 2
    disk.replaceFile(`/queue/active/${id}`, bytes, 0o700)
    expect(openQueue(disk)).rejects.toThrow('version 2')
  })
})
