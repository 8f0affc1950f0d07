/** Runs the store: `bun run store`. */
import { runDaemon } from '../src/daemon.ts'
import { startStore } from '../src/store/store.ts'

await runDaemon({ name: 'store', start: startStore })
