/**
 * Lines of the log as syslog messages over UDP (RFC 5424, facility daemon). A datagram that cannot be
 * sent is gone: the line is on stderr all the same.
 */

const FACILITY_DAEMON = 3
const SEVERITY = { error: 3, warn: 4, info: 6, debug: 7 } as const
const PORT_DEFAULT = 514

export type Severity = keyof typeof SEVERITY

export interface SyslogSource {
  readonly host: string
  /** APP-NAME, such as `emon-relay`. */
  readonly program: string
  readonly pid: number
}

/** One datagram's text. `line` begins with its time, as `createLog` prints it, and ends with a newline. */
export function formatSyslog(source: SyslogSource, severity: Severity, line: string): string {
  const blank = line.indexOf(' ')
  const time = line.slice(0, blank)
  const message = line.slice(blank + 1).trimEnd()
  const priority = FACILITY_DAEMON * 8 + SEVERITY[severity]
  return `<${priority}>1 ${time} ${source.host} ${source.program} ${source.pid} - - ${message}`
}

/** `host`, `host:port` or `[v6]:port`; the port is `otherwise` when none is given. */
export function splitHostPort(text: string, otherwise: number): { host: string; port: number } {
  const parts = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text)
  if (!parts) return { host: text, port: otherwise }
  return {
    host: parts[1] ?? parts[2]!,
    port: parts[3] === undefined ? otherwise : Number(parts[3]),
  }
}

/** Opens a socket to `server` (`host` or `host:port`) and answers what sends one line. */
export async function openSyslog(
  server: string,
  source: SyslogSource,
): Promise<(line: string, severity: Severity) => void> {
  const { host, port } = splitHostPort(server, PORT_DEFAULT)
  const socket = await Bun.udpSocket({ connect: { hostname: host, port }, socket: { error() {} } })
  socket.unref()
  return (line, severity) => void socket.send(formatSyslog(source, severity, line))
}
