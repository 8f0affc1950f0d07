/**
 * The header block of a message (RFC 5322 §2.2), as bytes in and out: what is not touched stays as it
 * came. Text is handled as Latin-1, so that every byte survives; lines end with CRLF.
 *
 * A line that is neither a field nor a continuation ends the block, as in Postfix: it is body. NUL bytes
 * are dropped. Values that we write are made one line first: nobody can smuggle a field in through one.
 */

const FIELD = /^[!-9;-~]+[ \t]*:/

interface Field {
  /** Small letters. */
  readonly name: string
  /** With name, folding and line end. */
  readonly raw: string
}

export class Headers {
  private fields: Field[]

  private constructor(fields: Field[]) {
    this.fields = fields
  }

  /** Cuts a message, of which at least the header is here, into its fields and the rest, blank line included. */
  static parse(message: Uint8Array): { headers: Headers; rest: Uint8Array } {
    const fields: Field[] = []
    let at = 0
    while (at < message.length) {
      const end = lineEnd(message, at)
      const line = latin1(message.subarray(at, end))
      const last = fields[fields.length - 1]
      if ((line.startsWith(' ') || line.startsWith('\t')) && last && line.trim() !== '') {
        fields[fields.length - 1] = { name: last.name, raw: last.raw + withoutNul(line) }
      } else if (FIELD.test(line)) {
        const name = line.slice(0, line.indexOf(':')).trim().toLowerCase()
        fields.push({ name, raw: withoutNul(line) })
      } else break
      at = end
    }
    const rest = message.subarray(at)
    const opensBody = rest.length === 0 || (rest[0] === 0x0d && rest[1] === 0x0a)
    return {
      headers: new Headers(fields),
      rest: opensBody && rest.length > 0 ? rest : concat(toLatin1('\r\n'), rest),
    }
  }

  has(name: string): boolean {
    return this.fields.some((field) => field.name === name.toLowerCase())
  }

  count(name: string): number {
    return this.fields.filter((field) => field.name === name.toLowerCase()).length
  }

  /** The first field of that name, unfolded, as Latin-1 text; '' when there is none. */
  get(name: string): string {
    const field = this.fields.find((other) => other.name === name.toLowerCase())
    return field ? valueOf(field) : ''
  }

  /** All fields of that name. */
  all(name: string): string[] {
    return this.fields.filter((field) => field.name === name.toLowerCase()).map(valueOf)
  }

  prepend(name: string, value: string): void {
    this.fields.unshift(makeField(name, value))
  }

  append(name: string, value: string): void {
    this.fields.push(makeField(name, value))
  }

  /** Puts the value where the first field of that name stands, or at the end, and removes the others. */
  set(name: string, value: string): void {
    const index = this.fields.findIndex((field) => field.name === name.toLowerCase())
    if (index < 0) return this.append(name, value)
    this.fields[index] = makeField(name, value)
    this.fields = this.fields.filter((field, i) => i <= index || field.name !== name.toLowerCase())
  }

  remove(name: string): void {
    this.fields = this.fields.filter((field) => field.name !== name.toLowerCase())
  }

  toBytes(): Uint8Array {
    return toLatin1(this.fields.map((field) => field.raw).join(''))
  }

  toString(): string {
    return this.fields.map((field) => field.raw).join('')
  }
}

/** Text as one line that can stand in a header: control characters become blanks. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}

/** RFC 5322 §3.3, in UTC. */
export function mailDate(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000')
}

/** An unstructured value: plain where it is ASCII, else as encoded words of UTF-8 (RFC 2047). */
export function encodeText(text: string): string {
  const line = oneLine(text)
  if (/^[ -~]*$/.test(line) && !line.includes('=?')) return line
  const words: string[] = []
  let word = ''
  for (const char of line) {
    // 45 bytes make 60 characters of base64: below the 75 that an encoded word may have.
    if (Buffer.byteLength(word + char) > 45) {
      words.push(word)
      word = ''
    }
    word += char
  }
  words.push(word)
  return words.map((part) => `=?UTF-8?B?${Buffer.from(part).toString('base64')}?=`).join('\r\n ')
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

export function toLatin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function makeField(name: string, value: string): Field {
  // Folding that we made ourselves (CRLF and a blank) may stay.
  const lines = value.split(/\r\n(?=[ \t])/).map(oneLine)
  return { name: name.toLowerCase(), raw: `${name}: ${lines.join('\r\n ')}\r\n` }
}

function valueOf(field: Field): string {
  return field.raw
    .slice(field.raw.indexOf(':') + 1)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .trim()
}

function withoutNul(line: string): string {
  return line.includes('\0') ? line.replaceAll('\0', '') : line
}

function lineEnd(bytes: Uint8Array, from: number): number {
  const at = bytes.indexOf(0x0a, from)
  return at < 0 ? bytes.length : at + 1
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}
