/** One destination over connections that the test makes and breaks, in time that the test turns. */
import { describe, expect, test } from 'bun:test'
import { appendAck, appendHello } from '../../../src/ipc/points-format.ts'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { latin1 } from '../../../src/metric/number.ts'
import { viewOf } from '../../../src/relay/delivery/copy-bytes.ts'
import { Destination } from '../../../src/relay/delivery/destination.ts'
import type { Dialect } from '../../../src/relay/delivery/destination-options.ts'
import { SenderId } from '../../../src/relay/delivery/sender-id.ts'
import { Spool } from '../../../src/relay/delivery/spool.ts'
import type { UpstreamEvents } from '../../../src/relay/delivery/upstream.ts'
import { ResendWindow } from '../../../src/relay/delivery/resend-window.ts'
import { WallTimes } from '../../../src/relay/wall-times.ts'
import { SimClock } from '../../sim/clock.ts'
import { SimDisk } from '../../sim/disk.ts'

const DIR = '/spool/d'

/** A connection as the far end sees it. */
interface Far {
  readonly events: UpstreamEvents
  text: string
  /** It was told that there is no more. */
  finished: boolean
  /** As a carbon does then. */
  endsToo: boolean
  ended: boolean
  /** Bytes that are still taken; the rest is refused until `onDrain`. */
  room: number
  /** Of those that were taken, by its kernel. */
  unconfirmed: number
}

function setUp(
  options: {
    dialect?: Dialect
    disk?: SimDisk
    addresses?: () => string[]
    replayRate?: number
  } = {},
) {
  const clock = new SimClock()
  const disk = options.disk ?? new SimDisk()
  disk.nowMs = () => clock.nowMs()
  const connections: Far[] = []
  let up = true
  const counter = () => ({ value: 0 })
  const counters = {
    sent: counter(),
    spooled: counter(),
    dropped: counter(),
    unparsable: counter(),
    reconnects: counter(),
  }
  const spool = new Spool({
    dir: DIR,
    disk,
    clock,
    log: silentLog,
    limits: () => ({ bytesMax: 1e9, ageMsMax: 1e9 }),
    dropped: counters.dropped,
    damaged: counter(),
  })
  spool.open()
  const { addresses } = options
  const destination = new Destination({
    label: 'd',
    dialect: options.dialect ?? 'line',
    connect(events) {
      const far: Far = {
        events,
        text: '',
        finished: false,
        endsToo: true,
        ended: false,
        room: Infinity,
        unconfirmed: 0,
      }
      connections.push(far)
      clock.after(1, () =>
        up ? events.onOpen() : events.onClose({ reason: 'refused', orderly: false }),
      )
      return {
        remoteAddress: '10.0.0.1',
        get unconfirmed() {
          return far.unconfirmed
        },
        write(bytes) {
          const taken = far.ended ? 0 : Math.min(bytes.length, far.room)
          far.text += latin1(bytes, 0, taken)
          far.room -= taken
          return taken
        },
        finish() {
          far.finished = true
          const end = { reason: 'closed by the peer', orderly: true }
          clock.after(1, () => {
            if (far.endsToo) events.onClose(end)
          })
        },
        end: () => void (far.ended = true),
      }
    },
    clock,
    log: silentLog,
    senderId: new SenderId(disk, clock, DIR),
    spool,
    maySpool: () => true,
    wallTimes: new WallTimes(clock),
    counters,
    prefix: undefined,
    lookUp: addresses && (() => Promise.resolve({ addresses: addresses(), freshMs: 30_000 })),
    resends: true,
    compress: false,
    settings: () => ({
      resendWindowBytes: 1_000,
      token: undefined,
      maxFutureSeconds: 3_600,
      replayRate: options.replayRate ?? 0,
    }),
    onHealth() {},
    onProgress() {},
  })
  const line = (text: string): void => {
    const bytes = viewOf(Buffer.from(`${text}\n`))
    destination.gatherer.extendRun(bytes, 0, bytes.byteLength)
    destination.gatherer.endRun(bytes)
  }
  return {
    clock,
    disk,
    counters,
    connections,
    destination,
    line,
    setUp: (value: boolean) => (up = value),
    last: () => connections.at(-1)!,
  }
}

