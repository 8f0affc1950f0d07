/** Debian's carbon-c-relay as an oracle: its test mode's output, and ours for the same configuration. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { realDisk } from '../../src/lib/disk.ts'
import { parseCommandLine } from '../../src/relay/command-line.ts'
import { describeConfiguration } from '../../src/relay/config-test.ts'
import { loadRelayConf } from '../../src/relay/relay-conf.ts'

const BINARY = Bun.which('carbon-c-relay')

/** For `describe.skipIf`: says so once. */
export const missing = BINARY === null
if (missing) console.log('carbon-c-relay is not in PATH: comparisons with it are skipped')

/** Output of both for `args`, without the line that names the version, and with hidden names alike. */
export function both(
  conf: string,
  args: readonly string[],
  lines: string,
): [want: string, got: string] {
  const dir = mkdtempSync(`${tmpdir()}/emon-oracle-`)
  try {
    const path = `${dir}/relay.conf`
    writeFileSync(path, conf)
    writeFileSync(`${dir}/lines`, lines)
    const options = [...args, '-f', path, '-w', '1']
    return [normal(theirs(options, `${dir}/lines`)), normal(ours(options, lines))]
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function theirs(options: readonly string[], linesPath: string): string {
  const run = Bun.spawnSync([BINARY!, ...options], { stdin: Bun.file(linesPath) })
  const text = Buffer.from(run.stdout).toString('latin1')
  return run.exitCode === 0
    ? text
    : `exit ${run.exitCode}\n${Buffer.from(run.stderr).toString('latin1')}`
}

function ours(options: readonly string[], lines: string): string {
  const commandLine = parseCommandLine(options)
  if (!commandLine.ok) return commandLine.error
  const confName = commandLine.value.conf!
  const routing = loadRelayConf(realDisk, confName)
  if (!routing.ok) return `exit 1\n${routing.error}\nfailed to read configuration '${confName}'\n`
  const surroundings = { hostname: hostname(), workers: 1, port: 2003, confName }
  const { text, explainer } = describeConfiguration(routing.value, commandLine.value, surroundings)
  let output = text
  for (const line of lines.split('\n')) output += explainer.explain(line)
  return output
}

function normal(text: string): string {
  return text
    .replaceAll(/^\[[^\]]*\] (?:starting.*\n|warning:.*\n)?/gm, '')
    .replaceAll(/_stub_0x[0-9a-f]+__/g, '_stub_0xX__')
}
