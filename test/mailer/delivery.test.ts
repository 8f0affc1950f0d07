/** When messages are tried, what becomes of each answer, and what a crash may repeat. */
import { describe, expect, test } from 'bun:test'
import { SimClock } from '../sim/clock.ts'
import { LATER, makeRig, NEVER, SENT } from './rig.ts'

const SECOND = 1_000
const DAY = 86_400_000

describe('Delivery', () => {
  test('sends at once and forgets', async () => {
    const rig = await makeRig()
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test', 'c@z.test'])
    await rig.clock.advance(0)
    expect(rig.transport.carried.map(({ recipients }) => recipients)).toEqual([
      ['b@y.test', 'c@z.test'],
    ])
    expect(rig.queue.entries.size).toBe(0)
    expect(rig.disk.list('/queue/active')).toEqual([])
  })

  test('tries again after 5, 15, 60 and 300 s, then by age between 300 and 4,000 s', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(DAY)
    const gaps = rig.transport.carried.map(({ atMs }, i, all) => atMs - (all[i - 1]?.atMs ?? 0))
    const expected = [0, 5, 15, 60, 300, 380, 760, 1520, 3040, 4000, 4000]
    for (const [i, seconds] of expected.entries()) {
      // ±10 % of jitter each time, which adds up in the age, and a second for the look
      expect(gaps[i]!).toBeGreaterThanOrEqual(seconds * SECOND * 0.8 - SECOND)
      expect(gaps[i]!).toBeLessThanOrEqual(seconds * SECOND * 1.3 + 2 * SECOND)
    }
    expect(rig.disk.list('/queue/deferred')).toHaveLength(1)
  })

  test('each recipient has its own answer; one report tells the sender of those that failed', async () => {
    const rig = await makeRig()
    rig.transport.answer = (to) =>
      to === 'no@y.test' ? NEVER : to === 'slow@y.test' ? LATER : SENT
    rig.delivery.start()
    await rig.put('a@x.test', ['yes@y.test', 'no@y.test', 'slow@y.test'])
    await rig.clock.advance(20 * SECOND)
    const [first, report, second] = rig.transport.carried
    expect(first?.recipients).toEqual(['yes@y.test', 'no@y.test', 'slow@y.test'])
    expect(report).toMatchObject({ from: '', recipients: ['a@x.test'] })
    expect(report?.text).toContain('Final-Recipient: rfc822; no@y.test')
    expect(report?.text).toContain('Status: 5.1.1')
    expect(report?.text).toContain('Diagnostic-Code: smtp; 550 nobody')
    expect(second?.recipients).toEqual(['slow@y.test'])
  })

  test('what cannot be delivered in its lifetime goes back', async () => {
    const rig = await makeRig({ mailer: { lifetime: 3600 } })
    rig.transport.answer = (to) => (to === 'a@x.test' ? SENT : LATER)
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(3 * 3600 * SECOND)
    expect(rig.transport.carried.at(-1)).toMatchObject({ from: '', recipients: ['a@x.test'] })
    expect(rig.transport.carried.at(-1)?.text).toContain('Status: 4.4.7')
    expect(rig.queue.entries.size).toBe(0)
  })

  test('a message can ask for a shorter life, not for a longer one', async () => {
    const rig = await makeRig({ mailer: { lifetime: 7200 } })
    rig.transport.answer = () => LATER
    const put = (life: string): Promise<string> =>
      rig.put('a@x.test', ['b@y.test'], `X-Emon-Lifetime: ${life}\r\nSubject: alert\r\n\r\n`)
    const expires = (id: string): number => {
      const { envelope } = rig.queue.load(rig.queue.entries.get(id)!)!
      return envelope.expiresMs - envelope.arrivalMs
    }
    expect(expires(await put('1m'))).toBe(60 * SECOND)
    expect(expires(await put('1y'))).toBe(7200 * SECOND)
    expect(expires(await put('soon'))).toBe(7200 * SECOND)
  })

  test('a bounce that bounces goes to the postmaster, and ends there', async () => {
    const rig = await makeRig({ mailer: { aliases: 'postmaster=pm@x.test' } })
    rig.transport.answer = () => NEVER
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(60 * SECOND)
    expect(rig.transport.carried.map(({ recipients }) => recipients[0])).toEqual([
      'b@y.test',
      'a@x.test',
      'pm@x.test',
    ])
    expect(rig.queue.entries.size).toBe(0)
    expect(rig.stats.counter('bounces.dropped').value).toBe(1)
  })

  test('a server that is down is tried with one message, and all come when it is back', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.transport.server = 'failed'
    rig.delivery.start()
    for (let i = 0; i < 50; i++) await rig.put('a@x.test', [`b${i}@y.test`])
    await rig.clock.advance(100 * SECOND)
    // 5 at once at first, then one at 5, 20 and 80 s.
    expect(rig.transport.carried.length).toBeLessThanOrEqual(10)
    rig.transport.answer = () => SENT
    rig.transport.server = 'good'
    await rig.clock.advance(400 * SECOND)
    expect(rig.queue.entries.size).toBe(0)
  })

  test('454 slows down and is tried again', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => ({
      status: 'deferred',
      code: '4.0.0',
      reply: '454 Throttling failure',
    })
    rig.transport.server = 'throttled'
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(2 * SECOND)
    rig.transport.answer = () => SENT
    rig.transport.server = 'good'
    await rig.clock.advance(10 * SECOND)
    expect(rig.queue.entries.size).toBe(0)
  })

  test('keeps to the rate', async () => {
    const rig = await makeRig({ mailer: { rate: 10 } })
    rig.delivery.start()
    for (let i = 0; i < 100; i++) await rig.put('a@x.test', [`b${i}@y.test`])
    await rig.clock.advance(5 * SECOND)
    expect(rig.transport.carried.length).toBeGreaterThanOrEqual(49)
    expect(rig.transport.carried.length).toBeLessThanOrEqual(52)
  })

  test('at most 50 recipients a transaction', async () => {
    const rig = await makeRig()
    rig.delivery.start()
    await rig.put(
      'a@x.test',
      Array.from({ length: 120 }, (_, i) => `b${i}@y.test`),
    )
    await rig.clock.advance(SECOND)
    expect(rig.transport.carried.map(({ recipients }) => recipients.length)).toEqual([50, 50, 20])
  })

  test('without a relayhost each domain is a destination', async () => {
    const rig = await makeRig({ mailer: { relayhost: undefined } })
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test', 'c@z.test', 'd@y.test'])
    await rig.clock.advance(SECOND)
    expect(rig.transport.carried.map(({ recipients }) => recipients)).toEqual([
      ['b@y.test', 'd@y.test'],
      ['c@z.test'],
    ])
  })

  test('mail for nobody on this machine waits until somebody says who it is', async () => {
    const rig = await makeRig()
    rig.delivery.start()
    const id = await rig.put('a@x.test', ['root@box.test'])
    await rig.clock.advance(10 * SECOND)
    expect(rig.transport.carried).toEqual([])
    const file = rig.queue.load(rig.queue.entries.get(id)!)
    expect(file?.state?.pending[0]?.reason).toContain('EMAIL_ALERT_ADDR')
    await rig.delivery.stop(0)
    const again = await makeRig({
      disk: rig.disk,
      clock: rig.clock,
      mailer: { alert_address: 'ops@x.test' },
    })
    again.delivery.start()
    await again.clock.advance(100 * SECOND)
    expect(again.transport.carried.map(({ recipients }) => recipients)).toEqual([['ops@x.test']])
  })

  test('stop() waits for what runs, not for what waits', async () => {
    const rig = await makeRig({ mailer: { rate: 1 } })
    rig.delivery.start()
    for (let i = 0; i < 10; i++) await rig.put('a@x.test', [`b${i}@y.test`])
    await rig.clock.advance(0)
    let stopped = false
    void rig.delivery.stop(6_000).then(() => (stopped = true))
    await rig.clock.advance(100)
    expect(stopped).toBe(true)
    expect(rig.queue.entries.size).toBe(9)
  })

  test('a destination with much mail does not hold up another', async () => {
    const rig = await makeRig({ mailer: { relayhost: undefined, rate: 10 } })
    rig.delivery.start()
    await rig.put('a@x.test', ['b@fast.test'])
    for (let i = 0; i < 1_500; i++) await rig.put('a@x.test', [`b${i}@slow.test`])
    await rig.clock.advance(5 * SECOND)
    await rig.put('a@x.test', ['c@fast.test'])
    await rig.clock.advance(SECOND)
    const got = rig.transport.carried.map(({ recipients }) => recipients[0])
    expect(got).toContain('c@fast.test')
    await rig.clock.advance(160 * SECOND)
    expect(rig.transport.carried).toHaveLength(1_502)
  })

  test('what was delivered is not repeated though the disk was too full to write it down', async () => {
    const rig = await makeRig()
    rig.transport.answer = (to) => (to === 'later@y.test' ? LATER : SENT)
    const full = rig.disk.space().freeBytes
    rig.delivery.start()
    await rig.put('a@x.test', ['now@y.test', 'later@y.test'])
    rig.disk.capacityBytes = 1
    await rig.clock.advance(3 * SECOND)
    rig.disk.capacityBytes = full
    rig.transport.answer = () => SENT
    await rig.clock.advance(100 * SECOND)
    expect(rig.transport.carried.map(({ recipients }) => recipients)).toEqual([
      ['now@y.test', 'later@y.test'],
      ['later@y.test'],
    ])
    expect(rig.queue.entries.size).toBe(0)
  })

  test('a file that somebody removed is forgotten', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.delivery.start()
    const id = await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(SECOND)
    rig.disk.remove(`/queue/deferred/${id}`)
    await rig.clock.advance(10 * SECOND)
    expect(rig.queue.entries.size).toBe(0)
  })

  test('a message that goes bad on the disk is set aside, not sent', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.delivery.start()
    const id = await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(SECOND)
    const path = `/queue/deferred/${id}`
    rig.disk.corrupt(path, Buffer.from(rig.disk.readFile(path)).indexOf('body'))
    rig.transport.answer = () => SENT
    await rig.clock.advance(60 * SECOND)
    expect(rig.transport.carried).toHaveLength(1)
    expect(rig.disk.list('/queue/corrupt')).toEqual([id])
    expect(rig.queue.entries.size).toBe(0)
  })

  test('a restart keeps the schedule', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(25 * SECOND)
    expect(rig.transport.carried).toHaveLength(3)
    await rig.delivery.stop(0)
    const again = await makeRig({ disk: rig.disk, clock: rig.clock })
    again.delivery.start()
    await again.clock.advance(40 * SECOND)
    expect(again.transport.carried).toHaveLength(0)
    await again.clock.advance(40 * SECOND)
    expect(again.transport.carried).toHaveLength(1)
  })

  test('a clock that was set back by a year does not hold mail for a year', async () => {
    const rig = await makeRig()
    rig.transport.answer = () => LATER
    rig.delivery.start()
    await rig.put('a@x.test', ['b@y.test'])
    await rig.clock.advance(SECOND)
    rig.clock.step(-365 * DAY)
    await rig.clock.advance(10 * SECOND)
    expect(rig.transport.carried.length).toBeGreaterThan(1)
  })

  test('a crash at any change loses nothing, and repeats only what was not seen to end', async () => {
    for (let changes = 0; changes < 40; changes++) {
      const clock = new SimClock()
      const rig = await makeRig({ clock })
      rig.transport.answer = (to) =>
        to === 'no@y.test' ? NEVER : to === 'slow@y.test' ? LATER : SENT
      rig.disk.crashAfter(changes)
      const accepted = await rig.put('a@x.test', ['yes@y.test', 'no@y.test', 'slow@y.test']).then(
        () => true,
        () => false,
      )
      rig.delivery.start()
      await clock.advance(3 * SECOND)
      void rig.delivery.stop(0)
      rig.disk.revive()
      const again = await makeRig({ disk: rig.disk, clock })
      again.transport.answer = () => SENT
      again.delivery.start()
      await clock.advance(200 * SECOND)
      const got = [...rig.transport.carried, ...again.transport.carried]
      const count = (to: string): number =>
        got.filter(({ recipients }) => recipients.includes(to)).length
      if (!accepted) continue
      expect(count('slow@y.test')).toBe(2)
      expect(count('yes@y.test')).toBeGreaterThanOrEqual(1)
      expect(count('yes@y.test')).toBeLessThanOrEqual(2)
      // Either a report came, only ever one, or the crash came before it and the second server took the mail.
      const reports = new Set(got.filter(({ from }) => from === '').map(({ id }) => id))
      expect(reports.size + count('no@y.test')).toBe(2)
      expect(count('a@x.test')).toBeLessThanOrEqual(2)
      expect(again.queue.entries.size).toBe(0)
    }
  })
})
