/** Prints the effective configuration, each value with where it came from: `bun run config`. */
import { describeConfig, EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { realDisk } from '../src/lib/disk.ts'

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) {
  for (const complaint of loaded.error) console.error(complaint)
  process.exit(EXIT_CONFIG)
}
const rows = describeConfig(loaded.value)
const width = Math.max(...rows.map(({ setting, value }) => setting.length + value.length))
for (const { setting, value, source } of rows) {
  console.log(`${`${setting} = ${value}`.padEnd(width + 4)} # ${source}`)
}
