/** sendmail(1): `scripts/sendmail -t -i -f SENDER RECIPIENT… <MESSAGE`. */
import { runSendmail } from '../src/mailer/sendmail-command.ts'

process.exit(await runSendmail(Bun.argv.slice(2)))
