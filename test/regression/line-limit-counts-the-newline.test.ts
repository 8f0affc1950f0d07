/**
 * `-M` limits a line with its newline, `-m` a name without its tags, as carbon-c-relay has them: lines of exactly `-M`
 * bytes before their newline were let through.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { CarbonRelay, missing } from '../relay/carbon-c-relay.ts'
import { staged } from '../relay/fault-scene.ts'
import { LineClient, startRelay, until } from '../relay/peers.ts'

setDefaultTimeout(30_000)

const ARGS = ['-M', '60', '-m', '20']
const LAST = 'last 1 1'
const LINES = [
  ...[58, 59, 60, 61].map((bytes) => `w 1 ${'2'.repeat(bytes - 4)}`),
  ...[19, 20, 21].map((bytes) => `${'n'.repeat(bytes)};tag=value 1 2`),
  LAST,
]
const TAKEN = LINES.filter((_, i) => ![2, 3, 6].includes(i))

test('here', () =>
  staged(async (scene) => {
    const dir = scene.dir()
    const out = `${dir}/out`
    const conf = `cluster out file "${out}"; match * send to out;`
    const relay = await startRelay(dir, { conf, args: ARGS })
    scene.defer(() => relay.signal('SIGKILL'))
    const client = await LineClient.connect({ port: relay.port })
    await client.send(`${LINES.join('\n')}\n`)
    const text = (): string => (existsSync(out) ? readFileSync(out, 'latin1') : '')
    await until('all of it', () => text().includes(LAST))
    expect(text().trimEnd().split('\n')).toEqual(TAKEN)
  }))

test.skipIf(missing)('in carbon-c-relay', async () => {
  const conf = (_: number, dir: string): string =>
    `cluster out file ${dir}/out; match * send to out; statistics submit every 3600 seconds;`
  const relay = await CarbonRelay.start(conf, ARGS)
  try {
    await relay.send(`${LINES.join('\n')}\n`)
    await until('all of it', () => relay.output().includes(LAST))
    expect(relay.output().trimEnd().split('\n')).toEqual(TAKEN)
  } finally {
    await relay.stop()
  }
})
