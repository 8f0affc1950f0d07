/** Debian's carbon-c-relay as an oracle: its test mode's output beside ours, and what it makes of lines. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { realDisk } from '../../src/lib/disk.ts'
import { parseCommandLine } from '../../src/relay/config/command-line.ts'
import { describeConfiguration, printSettings } from '../../src/relay/test-mode/config-test.ts'
import { loadRelayConf } from '../../src/relay/config/relay-conf.ts'
import { freePorts } from '../e2e/stack.ts'
import { LineClient, until } from './peers.ts'

const BINARY = Bun.which('carbon-c-relay')
/** It forgets a client that comes between its listen() and the start of its threads. */
const SETTLE_MS = 300

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
  let output = printSettings(commandLine.value, surroundings) + text
  for (const line of lines.split('\n')) output += explainer.explain(line)
  return output
}

function normal(text: string): string {
  return text
    .replaceAll(/^\[[^\]]*\] (?:starting.*\n|warning:.*\n)?/gm, '')
    .replaceAll(/_stub_0x[0-9a-f]+__/g, '_stub_0xX__')
}

/**
 * What the real relay writes to a file for the bytes that a client sends: `rules` may use the cluster `out`.
 * Waits until `done` is content with what is there, at most 20 s.
 */
export async function relayed(
  rules: string,
  bytes: Uint8Array,
  done: (output: string) => boolean,
): Promise<string> {
  const relay = await CarbonRelay.start(
    (port, dir) =>
      `cluster out file ${dir}/out; listen type linemode 127.0.0.1:${port} proto tcp;
       statistics submit every 3600 seconds; ${rules}`,
  )
  try {
    await relay.send(bytes)
    for (let tries = 0; tries < 200; tries++) {
      const output = relay.output()
      if (done(output)) return output
      await Bun.sleep(100)
    }
    throw new Error('carbon-c-relay did not write what was waited for')
  } finally {
    await relay.stop()
  }
}

/** The real relay, running. */
export class CarbonRelay {
  readonly port: number
  private readonly dir: string
  private readonly child: Bun.Subprocess

  private constructor(port: number, dir: string, child: Bun.Subprocess) {
    this.port = port
    this.dir = dir
    this.child = child
  }

  /** A configuration that has no `listen` gets the port by `-p`. */
  static async start(
    conf: string | ((port: number, dir: string) => string),
    args: readonly string[] = [],
  ): Promise<CarbonRelay> {
    const dir = mkdtempSync(`${tmpdir()}/emon-oracle-`)
    const port = (await freePorts(1))[0]!
    const text = typeof conf === 'string' ? conf : conf(port, dir)
    writeFileSync(`${dir}/relay.conf`, text)
    const where = text.includes('listen ') ? [] : ['-p', String(port)]
    const command = [BINARY!, '-f', `${dir}/relay.conf`, '-w', '1', ...where, ...args]
    const log = `${dir}/log`
    const child = Bun.spawn(command, { stdout: Bun.file(log), stderr: 'ignore' })
    const isListening = (): boolean => readFileSync(log, 'latin1').includes('] listening on tcp')
    await until('carbon-c-relay listens', isListening, 20_000)
    await Bun.sleep(SETTLE_MS)
    return new CarbonRelay(port, dir, child)
  }

  /** To its port, as one client that then closes. */
  async send(content: string | Uint8Array): Promise<void> {
    const client = await LineClient.connect({ port: this.port })
    await client.send(content)
    client.end()
  }

  get outputPath(): string {
    return `${this.dir}/out`
  }

  /** Of the file `out` in its folder. */
  output(): string {
    const { outputPath } = this
    return existsSync(outputPath) ? readFileSync(outputPath, 'latin1') : ''
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.child.exited
    rmSync(this.dir, { recursive: true })
  }
}
