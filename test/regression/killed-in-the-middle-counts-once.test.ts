/**
 * A relay that was killed sent what the one before it sent again under sequences of its own, and an aggregation behind it
 * counted it twice. Its frames say where their points come from: they count once, also when the aggregating relay is
 * killed in between.
 */
import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import type { SourceSpan } from '../../src/ipc/sources-format.ts'
import { type RelayProcess, startRelay, temporaryDir, until } from '../relay/peers.ts'
import { PointsClient, type TestPoint } from '../store/edge-clients.ts'

setDefaultTimeout(30_000)

const CONF = `
aggregate ^n\\..*$ every 10 seconds expire after 600 seconds compute sum write to sum stop;
match * send to blackhole;
`
const FIRST = '00000000000000aa'
const MIDDLE = '00000000000000bb'
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function from(sequence: number, start: number, count: number): SourceSpan {
  return { source: FIRST, sequence, start, count, isLast: true }
}

test('what the first relay sends again is counted once', async () => {
  const dir = temporaryDir()
  cleanups.push(() => dir.remove())
  const now = Math.floor(Date.now() / 1000)
  const points = (count: number): TestPoint[] =>
    Array.from({ length: count }, (_, i) => [`n.${i}`, now, 1])
  const start = async (): Promise<{ relay: RelayProcess; middle: PointsClient }> => {
    const relay = await startRelay(dir.path, { conf: CONF, args: ['-s'] })
    cleanups.push(() => relay.signal('SIGKILL'))
    const middle = new PointsClient(MIDDLE)
    await middle.connect(`${dir.path}/run/relay.sock`)
    return { relay, middle }
  }
  const counts = async (relay: RelayProcess): Promise<(number | undefined)[]> => {
    const metrics = await relay.metrics()
    return [metrics.get('aggregators_metricsReceived'), metrics.get('metricsRepeated')]
  }
  const written = (middle: PointsClient, sequence: number): Promise<void> =>
    until(`${sequence} is written`, () => middle.acks.at(-1)?.written === sequence)

  const { relay, middle } = await start()
  middle.send(1, points(2), [from(5, 0, 2)])
  await written(middle, 1)
  // The middle one was killed, and goes on at its ceiling.
  middle.send(65_537, points(4), [from(5, 0, 2), from(6, 2, 1)])
  await written(middle, 65_537)
  expect(await counts(relay)).toEqual([4, 2])

  relay.signal('SIGKILL')
  await relay.exited
  const again = await start()
  again.middle.send(65_537, points(4), [from(5, 0, 2), from(6, 2, 1)])
  again.middle.send(131_073, points(4), [from(5, 0, 2), from(6, 2, 1), from(7, 3, 1)])
  await written(again.middle, 131_073)
  expect(await counts(again.relay)).toEqual([1, 3])
})

test('what went to another member of a cluster before it was killed is taken', async () => {
  const dir = temporaryDir()
  cleanups.push(() => dir.remove())
  const now = Math.floor(Date.now() / 1000)
  const relay = await startRelay(dir.path, { conf: CONF, args: ['-s'] })
  cleanups.push(() => relay.signal('SIGKILL'))
  const middle = new PointsClient(MIDDLE)
  await middle.connect(`${dir.path}/run/relay.sock`)
  middle.send(1, [['n.late', now, 1]], [from(6, 0, 1)])
  const both: TestPoint[] = [
    ['n.early', now, 1],
    ['n.late', now, 1],
  ]
  middle.send(65_537, both, [from(5, 0, 1), from(6, 1, 1)])
  await until('all is written', () => middle.acks.at(-1)?.written === 65_537)
  const metrics = await relay.metrics()
  expect([metrics.get('aggregators_metricsReceived'), metrics.get('metricsRepeated')]).toEqual([
    2, 1,
  ])
})
