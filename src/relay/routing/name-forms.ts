/**
 * What rewrites made of a name, as it is sent, in the order in which it is sent so: one record, which the interner
 * keeps beside the name.
 *
 * ```
 *   length u16 │ bytes │ length u16 │ bytes │ …        little endian
 * ```
 */

const LENGTH_BYTES = 2
/** Of a record; a name that needs more has a plan of its own. */
const RECORD_BYTES_MAX = 4096

export class NameForms {
  /** The record: `view`, to `length`. */
  readonly view: DataView
  length: number
  private readonly record: Uint8Array
  /** Tags, which each form ends with: `source[tagsStart, tagsEnd)`. */
  private source: Uint8Array
  private tagsStart: number
  private tagsEnd: number
  private isKnown: boolean

  constructor() {
    this.record = new Uint8Array(RECORD_BYTES_MAX)
    this.length = 0
    this.view = new DataView(this.record.buffer)
    this.source = this.record
    this.tagsStart = 0
    this.tagsEnd = 0
    this.isKnown = false
  }

  begin(source: Uint8Array, tagsStart: number, tagsEnd: number): void {
    this.length = 0
    this.source = source
    this.tagsStart = tagsStart
    this.tagsEnd = tagsEnd
    this.isKnown = false
  }

  /** What is added next is another form. */
  changed(): void {
    this.isKnown = false
  }

  /** The name is sent as `text`, latin1, and its tags; false when there is no room. */
  add(text: string): boolean {
    if (this.isKnown) return true
    const { record, source, tagsStart, tagsEnd } = this
    const bytes = text.length + tagsEnd - tagsStart
    let at = this.length
    if (at + LENGTH_BYTES + bytes > RECORD_BYTES_MAX) return false
    record[at++] = bytes & 0xff
    record[at++] = bytes >> 8
    for (let i = 0; i < text.length; i++) record[at++] = text.charCodeAt(i)
    for (let i = tagsStart; i < tagsEnd; i++) record[at++] = source[i]!
    this.length = at
    this.isKnown = true
    return true
  }

  /** A form's bytes: a view, valid until the next name begins. */
  name(form: number): Uint8Array {
    const start = formStart(this.view, 0, form)
    return this.record.subarray(start, start + formLength(this.view, start))
  }
}

/** Where a form's bytes begin in a record that begins at `at`; `formLength` says how many there are. */
export function formStart(records: DataView, at: number, form: number): number {
  let start = at
  for (let i = 0; i < form; i++) start += LENGTH_BYTES + records.getUint16(start, true)
  return start + LENGTH_BYTES
}

/** Of the form that begins at `start`. */
export function formLength(records: DataView, start: number): number {
  return records.getUint16(start - LENGTH_BYTES, true)
}
