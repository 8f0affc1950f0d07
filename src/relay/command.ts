/**
 * What the relay's script does with its command line before anything is started: `-h`, `-v`, `-t` and `-D`
 * end here; else it answers what the relay is started with.
 */

import { spawn } from 'node:child_process'
import type { DaemonOptions } from '../daemon.ts'
import { systemClock } from '../lib/clock.ts'
import { type CommandLine, parseCommandLine, USAGE } from './config/command-line.ts'
import { testConfiguration } from './test-mode/config-test.ts'
import { printRates } from './rate-lines.ts'
import { type RelayOptions, startRelay } from './relay.ts'

/** Tells the process that `-D` started that it is the one. */
const DETACHED = 'EMON_RELAY_DETACHED'

/** How long a detached relay is watched for an end at its start. */
const DETACHED_WATCH_MS = 1_500

/** `args` are those behind the script's name. */
export async function relayCommand(
  args: readonly string[],
  version: string,
): Promise<DaemonOptions> {
  const parsed = parseCommandLine(args)
  if (!parsed.ok) {
    process.stderr.write(`${parsed.error}\n${USAGE}`)
    process.exit(1)
  }
  const line = parsed.value
  if (line.show !== undefined) {
    process.stdout.write(line.show === 'usage' ? USAGE : `emon relay v${version}\n`)
    process.exit(0)
  }
  if (line.test !== 'no') {
    const code = await testConfiguration(line, {
      out: (text) => process.stdout.write(text),
      complain: (text) => process.stderr.write(text),
      input: Bun.stdin.stream(),
    })
    process.exit(code)
  }
  if (line.daemon && process.env[DETACHED] === undefined) process.exit(await detach(args))
  return daemonOptions(line)
}

function daemonOptions(line: CommandLine): DaemonOptions {
  const flags = new Map<string, string>()
  if (line.port !== undefined) flags.set('relay.port', String(line.port))
  if (line.debug) flags.set('log.debug', 'true')
  const options: RelayOptions = {
    conf: line.conf,
    allowed: line.allowed,
    lineBytesMax: line.lineBytesMax,
    nameBytesMax: line.nameBytesMax,
    hostname: line.hostname,
    connectMs: line.ioTimeoutMs,
    authorities: line.authorities,
    disconnectIdle: !line.keepIdle,
    submission: line.submission,
  }
  return {
    name: 'relay',
    start: async (surroundings) => {
      const relay = await startRelay(surroundings, options)
      const { clock, stats } = surroundings
      if (line.rates) printRates(clock, stats, (text) => process.stdout.write(text))
      return relay
    },
    flags,
    logFile: line.logFile,
    pidFile: line.pidFile,
  }
}

/** Starts the same again without a terminal; answers 0 when it has not ended soon after. */
function detach(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [process.argv[1]!, ...args], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, [DETACHED]: '1' },
  })
  return new Promise((resolve) => {
    child.on('exit', (code) => resolve(code ?? 1))
    child.on('error', () => resolve(1))
    systemClock.after(DETACHED_WATCH_MS, () => resolve(0))
  })
}
