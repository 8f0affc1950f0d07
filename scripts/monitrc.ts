/**
 * Prints monit's configuration: `bun run monitrc` this installation's, as ./scripts/up writes it;
 * `bun run monitrc specimen` the committed ./monitrc, of an install in /opt/emon with its data in /var/lib/emon.
 */
import { EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { installedMonitrc, specimenMonitrc } from '../src/installation.ts'
import { systemClock } from '../src/lib/clock.ts'
import { realDisk } from '../src/lib/disk.ts'

if (Bun.argv[2] === 'specimen') process.stdout.write(specimenMonitrc())
else {
  const loaded = loadConfig({ environment: process.env, disk: realDisk })
  if (!loaded.ok) {
    for (const complaint of loaded.error) console.error(complaint)
    process.exit(EXIT_CONFIG)
  }
  const surroundings = { disk: realDisk, clock: systemClock, uid: process.getuid?.() }
  process.stdout.write(installedMonitrc(loaded.value, surroundings))
}
