/** The configuration of an empty machine. */
import { type Config, loadConfig } from '../../src/config.ts'
import { SimDisk } from '../sim/disk.ts'

export function defaultConfig(environment: Readonly<Record<string, string>> = {}): Config {
  const loaded = loadConfig({ environment, disk: new SimDisk() })
  if (!loaded.ok) throw new Error(loaded.error.join('\n'))
  return loaded.value
}
