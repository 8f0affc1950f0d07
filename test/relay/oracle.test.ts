/** Debian's carbon-c-relay (3.7.3) and this relay, side by side, in test mode. */
import { describe, expect, test } from 'bun:test'
import { both, missing } from './carbon-c-relay.ts'
import { ConfGenerator, seeded } from './conf-generator.ts'

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
