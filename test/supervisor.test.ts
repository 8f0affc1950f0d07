import { describe, expect, test } from 'bun:test'
import { silentLog } from '../src/lib/log.ts'
import { type Child, Supervisor } from '../src/supervisor.ts'
import { SimClock } from './sim/clock.ts'

/** A program that ends when it is told to. */
class FakeChild implements Child {
  readonly pid = 1
  readonly signals: string[] = []
  private readonly end = Promise.withResolvers<number>()
  readonly exited = this.end.promise
  private readonly ignores: readonly string[]

  constructor(ignores: readonly string[] = []) {
    this.ignores = ignores
  }

  kill(signal: NodeJS.Signals): void {
    this.signals.push(signal)
    if (!this.ignores.includes(signal)) this.exit(signal === 'SIGKILL' ? 137 : 0)
  }

  exit(code: number): void {
    this.end.resolve(code)
  }
}

function supervise(options: { names: string[]; ignores?: string[] }) {
  const clock = new SimClock()
  const started: { name: string; child: FakeChild }[] = []
  let refusals = 0
  const supervisor = new Supervisor({
    names: options.names,
    stopFirst: ['relay'],
    clock,
    log: silentLog,
    spawn(name) {
      const child = new FakeChild(options.ignores ?? [])
      started.push({ name, child })
      return child
    },
    onRefusal: () => refusals++,
  })
  supervisor.start()
  return { clock, started, supervisor, refusals: () => refusals }
}

describe('Supervisor', () => {
  test('starts all, in order', () => {
    const { started } = supervise({ names: ['store', 'relay'] })
    expect(started.map(({ name }) => name)).toEqual(['store', 'relay'])
  })

  test('starts again what ends, soon at first and at most every 10 s', async () => {
    const { clock, started } = supervise({ names: ['store'] })
    started[0]!.child.exit(1)
    await clock.advance(150)
    expect(started).toHaveLength(2)
    const waitsMs: number[] = []
    for (let i = 1; i < 12; i++) {
      started[i]!.child.exit(1)
      let waitedMs = 0
      for (; started.length < i + 2; waitedMs += 100) await clock.advance(100)
      waitsMs.push(waitedMs)
    }
    expect(waitsMs[0]!).toBeLessThan(400)
    expect(waitsMs.at(-1)!).toBeGreaterThan(7_900)
    expect(Math.max(...waitsMs)).toBeLessThanOrEqual(12_000)
  })

  test('starts at once what had run steadily', async () => {
    const { clock, started } = supervise({ names: ['store'] })
    for (let i = 0; i < 5; i++) {
      await clock.advance(10_000)
      started[i]!.child.exit(137)
      await clock.advance(150)
      expect(started).toHaveLength(i + 2)
    }
  })

  test('gives up when one refuses its configuration at its first start, and only then', async () => {
    const first = supervise({ names: ['store', 'relay'] })
    first.started[1]!.child.exit(78)
    await first.clock.advance(60_000)
    expect(first.refusals()).toBe(1)
    expect(first.started).toHaveLength(2)

    const later = supervise({ names: ['store'] })
    later.started[0]!.child.exit(137)
    await later.clock.advance(1_000)
    later.started[1]!.child.exit(78)
    await later.clock.advance(1_000)
    expect(later.refusals()).toBe(0)
    expect(later.started).toHaveLength(3)
  })

  test('stop() ends those that come first before the rest', async () => {
    const { started, supervisor } = supervise({ names: ['store', 'relay'], ignores: ['SIGTERM'] })
    const stopped = supervisor.stop()
    await Promise.resolve()
    expect(started.map(({ child }) => child.signals)).toEqual([[], ['SIGTERM']])
    started[1]!.child.exit(0)
    await new Promise((resolve) => setTimeout(resolve, 0))
    expect(started[0]!.child.signals).toEqual(['SIGTERM'])
    started[0]!.child.exit(0)
    await stopped
    expect(started).toHaveLength(2)
  })

  test('stop() kills what does not end', async () => {
    const { clock, started, supervisor } = supervise({ names: ['store'], ignores: ['SIGTERM'] })
    const stopped = supervisor.stop()
    await clock.advance(9_000)
    await stopped
    expect(started[0]!.child.signals).toEqual(['SIGTERM', 'SIGKILL'])
  })

  test('signal() reaches all', () => {
    const { started, supervisor } = supervise({ names: ['store', 'relay'], ignores: ['SIGHUP'] })
    supervisor.signal('SIGHUP')
    expect(started.map(({ child }) => child.signals)).toEqual([['SIGHUP'], ['SIGHUP']])
  })
})
