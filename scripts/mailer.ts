/** Runs the mailer: `bun run mailer`. */
import { runDaemon } from '../src/daemon.ts'
import { startMailer } from '../src/mailer/mailer.ts'

await runDaemon({ name: 'mailer', start: startMailer })
