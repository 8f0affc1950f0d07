/**
 * The relay's faults for a minute each at 20,000 lines a second: `./scripts/soak relay-faults [SECONDS]`.
 * Prints what was sent, what arrived and what arrived twice; ends with 1 when a line is missing.
 */
import * as faults from '../relay/fault-runs.ts'

const seconds = Number(process.argv[2] ?? 60)
let missing = 0

for (const [name, run] of Object.entries(faults)) {
  const { sent, distinct, arrived } = await run({ seconds, perSecond: 20_000 })
  missing += sent - distinct
  console.log(
    `${name.padEnd(20)} sent ${sent}  missing ${sent - distinct}  arrived twice ${arrived - distinct}`,
  )
}
process.exit(missing === 0 ? 0 : 1)
