/** Runs the api: `bun run api`. */
import { runDaemon } from '../src/daemon.ts'
import { startApi } from '../src/api/api.ts'

await runDaemon({ name: 'api', start: startApi })
