/** Whisper files in and out of the store: `bun run whisper import DIR | export DIR | info FILE… | diff DIR`. */
import { EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { realDisk } from '../src/lib/disk.ts'
import { runWhisperCommand } from '../src/store/commands/whisper-commands.ts'

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) {
  for (const complaint of loaded.error) console.error(complaint)
  process.exit(EXIT_CONFIG)
}
process.exit(await runWhisperCommand(Bun.argv.slice(2), loaded.value))
