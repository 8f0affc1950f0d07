/** 2,000 messages in while the mailer is killed with -9 fifty times: what was lost, what came twice, and why. */
import { runCrashLoop } from '../mailer/crash-loop.ts'

const result = await runCrashLoop({ messages: 2_000, kills: 50, clients: 8 })
console.log(
  `${result.accepted} accepted, ${result.kills} kills, ${result.lost.length} lost, ` +
    `${result.duplicates.length} came twice, ${result.seconds.toFixed(1)} s`,
)
for (const message of result.lost) console.log(`lost: ${message}`)
for (const { message, cause } of result.duplicates) console.log(`twice: ${message}: ${cause}`)
const unexplained = result.duplicates.some(({ cause }) => cause === 'UNEXPLAINED')
process.exit(result.lost.length > 0 || unexplained ? 1 : 0)
