/**
 * The relay's faults at full size: `./scripts/soak relay-faults [SECONDS] [PER_SECOND] [NAME…]`, by default a minute
 * each at 20,000 lines a second, all of them. Prints what was sent, what arrived and what arrived twice; ends with
 * 1 when a line is missing.
 */
import * as chains from '../relay/chain-runs.ts'
import * as faults from '../relay/fault-runs.ts'
import * as real from '../relay/real-peer-runs.ts'

const [seconds = '60', perSecond = '20000', ...names] = process.argv.slice(2)
const options = { seconds: Number(seconds), perSecond: Number(perSecond) }
let missing = 0

for (const [where, runs] of Object.entries({ own: faults, chain: chains, real })) {
  for (const [run, start] of Object.entries(runs)) {
    const name = `${where}/${run}`
    if (names.length > 0 && !names.some((wanted) => name.includes(wanted))) continue
    const tally = await start(options)
    if (typeof tally === 'string') {
      console.log(`${name.padEnd(32)} skipped: ${tally}`)
      continue
    }
    const { sent, distinct, arrived, figures = {} } = tally
    missing += sent - distinct
    const more = Object.entries(figures).map(([what, figure]) => `  ${what} ${figure}`)
    console.log(
      `${name.padEnd(32)} sent ${sent}  missing ${sent - distinct}  arrived twice ${arrived - distinct}${more.join('')}`,
    )
  }
}
process.exit(missing === 0 ? 0 : 1)
