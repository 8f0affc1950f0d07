/** Runs the relay: `bun run relay`. */
import { runDaemon } from '../src/daemon.ts'
import { startRelay } from '../src/relay/relay.ts'

await runDaemon({ name: 'relay', start: startRelay })