describe('Destination', () => {
  test('writes lines within 10 ms', async () => {
    const { clock, line, last } = setUp()
    await clock.advance(5)
    line('a 1 1')
    line('b 2 2')
    expect(last().text).toBe('')
    await clock.advance(11)
    expect(last().text).toBe('a 1 1\nb 2 2\n')
  })

  test('what the peer does not take within 150 ms is on disk, and follows in order', async () => {
    const { clock, line, last, counters, destination } = setUp()
    await clock.advance(5)
    last().room = 3
    line('a 1 1')
    await clock.advance(300)
    line('b 2 2')
    await clock.advance(300)
    expect(counters.spooled.value).toBe(2)
    expect(destination.heldWritten).toBeGreaterThanOrEqual(destination.position)
    last().room = Infinity
    last().events.onDrain()
    await clock.advance(200)
    expect(last().text).toBe('a 1 1\nb 2 2\n')
    expect(destination.queued).toBe(0)
    expect(destination.spoolBytes).toBe(0)
  })

  test('writes the window again after a reset, not after an end in order', async () => {
    const { clock, line, last, connections } = setUp()
    await clock.advance(5)
    line('a 1 1')
    await clock.advance(20)
    last().events.onClose({ reason: 'reset', orderly: false })
    await clock.advance(500)
    expect(connections.length).toBe(2)
    expect(last().text).toBe('a 1 1\n')
    await clock.advance(5_000)
    last().events.onClose({ reason: 'closed', orderly: true })
    await clock.advance(500)
    line('b 2 2')
    await clock.advance(20)
    expect(last().text).toBe('b 2 2\n')
  })

  test('tries again, more and more slowly, and counts as failed meanwhile', async () => {
    const { clock, connections, destination, setUp: set } = setUp()
    set(false)
    await clock.advance(60_000)
    expect(connections.length).toBeGreaterThan(10)
    expect(connections.length).toBeLessThan(40)
    expect(destination.failures).toBeGreaterThan(6)
    set(true)
    await clock.advance(7_000)
    expect([destination.failures, destination.connected]).toEqual([0, true])
  })

  test('auto: lines after a second of silence, asked again after an hour', async () => {
    const { clock, connections, destination } = setUp({ dialect: 'auto' })
    await clock.advance(10)
    expect(connections[0]!.text).toMatch(/^emon\/1-1,sender=[0-9a-f]{16}\n$/)
    const { gatherer } = destination
    gatherer.appendPoint(gatherer.defineName(Buffer.from('a.b')), 1_700_000_000, 1.5)
    await clock.advance(1_200)
    expect(destination.takesPoints).toBe(false)
    expect(connections[1]!.text).toBe('a.b 1.5 1700000000\n')
    await clock.advance(3_600_100)
    expect(connections[2]!.text).toStartWith('emon/1-1,sender=')
  })

  describe('when the name leads elsewhere', () => {
    async function moved() {
      let addresses = ['10.0.0.1', '10.0.0.2']
      const one = setUp({ addresses: () => addresses })
      await one.clock.advance(100_000)
      addresses = []
      await one.clock.advance(31_000)
      expect(one.connections.length).toBe(1)
      one.last().room = 3
      one.line('a 1 1')
      await one.clock.advance(300)
      addresses = ['10.0.0.2']
      one.last().endsToo = false
      await one.clock.advance(19_200)
      return one
    }

    test('what was begun is finished, and read by the old peer before the new one gets the rest', async () => {
      const { clock, connections, line, last } = await moved()
      const old = last()
      line('b 2 2')
      await clock.advance(100)
      expect(old.finished).toBe(false)
      old.room = Infinity
      old.events.onDrain()
      expect([old.text, old.finished]).toEqual(['a 1 1\n', true])
      expect(connections.length).toBe(1)
      old.events.onClose({ reason: 'closed by the peer', orderly: true })
      await clock.advance(200)
      expect(connections.length).toBe(2)
      expect(last().text).toBe('b 2 2\n')
    })

    test('a peer that does not end is left after 5 s, and what it may not have read comes again', async () => {
      const { clock, connections, last } = await moved()
      last().room = Infinity
      last().events.onDrain()
      await clock.advance(6_000)
      expect(connections.length).toBe(2)
      expect(connections[0]!.ended).toBe(true)
      expect(last().text).toBe('a 1 1\n')
    })
  })

  test('a replay that waits for its allowance takes nothing from the next connection', async () => {
    let addresses = ['10.0.0.1']
    const bed = setUp({ addresses: () => addresses, replayRate: 4 })
    bed.setUp(false)
    for (let i = 0; i < 400; i++) {
      bed.line(`a.b${i} 1 1`)
      await bed.clock.advance(200)
    }
    bed.setUp(true)
    addresses = ['10.0.0.2']
    await bed.clock.advance(35_000)
    expect(bed.connections.filter(({ ended }) => ended).length).toBe(1)
    expect(bed.destination.queued).toBeGreaterThan(100)
    addresses = ['10.0.0.1']
    await bed.clock.advance(120_000)
    const got = bed.connections.map(({ text }) => text).join('')
    for (let i = 0; i < 400; i++) expect(got).toContain(`a.b${i} 1 1\n`)
  })

  test('what a peer had written and not synced goes to disk when it is gone', async () => {
    const { clock, destination, disk, last, setUp: set } = setUp({ dialect: 'emon' })
    await clock.advance(10)
    const out = new ByteWriter(64)
    appendHello(out, { version: 1, nonce: new Uint8Array(16), written: 0, synced: 0 })
    last().events.onData(out.copy())
    const { gatherer } = destination
    gatherer.appendPoint(gatherer.defineName(Buffer.from('a.b')), 1_700_000_000, 1.5)
    await clock.advance(60)
    out.reset()
    appendAck(out, { written: destination.position, synced: 0 })
    last().events.onData(out.copy())
    expect(destination.heldWritten).toBe(destination.position)
    await clock.advance(1_000)
    expect(destination.spoolBytes).toBe(0)
    set(false)
    last().events.onClose({ reason: 'reset', orderly: false })
    expect(destination.heldWritten).toBeLessThan(destination.position)
    await clock.advance(20)
    expect(destination.heldWritten).toBe(destination.position)
    expect(disk.list(DIR).filter((name) => name.endsWith('.spool')).length).toBe(1)
  })

  test('a peer that has spoken frames is not taken for a plain carbon when it is silent once', async () => {
    const { clock, connections, destination, last } = setUp({ dialect: 'auto' })
    await clock.advance(10)
    const out = new ByteWriter(64)
    appendHello(out, { version: 1, nonce: new Uint8Array(16), written: 0, synced: 0 })
    last().events.onData(out.copy())
    last().events.onClose({ reason: 'killed', orderly: false })
    await clock.advance(3_000)
    expect(connections.length).toBeGreaterThan(2)
    expect(destination.takesPoints).toBe(true)
    await clock.advance(120_000)
    expect(destination.takesPoints).toBe(false)
  })

  test('what is held says nothing of what an earlier process left', async () => {
    const first = setUp()
    first.setUp(false)
    await first.clock.advance(5)
    first.line('a 1 1')
    await first.destination.close(0)
    const second = setUp({ disk: first.disk })
    second.setUp(false)
    await second.clock.advance(5)
    const { destination } = second
    expect(destination.queued).toBe(1)
    expect(destination.heldSynced).toBeGreaterThanOrEqual(destination.position)
  })

  describe('what the kernel has taken and the peer has not confirmed', () => {
    test('is written, and synced when it is confirmed', async () => {
      const { clock, line, last, destination } = setUp()
      await clock.advance(5)
      last().unconfirmed = 6
      line('a 1 1')
      await clock.advance(50)
      const { position } = destination
      expect(destination.heldWritten).toBeGreaterThanOrEqual(position)
      expect(destination.heldSynced).toBeLessThan(position)
      last().unconfirmed = 0
      await clock.advance(50)
      expect(destination.heldSynced).toBeGreaterThanOrEqual(position)
      expect(destination.spoolBytes).toBe(0)
    })

    test('goes to disk after a second, and is synced there', async () => {
      const { clock, line, last, destination } = setUp()
      await clock.advance(5)
      line('a 1 1')
      await clock.advance(50)
      last().unconfirmed = 6
      line('b 2 2')
      await clock.advance(900)
      expect(destination.spoolBytes).toBe(0)
      await clock.advance(2_200)
      expect(destination.heldSynced).toBeGreaterThanOrEqual(destination.position)
      expect(destination.spoolBytes).toBeGreaterThan(0)
      last().unconfirmed = 0
      await clock.advance(50)
      expect(destination.spoolBytes).toBe(0)
      expect(last().text).toBe('a 1 1\nb 2 2\n')
    })

    test('comes again on the next connection, however small the window is', async () => {
      const { clock, line, last, connections } = setUp()
      await clock.advance(5)
      last().unconfirmed = 6_000
      let sent = ''
      for (let i = 0; i < 400; i++) {
        const text = `a.b.c.d.e.f ${i} 1`
        line(text)
        sent += `${text}\n`
        await clock.advance(20)
      }
      last().events.onClose({ reason: 'reset', orderly: false })
      await clock.advance(2_000)
      expect(connections.length).toBe(2)
      expect(sent).toEndWith(last().text)
      expect(last().text.length).toBeGreaterThanOrEqual(6_000)
    })
  })

  describe('close()', () => {
    test('puts on disk what a peer may not have read, in front of all the rest', async () => {
      const first = setUp()
      await first.clock.advance(5)
      first.line('a 1 1')
      await first.clock.advance(50)
      first.line('b 2 2')
      await first.clock.advance(50)
      first.last().room = 0
      first.line('c 3 3')
      const closed = first.destination.close(500)
      await first.clock.advance(600)
      await closed
      const second = setUp({ disk: first.disk })
      expect(second.destination.queued).toBe(3)
      await second.clock.advance(200)
      expect(second.last().text).toBe('a 1 1\nb 2 2\nc 3 3\n')
    })

    test('does so when nothing else is left too, unless the peer ends in order', async () => {
      for (const endsToo of [false, true]) {
        const first = setUp()
        await first.clock.advance(5)
        first.line('a 1 1')
        await first.clock.advance(50)
        first.last().endsToo = endsToo
        const closed = first.destination.close(5_000)
        await first.clock.advance(2_000)
        await closed
        expect(first.last().finished).toBe(true)
        const second = setUp({ disk: first.disk })
        await second.clock.advance(200)
        expect(second.last().text).toBe(endsToo ? '' : 'a 1 1\n')
      }
    })

    test('what lies in the spool anyway is not put there twice', async () => {
      const first = setUp()
      first.setUp(false)
      await first.clock.advance(5)
      for (let i = 0; i < 3; i++) {
        first.line(`a ${i} 1`)
        await first.clock.advance(200)
      }
      first.setUp(true)
      await first.clock.advance(100)
      while (first.connections.length === 0 || first.last().text === '')
        await first.clock.advance(50)
      await first.destination.close(0)
      const second = setUp({ disk: first.disk })
      await second.clock.advance(200)
      expect(second.last().text).toBe('a 0 1\na 1 1\na 2 1\n')
    })
  })

  describe('what a peer may not have read is on disk soon after it has gone', () => {
    async function gone() {
      const one = setUp()
      await one.clock.advance(5)
      one.line('a 1 1')
      await one.clock.advance(50)
      one.setUp(false)
      one.last().events.onClose({ reason: 'reset', orderly: false })
      one.line('b 2 2')
      await one.clock.advance(100)
      expect(one.destination.spoolBytes).toBe(0)
      await one.clock.advance(200)
      return one
    }

    test('and opens the next connection', async () => {
      const { clock, destination, last, setUp: set } = await gone()
      set(true)
      await clock.advance(2_000)
      expect(last().text).toBe('a 1 1\nb 2 2\n')
      expect(destination.queued).toBe(0)
    })

    test('of the next process too, when this one is killed', async () => {
      const { clock, last } = setUp({ disk: (await gone()).disk })
      await clock.advance(200)
      expect(last().text).toBe('a 1 1\nb 2 2\n')
    })
  })

  test('close() leaves on disk what was not sent, for the next process', async () => {
    const first = setUp()
    first.setUp(false)
    await first.clock.advance(5)
    first.line('a 1 1')
    await first.destination.close(0)
    const second = setUp({ disk: first.disk })
    await second.clock.advance(200)
    expect(second.last().text).toBe('a 1 1\n')
  })
})

describe('ResendWindow', () => {
  test('keeps the last bytes, small writes gathered', () => {
    const window = new ResendWindow(() => 100_000)
    for (let i = 0; i < 10_000; i++) {
      window.push({ sequence: i, count: 1, bytes: Buffer.from(`line ${i}\n`) })
    }
    const contents = window.contents()
    const text = Buffer.concat(contents.map(({ bytes }) => bytes)).toString()
    expect(text).toEndWith('line 9998\nline 9999\n')
    expect(window.bytes).toBeLessThanOrEqual(100_000)
    expect(text.length).toBe(window.bytes)
    expect(contents.length).toBeLessThan(5)
    expect(contents.at(-1)!.sequence).toBe(9_999)
    for (const { firstSequence, sequence, count } of contents) {
      expect(sequence - firstSequence + 1).toBe(count)
    }
  })
})
