/** Runs the relay: `bun run relay`, with carbon-c-relay's options (`-h` lists them). */
import { version } from '../package.json'
import { runDaemon } from '../src/daemon.ts'
import { relayCommand } from '../src/relay/command.ts'

await runDaemon(await relayCommand(process.argv.slice(2), version))
