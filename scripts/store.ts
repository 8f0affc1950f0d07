/** Runs the store: `bun run store`; or asks the one that runs: `bun run store snapshot DIR | check | stats | …`. */
import { EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { runDaemon } from '../src/daemon.ts'
import { realDisk } from '../src/lib/disk.ts'
import { startStore } from '../src/store/store.ts'
import { runStoreCommand } from '../src/store/commands/store-commands.ts'

const words = Bun.argv.slice(2)
if (words.length === 0) await runDaemon({ name: 'store', start: startStore })
else {
  const loaded = loadConfig({ environment: process.env, disk: realDisk })
  if (!loaded.ok) {
    for (const complaint of loaded.error) console.error(complaint)
    process.exit(EXIT_CONFIG)
  }
  process.exit(await runStoreCommand(words, loaded.value))
}
