/**
 * One line an event: `time level concern message key=value…` on stderr, and to a file and syslog when
 * configured. Values with blanks, quotes or control characters are quoted as JSON, so that a line is
 * always one line.
 */

import type { Clock } from './clock.ts'

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

type Level = 'debug' | 'info' | 'warn' | 'error'

export interface LogOptions {
  readonly concern: string
  readonly clock: Clock
  /** Where lines go; each ends with a newline. */
  readonly write: (line: string, level: Level) => void
  /** Reads the setting at each call, so a signal can switch it. */
  readonly debugging?: () => boolean
}

export function createLog(options: LogOptions): Log {
  const print = (level: Level, message: string, fields: LogFields | undefined): void => {
    const time = new Date(options.clock.nowMs()).toISOString()
    options.write(
      `${time} ${level} ${options.concern} ${oneLine(message)}${printFields(fields)}\n`,
      level,
    )
  }
  return {
    debug: (message, fields) => {
      if (options.debugging?.()) print('debug', message, fields)
    },
    info: (message, fields) => print('info', message, fields),
    warn: (message, fields) => print('warn', message, fields),
    error: (message, fields) => print('error', message, fields),
  }
}

/** A log that says nothing, for tests. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }

/** ECONNREFUSED; our own errors have codes of small letters, which say nothing more. */
const SYSTEM_CODE_RE = /^[A-Z][A-Z0-9_]*$/

/** The text of anything thrown, with the system's code where the text does not say it. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error
  if (!('code' in error) || typeof error.code !== 'string') return message
  const { code } = error
  return SYSTEM_CODE_RE.test(code) && !message.includes(code) ? `${message} (${code})` : message
}

function printFields(fields: LogFields | undefined): string {
  if (!fields) return ''
  let text = ''
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) text += ` ${key}=${printValue(value)}`
  }
  return text
}

function printValue(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value)
  return value === '' || /[\s"=\p{Cc}]/u.test(value) ? JSON.stringify(value) : value
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}
