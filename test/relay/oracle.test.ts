/** Debian's carbon-c-relay (3.7.3) and this relay, side by side, in test mode. */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { realDisk } from '../../src/lib/disk.ts'
import { Aggregator } from '../../src/relay/aggregation/aggregator.ts'
import { Cleaner } from '../../src/relay/routing/cleaning.ts'
import type { AggregateStep } from '../../src/relay/routing/plan.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Router } from '../../src/relay/routing/router.ts'
import { both, missing, relayed } from './carbon-c-relay.ts'
import { ConfGenerator, type Random, seeded } from './conf-generator.ts'
import { complaintOf, differenceOf, mutatedConf } from './conf-mutations.ts'
import { LineClient, startRelay, stopRelay, temporaryDir, until } from './peers.ts'

const CONFIGURATIONS = 200
const NAMES = 500
const PLACEMENTS = 100_000
const MUTATIONS = 300

describe.skipIf(missing)('carbon-c-relay 3.7.3', () => {
  test(`routes ${NAMES} names like us in ${CONFIGURATIONS} generated configurations`, () => {
    for (let seed = 1; seed <= CONFIGURATIONS; seed++) {
      const generator = new ConfGenerator(seeded(seed))
      const conf = generator.conf(seed % 10 === 0 ? 70 : 1 + (seed % 15))
      const lines = Array.from({ length: NAMES }, () => generator.line()).join('\n')
      const args = [['-t'], ['-td'], ['-t', '-O', '3']][seed % 3]!
      expectSame(`seed ${seed}\n${conf}`, both(conf, args, `${lines}\n`))
    }
  }, 120_000)

  const names = placementNames()
  test.each(['carbon_ch', 'fnv1a_ch', 'jump_fnv1a_ch'])(
    `places ${PLACEMENTS} names like us on %s`,
    (type) => {
      const plain = Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 1}:${2003 + (i % 3)}`)
      const named = plain.map((host, i) =>
        i === 3 ? host : `${host}=${['a', '10', '9', 'x', '2', 'b', '1'][i]}`,
      )
      for (const hosts of [plain, named]) {
        for (const replication of ['', ' replication 3']) {
          const conf = `cluster ring ${type}${replication} ${hosts.join(' ')}; match * send to ring;`
          expectSame(conf, both(conf, ['-t'], names))
        }
      }
    },
    60_000,
  )

  test('takes and refuses the same configurations, with the same complaints', () => {
    for (let seed = 1; seed <= MUTATIONS; seed++) {
      const conf = mutatedConf(seeded(seed + 10_000))
      const [theirs, ours] = both(conf, ['-tt'], '')
      if (differenceOf({ conf, theirs, ours }) !== '') continue
      expect(`${conf}\n${complaintOf(ours)}`).toBe(`${conf}\n${complaintOf(theirs)}`)
    }
  }, 60_000)
})

describe.skipIf(missing)('carbon-c-relay 3.7.3 at work', () => {
  test('cleans lines like us', async () => {
    const random = seeded(11)
    const lines = Array.from({ length: 800 }, () => dirtyLine(random))
    const last = 'the.last.line 1 2'
    const sent = Buffer.from(`${[...lines, last].join('\n')}\n`, 'latin1')
    const got = await relayed('match * send to out;', sent, (output) => output.includes(last))
    const cleaner = new Cleaner()
    const want = [...lines, last]
      .map((line) => cleaned(cleaner, line))
      .filter((line) => line !== '')
    expect(got.split('\n').slice(0, -1)).toEqual(want)
  }, 30_000)

  test('computes aggregations of whole numbers like us', async () => {
    const functions = [
      'sum',
      'count',
      'max',
      'min',
      'average',
      'median',
      'percentile25',
      'percentile90',
      'percentile99',
      'variance',
      'stddev',
    ]
    const computations = functions.map((one) => `compute ${one} write to ${one}.\\1`).join(' ')
    const rule = `aggregate ^in\\.(.*)$ every 2 seconds expire after 4 seconds timestamp at middle of bucket ${computations}`
    const random = seeded(5)
    const now = Math.floor(Date.now() / 1000)
    const points = Array.from({ length: 300 }, (_, i) => ({
      name: `in.${['a', 'b', 'c'][i % 3]}${i % 9 === 0 ? '.x' : ''}`,
      value: Math.floor(random() * 2000) - 1000,
      time: now - (i % 2),
    }))
    const sent = points.map(({ name, value, time }) => `${name} ${value} ${time}\n`).join('')
    const rules = `${rule} send to out stop;`
    const parsed = parseRelayText(realDisk, `cluster out file /dev/null; ${rules}`, 't')
    if (!parsed.ok) throw new Error(parsed.error)
    const router = new Router(parsed.value, 1)
    const aggregator = new Aggregator()
    aggregator.configure(parsed.value.aggregations)
    for (const { name, value, time } of points) {
      aggregator.put(router.plan(Buffer.from(name)).steps[0] as AggregateStep, value, time, now)
    }
    const want: string[] = []
    aggregator.due(now + 100, (_sendTo, name, value, time) => {
      want.push(`${name} ${name.startsWith('count') ? value : value.toFixed(6)} ${time}`)
    })
    const enough = (output: string): boolean => output.split('\n').length > want.length
    const got = await relayed(rules, Buffer.from(sent), enough)
    expect(got.split('\n').slice(0, -1).sort()).toEqual(want.sort())
  }, 30_000)

  test('writes the same lines to the same files', async () => {
    const rules = (
      dir: string,
    ) => `cluster a file ${dir}/a; cluster b file ${dir}/b; cluster c file ip ${dir}/c;
      match ^sys validate ^[0-9.]+\\ [0-9]+$ else drop send to a;
      match debug$ send to blackhole;
      rewrite ^web\\.([^.]+)\\.(.*)$ into w.\\^1.\\.2;
      match cpu idle$ send to b a;
      match ^w\\. send to c stop;
      rewrite (.*) into all.\\1;
      match ^all\\.(.*)b1 validate nan else drop;
      match * send to out;
      match last send to a b c;`
    const generator = new ConfGenerator(seeded(3))
    const lines = Array.from({ length: 5000 }, () => `${generator.name()} ${generator.value()}`)
    const last = 'last.line 1 2'
    const sent = Buffer.from(`${[...lines, last].join('\n')}\n`)
    const there = temporaryDir()
    const here = temporaryDir()
    try {
      const files = ['a', 'b', 'c']
      const isDone = (dir: string, output: string): boolean =>
        [output, ...files.map((name) => textOf(`${dir}/${name}`))].every((text) =>
          text.includes(last),
        )
      const want = await relayed(rules(there.path), sent, (output) => isDone(there.path, output))
      const conf = `cluster out file ${here.path}/out; ${rules(here.path)}`
      const process = await startRelay(here.path, { conf })
      const client = await LineClient.connect({ port: process.port })
      await client.send(sent.toString('latin1'))
      await until('the last line', () => isDone(here.path, textOf(`${here.path}/out`)))
      expect(textOf(`${here.path}/out`)).toBe(want)
      for (const name of files) {
        expect(textOf(`${here.path}/${name}`)).toBe(textOf(`${there.path}/${name}`))
      }
      expect(await stopRelay(process)).toBe(0)
    } finally {
      there.remove()
      here.remove()
    }
  }, 60_000)

  function textOf(path: string): string {
    return existsSync(path) ? readFileSync(path, 'latin1') : ''
  }

  function cleaned(cleaner: Cleaner, line: string): string {
    const src = Buffer.from(line, 'latin1')
    const dst = new Uint8Array(src.length + 1)
    return Buffer.from(dst.subarray(0, cleaner.cleanLine(src, 0, src.length, dst, 0))).toString(
      'latin1',
    )
  }

  /** With data that has no dots, which the original would take out, and no tags without a name. */
  function dirtyLine(random: Random): string {
    const pick = (characters: string) => characters[Math.floor(random() * characters.length)]!
    const run = (characters: string, max: number) =>
      Array.from({ length: Math.floor(random() * max) }, () => pick(characters)).join('')
    const name = run('aB1..-_:#%/\x00\x7f\xe4=,', 12)
    const tags = /[a-z]/i.test(name) && random() < 0.2 ? `;k=${run('vW%=\xe4', 5)};l=2` : ''
    const data = run('19 \tnx-', 8)
    return `${run('. \t', 3)}${name}${tags}${random() < 0.9 || tags !== '' ? ' ' : ''}${data}`
  }
})

/** Where 3.9 or reason makes us differ from 3.7.3; `theirs` and `ours` are the lines that tell. */
describe.skipIf(missing)('differences from carbon-c-relay 3.7.3', () => {
  test.each([
    {
      difference:
        'results of aggregations keep what lies outside the match, also without groups (3.9, #465)',
      conf: 'aggregate ^a\\. every 1 seconds expire after 2 seconds compute sum write to agg.n;',
      theirs: '    sum -> agg.n\n',
      ours: '    sum(agg.n) -> agg.nx 1 2\n',
    },
    {
      difference: '\\g{n} in templates (3.9)',
      conf: 'rewrite ^(a)\\.(x)$ into "b.\\\\g{2}1";',
      theirs: '-> b.g{2}1\n',
      ours: '-> b.x1\n',
    },
    {
      difference: 'what validate matched does not get into route using',
      conf: 'cluster c carbon_ch 10.0.0.1 10.0.0.2; match ^(a)\\.(.) validate ^1 else drop route using "\\\\2" send to c;',
      theirs: 'using(\\2) -> x.x 1 2\n',
      ours: 'using(\\2) -> x 1 2\n',
    },
    {
      difference: 'the first alternative that fits, not the longest (Perl, not POSIX)',
      conf: 'rewrite ^(a|a\\.x) into "[\\\\1]";',
      theirs: '-> [a.x]\n',
      ours: '-> [a].x\n',
    },
    {
      difference: '\\D is anything but a digit, not the letter',
      conf: 'rewrite ^(\\D) into "[\\\\1]";',
      theirs: 'nothing matched a.x\n',
      ours: '-> [a].x\n',
    },
  ])('$difference', ({ conf, theirs, ours }) => {
    const [want, got] = both(conf, ['-t'], 'a.x 1 2\n')
    expect(want).toContain(theirs)
    expect(got).toContain(ours)
  })
})

/** Shows the first line that differs, not all of them. */
function expectSame(what: string, [want, got]: [string, string]): void {
  if (want === got) return
  const wanted = want.split('\n')
  const lines = got.split('\n')
  const at = wanted.findIndex((line, i) => line !== lines[i])
  const around = (list: string[]) => list.slice(Math.max(0, at - 6), at + 3).join('\n')
  expect(`${what}\n--- at line ${at}\n${around(lines)}`).toBe(
    `${what}\n--- at line ${at}\n${around(wanted)}`,
  )
}

function placementNames(): string {
  const random = seeded(7)
  let text = ''
  for (let i = 0; i < PLACEMENTS; i++) {
    text += `host${Math.floor(random() * 5000)}.app${i % 97}.metric.${i.toString(36)} 1 2\n`
  }
  return text
}
