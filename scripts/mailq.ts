/** Looks at the mail queue, or changes it: `bun run mailq [json | flush | show ID | hold ID | release ID | delete ID]`. */
import { runMailq } from '../src/mailer/mailq-command.ts'

process.exit(await runMailq(Bun.argv.slice(2)))
