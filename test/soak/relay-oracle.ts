/**
 * `scripts/soak relay-oracle [COUNT]`: more generated configurations against carbon-c-relay than the test suite runs,
 * with names, and as many with slips in them, for what is taken and what is refused.
 */
import { both, missing } from '../relay/carbon-c-relay.ts'
import { ConfGenerator, seeded } from '../relay/conf-generator.ts'
import { complaintOf, differenceOf, mutatedConf } from '../relay/conf-mutations.ts'

const FIRST_SEED = 1_000
const NAMES = 500
const ARGUMENTS = [['-t'], ['-td'], ['-t', '-O', '3']]

if (missing) process.exit(1)
const count = Number(process.argv[2] ?? 3_000)
let different = 0
for (let seed = FIRST_SEED; seed < FIRST_SEED + count; seed++) {
  const generator = new ConfGenerator(seeded(seed))
  const conf = generator.conf(seed % 10 === 0 ? 80 : 1 + (seed % 25))
  const lines = Array.from({ length: NAMES }, () => generator.line()).join('\n')
  const [want, got] = both(conf, ARGUMENTS[seed % 3]!, `${lines}\n`)
  if (want === got) continue
  different++
  console.log(`seed ${seed} differs`)
}
console.log(`${count} configurations with ${NAMES} names each: ${different} differ`)

const known = new Map<string, number>()
let taken = 0
let unknown = 0
for (let seed = FIRST_SEED; seed < FIRST_SEED + count; seed++) {
  const conf = mutatedConf(seeded(seed))
  const [theirs, ours] = both(conf, ['-tt'], '')
  if (complaintOf(theirs) === 'taken') taken++
  const difference = differenceOf({ conf, theirs, ours })
  if (difference === undefined) continue
  if (difference !== '') known.set(difference, (known.get(difference) ?? 0) + 1)
  else {
    unknown++
    console.log(`slips of seed ${seed} differ:\n${conf}\n${theirs}\n${ours}`)
  }
}
console.log(
  `${count} configurations with slips, ${taken} of them taken: ${unknown} answered differently`,
)
for (const [difference, times] of known) console.log(`  known, ${times} times: ${difference}`)
process.exit(different + unknown === 0 ? 0 : 1)
