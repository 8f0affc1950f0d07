/** Debian's carbon-c-relay (3.7.3) and this relay, side by side, in test mode. */
import { describe, expect, test } from 'bun:test'
import { both, missing } from './carbon-c-relay.ts'
import { ConfGenerator, type Random, seeded } from './conf-generator.ts'

const CONFIGURATIONS = 200
const NAMES = 500
const PLACEMENTS = 100_000

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

  test('takes and refuses the same configurations', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = seeded(seed + 10_000)
      const conf = mutated(new ConfGenerator(random).conf(3), random)
      const [want, got] = both(conf, ['-tt'], '')
      // It dies of some, for example of a match that has neither validate nor send to.
      if (want.startsWith('exit null')) continue
      expect(`${conf}\n${got.startsWith('exit')}`).toBe(`${conf}\n${want.startsWith('exit')}`)
    }
  }, 60_000)
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

/** One token taken out, doubled or replaced. */
function mutated(conf: string, random: Random): string {
  const tokens = conf.split(/(\s+|;)/)
  const at = Math.floor(random() * tokens.length)
  const other = tokens[Math.floor(random() * tokens.length)]!
  const strangers = ['=', '!', '*', '12', 'stop', 'validate', 'match', '"un', ';', '#']
  const kind = Math.floor(random() * 3)
  if (kind === 0) tokens.splice(at, 1)
  else if (kind === 1) tokens.splice(at, 0, other)
  else tokens[at] = strangers[Math.floor(random() * strangers.length)]!
  return tokens.join('')
}

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
