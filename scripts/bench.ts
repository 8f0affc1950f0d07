/**
 * Runs the benchmarks: `bun run bench [NAME…] [--peers] [--json]`.
 * NAME: a part of the case's or the file's name. --peers: also what compares with other programs.
 */
import { describeResult, findCases, measure } from '../test/bench/bench.ts'

const words = Bun.argv.slice(2)
const names = words.filter((word) => !word.startsWith('--'))
const json = words.includes('--json')
const unknown = words.filter((word) => word.startsWith('--') && !/^--(peers|json)$/.test(word))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}: use --peers or --json`)
  process.exit(64)
}

for (const { file, cases } of await findCases()) {
  for (const bench of cases) {
    const wanted =
      names.length === 0 || names.some((name) => `${file} ${bench.name}`.includes(name))
    if (!wanted || (bench.peer && !words.includes('--peers'))) continue
    const result = await measure(bench, { scale: 1 })
    if (json) {
      const answer = typeof result === 'string' ? { name: bench.name, skipped: result } : result
      console.log(JSON.stringify(answer))
    } else if (typeof result === 'string') console.log(`${bench.name}: skipped: ${result}`)
    else console.log(describeResult(result))
  }
}
