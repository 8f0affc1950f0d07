/** Says which rules a name gets, and why: `bun run schemas test NAME…`. */
import { EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { realDisk } from '../src/lib/disk.ts'
import { runSchemaCommand } from '../src/store/commands/schema-commands.ts'

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) {
  for (const complaint of loaded.error) console.error(complaint)
  process.exit(EXIT_CONFIG)
}
process.exit(runSchemaCommand(Bun.argv.slice(2), loaded.value, realDisk))
