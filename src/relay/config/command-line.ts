/**
 * The relay's command line is carbon-c-relay's (relay.c main): short options, together (`-td`) or with their
 * value attached (`-p2003`). Every one is taken; those that steer what this relay does not have (worker
 * threads, stalls, the optimiser) are checked and have no effect on routing.
 */

import { err, ok, type Result } from '../../lib/result.ts'

/** Of a line with its newline. */
export const LINE_BYTES_MAX = 32_768

export interface CommandLine {
  /** `-f`. */
  readonly conf: string | undefined
  /** `-p`. */
  readonly port: number | undefined
  /** `-l`: a file for the log. */
  readonly logFile: string | undefined
  /** `-P`. */
  readonly pidFile: string | undefined
  /** `-H`: the host's name in statistics. */
  readonly hostname: string | undefined
  /** `-C`: certificate authorities, a file or a folder. */
  readonly authorities: string | undefined
  /** `-c`: characters that names may have beside letters and digits. */
  readonly allowed: string | undefined
  readonly workers: number | undefined
  readonly batchSize: number
  readonly queueSize: number
  readonly stallsMax: number
  readonly backlog: number
  readonly socketBufferBytes: number | undefined
  readonly ioTimeoutMs: number
  /** `-m`, `-M`: bytes of a name, and of a whole line with its newline. */
  readonly nameBytesMax: number
  readonly lineBytesMax: number
  readonly optimiserThreshold: number
  /** `-E`: idle connections stay. */
  readonly keepIdle: boolean
  readonly daemon: boolean
  readonly debug: boolean
  /** `-s`: no statistics of its own. */
  readonly submission: boolean
  /** `-S`, or `-s` with `-d`: a line a second about what comes and goes. */
  readonly rates: boolean
  /** `-t` and `-tt`. */
  readonly test: 'no' | 'routes' | 'syntax'
  /** `-v`, `-h`: print and end. */
  readonly show: 'version' | 'usage' | undefined
}

type Mutable = { -readonly [K in keyof CommandLine]: CommandLine[K] }

const DEFAULTS: CommandLine = {
  conf: undefined,
  port: undefined,
  logFile: undefined,
  pidFile: undefined,
  hostname: undefined,
  authorities: undefined,
  allowed: undefined,
  workers: undefined,
  batchSize: 2500,
  queueSize: 25_000,
  stallsMax: 4,
  backlog: 32,
  socketBufferBytes: undefined,
  ioTimeoutMs: 600,
  nameBytesMax: LINE_BYTES_MAX,
  lineBytesMax: LINE_BYTES_MAX,
  optimiserThreshold: 50,
  keepIdle: false,
  daemon: false,
  debug: false,
  submission: false,
  rates: false,
  test: 'no',
  show: undefined,
}

const FLAGS = 'hvdstSED'
const WITH_VALUE = 'flpwbqLCTcmMHBUPO'
const STALLS_MAX = 15
const IO_TIMEOUT_MS_MIN = 250

/** `args` are those behind the script's name. The error is one line, as carbon-c-relay words it. */
export function parseCommandLine(args: readonly string[]): Result<CommandLine> {
  const line: Mutable = { ...DEFAULTS }
  const rest = [...args]
  while (rest.length > 0) {
    const arg = rest.shift()!
    if (arg === '--') break
    if (!/^-./.test(arg)) continue
    for (let at = 1; at < arg.length; at++) {
      const option = arg[at]!
      if (FLAGS.includes(option)) applyFlag(line, option)
      else if (WITH_VALUE.includes(option)) {
        const value = at + 1 < arg.length ? arg.slice(at + 1) : rest.shift()
        if (value === undefined) return err(`error: -${option} needs a value`)
        const problem = applyValue(line, option, value)
        if (problem !== undefined) return err(`error: ${problem}`)
        break
      } else return err(`error: there is no option -${option}`)
    }
  }
  return check(line)
}

function applyFlag(line: Mutable, option: string): void {
  switch (option) {
    case 'h':
      line.show ??= 'usage'
      return
    case 'v':
      line.show ??= 'version'
      return
    case 'd':
      line.debug = true
      return
    case 's':
      line.submission = true
      return
    case 'S':
      line.rates = true
      return
    case 't':
      line.test = line.test === 'no' ? 'routes' : 'syntax'
      return
    case 'E':
      line.keepIdle = true
      return
    case 'D':
      line.daemon = true
  }
}

/** Options that take a number above zero, and what the complaint calls it. */
const COUNTS = {
  w: { field: 'workers', called: 'workers' },
  b: { field: 'batchSize', called: 'batch size' },
  q: { field: 'queueSize', called: 'queue size' },
  B: { field: 'backlog', called: 'backlog' },
  U: { field: 'socketBufferBytes', called: 'bufsize' },
} as const

