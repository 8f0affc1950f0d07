/**
 * A TrueType file cut down to some of its glyphs, for embedding (OpenType specification: glyf, loca). Glyphs
 * keep their numbers; the outlines of the others are left out. Parts of composed glyphs are kept too.
 */

const KEPT_TABLES = ['cvt ', 'fpgm', 'glyf', 'head', 'hhea', 'hmtx', 'loca', 'maxp', 'prep']

export function subsetFont(bytes: Uint8Array, glyphs: ReadonlySet<number>): Uint8Array {
  const tables = readTables(bytes)
  const head = viewOf(tables.get('head')!)
  const long = head.getUint16(50) === 1
  const count = viewOf(tables.get('maxp')!).getUint16(4)
  const loca = viewOf(tables.get('loca')!)
  const glyf = tables.get('glyf')!
  const offsetOf = (glyph: number): number =>
    long ? loca.getUint32(glyph * 4) : loca.getUint16(glyph * 2) * 2
  const outline = (glyph: number): Uint8Array => glyf.subarray(offsetOf(glyph), offsetOf(glyph + 1))
  const kept = withParts(glyphs, outline)
  const outlines: Uint8Array[] = []
  const offsets = new DataView(new ArrayBuffer((count + 1) * 4))
  let length = 0
  for (let glyph = 0; glyph < count; glyph++) {
    offsets.setUint32(glyph * 4, length)
    if (!kept.has(glyph)) continue
    const data = outline(glyph)
    const padded = new Uint8Array(Math.ceil(data.length / 4) * 4)
    padded.set(data)
    outlines.push(padded)
    length += padded.length
  }
  offsets.setUint32(count * 4, length)
  const newHead = tables.get('head')!.slice()
  viewOf(newHead).setUint16(50, 1)
  tables.set('head', newHead)
  tables.set('loca', new Uint8Array(offsets.buffer))
  tables.set('glyf', Buffer.concat(outlines))
  return writeFont(tables)
}

/** Flags of a composed glyph's parts. */
const WORDS = 0x0001
const SCALE = 0x0008
const MORE = 0x0020
const TWO_SCALES = 0x0040
const MATRIX = 0x0080

function withParts(
  glyphs: ReadonlySet<number>,
  outline: (glyph: number) => Uint8Array,
): ReadonlySet<number> {
  const kept = new Set<number>([0])
  const waiting = [...glyphs]
  for (let glyph = waiting.pop(); glyph !== undefined; glyph = waiting.pop()) {
    if (kept.has(glyph)) continue
    kept.add(glyph)
    const data = outline(glyph)
    if (data.length < 10) continue
    const view = viewOf(data)
    if (view.getInt16(0) >= 0) continue
    let at = 10
    let flags = MORE
    while (flags & MORE) {
      flags = view.getUint16(at)
      waiting.push(view.getUint16(at + 2))
      at += 4 + (flags & WORDS ? 4 : 2)
      at += flags & SCALE ? 2 : flags & TWO_SCALES ? 4 : flags & MATRIX ? 8 : 0
    }
  }
  return kept
}

function readTables(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = viewOf(bytes)
  const tables = new Map<string, Uint8Array>()
  for (let i = 0; i < view.getUint16(4); i++) {
    const at = 12 + i * 16
    const tag = Buffer.from(bytes.subarray(at, at + 4)).toString('latin1')
    const offset = view.getUint32(at + 8)
    tables.set(tag, new Uint8Array(bytes.subarray(offset, offset + view.getUint32(at + 12))))
  }
  return tables
}

function writeFont(tables: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const tags = KEPT_TABLES.filter((tag) => tables.has(tag))
  let offset = 12 + tags.length * 16
  const directory = new DataView(new ArrayBuffer(offset))
  directory.setUint32(0, 0x0001_0000)
  directory.setUint16(4, tags.length)
  const power = Math.floor(Math.log2(tags.length))
  directory.setUint16(6, 2 ** power * 16)
  directory.setUint16(8, power)
  directory.setUint16(10, tags.length * 16 - 2 ** power * 16)
  const parts: Uint8Array[] = [new Uint8Array(directory.buffer)]
  tags.forEach((tag, i) => {
    const data = tables.get(tag)!
    const at = 12 + i * 16
    for (let j = 0; j < 4; j++) directory.setUint8(at + j, tag.charCodeAt(j))
    directory.setUint32(at + 4, checksum(data))
    directory.setUint32(at + 8, offset)
    directory.setUint32(at + 12, data.length)
    const padding = (4 - (data.length % 4)) % 4
    parts.push(data, new Uint8Array(padding))
    offset += data.length + padding
  })
  return Buffer.concat(parts)
}

function checksum(data: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum = (sum + data[i]! * 2 ** (24 - 8 * (i % 4))) % 2 ** 32
  return sum
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
