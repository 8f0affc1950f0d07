/** `scripts/soak relay-oracle [COUNT]`: more generated configurations against carbon-c-relay than the test suite runs. */
import { both, missing } from '../relay/carbon-c-relay.ts'
import { ConfGenerator, seeded } from '../relay/conf-generator.ts'

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
process.exit(different === 0 ? 0 : 1)