function isCount(option: string): option is keyof typeof COUNTS {
  return Object.hasOwn(COUNTS, option)
}

/** What is wrong with the value; undefined when nothing is. */
function applyValue(line: Mutable, option: string, value: string): string | undefined {
  const number = /^\s*[+-]?\d+/.test(value) ? Number.parseInt(value, 10) : 0
  const positive = number > 0
  if (isCount(option)) {
    const { field, called } = COUNTS[option]
    line[field] = number
    return positive ? undefined : `${called} needs to be a number >0`
  }
  switch (option) {
    case 'f':
      line.conf = value
      return
    case 'l':
      line.logFile = value
      return
    case 'P':
      line.pidFile = value
      return
    case 'H':
      line.hostname = value
      return
    case 'C':
      line.authorities = value
      return
    case 'c':
      line.allowed = value
      return
    case 'p':
      line.port = number
      return positive && number <= 65_535 ? undefined : 'port needs to be a number >0'
    case 'L':
      line.stallsMax = number
      if (/^\d/.test(value) && number <= STALLS_MAX) return
      return `maximum stalls needs to be a number between 0 and ${STALLS_MAX}`
    case 'T':
      line.ioTimeoutMs = number < IO_TIMEOUT_MS_MIN ? DEFAULTS.ioTimeoutMs : number
      if (!positive) return 'server IO timeout needs to be a number >0'
      return number < 60_000 ? undefined : 'server IO timeout needs to be less than one minute'
    case 'm':
      line.nameBytesMax = number
      return /^\d/.test(value) ? undefined : 'max metric length needs to be a number >=0'
    case 'M':
      line.lineBytesMax = number
      if (!positive) return 'max length needs to be a number >0'
      return number <= LINE_BYTES_MAX ? undefined : `max length cannot be >${LINE_BYTES_MAX}`
    case 'O':
      line.optimiserThreshold = Math.max(number, -1)
      return number !== 0 || /^\d/.test(value)
        ? undefined
        : 'optimiser threshold needs to be a number'
  }
  return undefined
}

function check(line: Mutable): Result<CommandLine> {
  if (line.submission && line.debug) line.rates = true
  if (line.batchSize > line.queueSize) {
    return err('error: batchsize must be smaller than queuesize')
  }
  const limitsName = line.nameBytesMax > 0 && line.nameBytesMax !== DEFAULTS.nameBytesMax
  if (!limitsName) line.nameBytesMax = line.lineBytesMax
  else if (line.nameBytesMax >= line.lineBytesMax && line.lineBytesMax !== LINE_BYTES_MAX) {
    return err('error: max metric len must be smaller than max length of input string')
  }
  if (line.daemon && line.logFile === undefined) {
    return err('You must specify logfile if you want daemonisation!')
  }
  if (line.daemon && line.test !== 'no') {
    return err('You cannot use test mode if you want daemonisation!')
  }
  return ok(line)
}

export const USAGE = `Usage: relay [-f <config>] [opts]

Options:
  -v  print version and exit
  -f  read <config> for clusters and routes; without it emon.toml is used
  -p  listen on <port> for connections
  -l  write output to <file>, defaults to stdout/stderr
  -w  use <workers> worker threads: taken, one thread does the work
  -b  server send batch size: taken, batches are made by size
  -q  server queue size: taken, what does not fit in memory is spooled to disk
  -L  server max stalls: taken, clients are never stalled
  -C  use CA <cert> to verify SSL connections
  -B  connection listen backlog: taken, the system's is used
  -U  socket receive buffer size: taken, the system's is used
  -T  IO timeout in milliseconds for server connections, defaults to ${DEFAULTS.ioTimeoutMs}
  -E  disable disconnecting idle connections after 10 minutes
  -c  characters to allow next to [A-Za-z0-9], defaults to -_:#
  -m  max string length of metric, defaults to 0, limit of -M
  -M  max string length of metric+ts+value+nl, defaults to ${LINE_BYTES_MAX}
  -d  debug mode: prints hash ring contents and matching position in test mode (-t)
  -s  submission mode: don't add any metrics to the stream like statistics
  -S  print a line a second with rates, as iostat does
  -t  config test mode: prints rule matches from input on stdin; -tt only checks
  -H  hostname: override hostname (used in statistics)
  -D  daemonise: detach and run in background
  -P  pidfile: write a pid to a specified pidfile
  -O  minimum number of rules before optimising the ruleset, default: ${DEFAULTS.optimiserThreshold}
`
