/**
 * The plaintext protocol, `name value timestamp\n`: where the three fields of a line are.
 *
 * Fields are separated by any run of blanks and tabs; a trailing carriage return is no part of the line;
 * fields after the third are ignored, as carbon's parsers do. A missing timestamp is left empty, which
 * `parseTimestamp` reads as "now".
 */

const BLANK = 0x20
const TAB = 0x09
const CARRIAGE_RETURN = 0x0d

/** Offsets into the buffer that was scanned; reused for every line. */
export interface LineFields {
  nameStart: number
  nameEnd: number
  valueStart: number
  valueEnd: number
  timeStart: number
  timeEnd: number
}

export function emptyLineFields(): LineFields {
  return { nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0, timeStart: 0, timeEnd: 0 }
}

/** Finds the fields of the line `bytes[start, end)` (no newline in it); false when name or value is missing. */
export function scanLine(
  bytes: Uint8Array,
  start: number,
  end: number,
  fields: LineFields,
): boolean {
  let stop = end
  while (stop > start && bytes[stop - 1] === CARRIAGE_RETURN) stop--
  let at = skipBlanks(bytes, start, stop)
  fields.nameStart = at
  at = skipField(bytes, at, stop)
  fields.nameEnd = at
  at = skipBlanks(bytes, at, stop)
  fields.valueStart = at
  at = skipField(bytes, at, stop)
  fields.valueEnd = at
  at = skipBlanks(bytes, at, stop)
  fields.timeStart = at
  fields.timeEnd = skipField(bytes, at, stop)
  return fields.nameEnd > fields.nameStart && fields.valueEnd > fields.valueStart
}

function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && (bytes[at] === BLANK || bytes[at] === TAB)) at++
  return at
}

function skipField(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== BLANK && bytes[at] !== TAB) at++
  return at
}
