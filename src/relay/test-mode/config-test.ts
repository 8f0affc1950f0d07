/**
 * `-t` and `-tt`: checks the configuration, prints it, and says what routing would do with lines, without
 * opening a socket. Output and exit code are carbon-c-relay's.
 */

import { hostname } from 'node:os'
import { type Config, EXIT_CONFIG, loadConfig } from '../../config.ts'
import { ConfigError } from '../../daemon.ts'
import { systemClock } from '../../lib/clock.ts'
import { realDisk } from '../../lib/disk.ts'
import { err, type Result } from '../../lib/result.ts'
import { type CommandLine, LINE_BYTES_MAX } from '../config/command-line.ts'
import { loadRouting } from '../config/load-routing.ts'
import { lookUp } from '../delivery/look-up.ts'
import { type PrintOptions, printConfig } from './print-config.ts'
import { Router } from '../routing/router.ts'
import type { Listener, Routing } from '../config/routing.ts'
import { Explainer } from './test-mode.ts'
import { testBlocks } from './test-rules.ts'
import { checkTls } from '../transports/tls.ts'
import { UseAll } from '../routing/use-all.ts'

const AGGREGATIONS_PRINTED_MAX = 10

/** Where the output goes, and what the lines come from. */
export interface TestStreams {
  readonly out: (text: string) => void
  readonly complain: (text: string) => void
  readonly input: AsyncIterable<Uint8Array>
}

/** Runs `-t` or `-tt` to its end; answers the exit code. */
export async function testConfiguration(line: CommandLine, streams: TestStreams): Promise<number> {
  const config = loadConfig({ environment: process.env, disk: realDisk })
  if (!config.ok) {
    streams.complain(`${config.error.join('\n')}\n`)
    return EXIT_CONFIG
  }
  const confName = line.conf ?? config.value.relay.conf ?? config.value.file
  const surroundings = {
    hostname: line.hostname ?? hostname(),
    workers: navigator.hardwareConcurrency,
    port: line.port ?? config.value.relay.port,
    confName,
  }
  if (line.test === 'routes') {
    const started = new Date(systemClock.nowMs()).toISOString().slice(0, 19).replace('T', ' ')
    streams.out(`[${started}] starting emon relay, pid=${process.pid}\n`)
    streams.out(printSettings(line, surroundings))
  }
  const routing = readRouting(config.value, line)
  if (!routing.ok) {
    streams.complain(`${routing.error}\nfailed to read configuration '${confName}'\n`)
    return 1
  }
  await new UseAll(routing.value, lookUp).expand()
  for (const warning of routing.value.warnings) streams.complain(`${warning}\n`)
  if (line.test === 'syntax') return 0
  const { text, explainer } = describeConfiguration(routing.value, line, surroundings)
  streams.out(text)
  for await (const one of latin1Lines(streams.input)) streams.out(explainer.explain(one))
  return 0
}

/** With all the checks that a start makes. */
function readRouting(config: Config, { conf, authorities }: CommandLine): Result<Routing> {
  const routing = loadRouting({ config, disk: realDisk, conf })
  if (!routing.ok) return routing
  try {
    checkTls({ disk: realDisk, authorities }, routing.value)
    return routing
  } catch (error) {
    if (error instanceof ConfigError) return err(error.complaints.join('\n'))
    throw error
  }
}

async function* latin1Lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of input) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

export interface TestSurroundings {
  readonly hostname: string
  readonly workers: number
  readonly port: number
  /** What the configuration is called in the output. */
  readonly confName: string
}

/** What is printed of the configuration, and who explains lines. */
export function describeConfiguration(
  routing: Routing,
  line: CommandLine,
  surroundings: TestSurroundings,
): { text: string; explainer: Explainer } {
  const router = new Router(routing, 0)
  const { debug, optimiserThreshold } = line
  const options: PrintOptions = {
    debug,
    hostname: surroundings.hostname,
    optimiserThreshold,
    defaultListeners: defaultListeners(surroundings.port),
    omitAggregations: routing.aggregations.length > AGGREGATIONS_PRINTED_MAX && !debug,
  }
  const computations = routing.aggregations.reduce((sum, rule) => sum + rule.computations.length, 0)
  const omitted = options.omitAggregations
    ? `(${routing.aggregations.length} aggregations with ${computations} computations omitted for brevity)\n`
    : ''
  const text = `parsed configuration follows:\n${omitted}${printConfig(router, options)}\n`
  return { text, explainer: new Explainer(router, testBlocks(router, optimiserThreshold), debug) }
}

export function printSettings(line: CommandLine, surroundings: TestSurroundings): string {
  const rows = [
    `relay hostname = ${surroundings.hostname}`,
    `workers = ${line.workers ?? surroundings.workers}`,
    `send batch size = ${line.batchSize}`,
    `server queue size = ${line.queueSize}`,
    `server max stalls = ${line.stallsMax}`,
    `listen backlog = ${line.backlog}`,
  ]
  if (line.socketBufferBytes !== undefined) rows.push(`socket bufsize = ${line.socketBufferBytes}`)
  if (line.authorities !== undefined) rows.push(`tls/ssl CA = ${line.authorities}`)
  rows.push(`server connection IO timeout = ${line.ioTimeoutMs}ms`)
  rows.push(`idle connections disconnect timeout = ${line.keepIdle ? 'never' : '10m'}`)
  if (line.allowed !== undefined) rows.push(`extra allowed characters = ${line.allowed}`)
  if (line.lineBytesMax < LINE_BYTES_MAX) rows.push(`max input length = ${line.lineBytesMax}`)
  if (line.nameBytesMax < line.lineBytesMax) rows.push(`max metric length = ${line.nameBytesMax}`)
  if (line.debug) rows.push('debug = true')
  else if (line.submission) rows.push('submission = true')
  rows.push(`configuration = ${surroundings.confName}`)
  return `configuration:\n${rows.map((row) => `    ${row}\n`).join('')}\n`
}

/** Where a relay listens when its configuration does not say. */
export function defaultListeners(port: number): Listener[] {
  const transport = {
    compression: 'plain',
    tls: 'none',
    certificate: '',
    key: '',
    protocolMin: undefined,
    protocolMax: undefined,
    ciphers: undefined,
    cipherSuites: undefined,
  } as const
  return [
    { protocol: 'tcp', address: '', port, transport },
    { protocol: 'udp', address: '', port, transport },
    { protocol: 'unix', address: `/tmp/.s.carbon-c-relay.${port}`, port: 0, transport },
  ]
}
