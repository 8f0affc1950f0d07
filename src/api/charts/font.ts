/**
 * The typefaces that pictures are set in, DejaVu (a package, so that every machine draws the same), and their
 * measures, read from the TrueType files (OpenType specification: head, hhea, hmtx, cmap).
 *
 * `fontName` chooses by kind: what sounds like serif, mono or condensed is that, everything else is Sans.
 */

import { dirname } from 'node:path'
import { assert } from '../../lib/assert.ts'

export interface FontStyle {
  readonly name: string
  readonly bold: boolean
  readonly italic: boolean
}

export class FontFace {
  /** As SVG and the rasteriser know it. */
  readonly family: string
  readonly bold: boolean
  readonly italic: boolean
  readonly path: string
  readonly bytes: Uint8Array
  readonly unitsPerEm: number
  readonly ascent: number
  readonly descent: number
  private readonly view: DataView
  private readonly tables: Map<string, number>
  private readonly advances: number
  private readonly cmap: number
  private readonly glyphs: Map<number, number>

  constructor(
    file: { path: string; bytes: Uint8Array },
    style: { family: string; bold: boolean; italic: boolean },
  ) {
    this.family = style.family
    this.bold = style.bold
    this.italic = style.italic
    this.path = file.path
    this.bytes = file.bytes
    const { buffer, byteOffset, byteLength } = file.bytes
    const view = new DataView(buffer, byteOffset, byteLength)
    this.view = view
    this.tables = readTables(view)
    this.unitsPerEm = view.getUint16(this.table('head') + 18)
    this.ascent = view.getInt16(this.table('hhea') + 4) / this.unitsPerEm
    this.descent = -view.getInt16(this.table('hhea') + 6) / this.unitsPerEm
    this.advances = view.getUint16(this.table('hhea') + 34)
    this.cmap = findCmap(view, this.table('cmap'))
    this.glyphs = new Map()
  }

  /** Width of a text in pixels at `size`. */
  widthOf(text: string, size: number): number {
    let units = 0
    for (const char of text) units += this.advanceOf(this.glyphOf(char.codePointAt(0)!))
    return (units * size) / this.unitsPerEm
  }

  /** 0 for a character that the face does not have. */
  glyphOf(codePoint: number): number {
    let glyph = this.glyphs.get(codePoint)
    if (glyph === undefined) {
      glyph = codePoint > 0xffff ? 0 : this.lookUp(codePoint)
      this.glyphs.set(codePoint, glyph)
    }
    return glyph
  }

  /** In units of the em. */
  advanceOf(glyph: number): number {
    const index = Math.min(glyph, this.advances - 1)
    return this.view.getUint16(this.table('hmtx') + index * 4)
  }

  /** cmap format 4: segments of code points, sorted by their end. */
  private lookUp(codePoint: number): number {
    const { view, cmap } = this
    const segments = view.getUint16(cmap + 6) / 2
    const ends = cmap + 14
    const starts = ends + segments * 2 + 2
    for (let i = 0; i < segments; i++) {
      if (view.getUint16(ends + i * 2) < codePoint) continue
      const start = view.getUint16(starts + i * 2)
      if (start > codePoint) return 0
      const delta = view.getUint16(starts + segments * 2 + i * 2)
      const rangeAt = starts + segments * 4 + i * 2
      const range = view.getUint16(rangeAt)
      if (range === 0) return (codePoint + delta) & 0xffff
      const glyph = view.getUint16(rangeAt + range + (codePoint - start) * 2)
      return glyph === 0 ? 0 : (glyph + delta) & 0xffff
    }
    return 0
  }

  private table(tag: string): number {
    const at = this.tables.get(tag)
    assert(at !== undefined, `font ${this.path} has no table ${tag}`)
    return at
  }
}

function readTables(view: DataView): Map<string, number> {
  const tables = new Map<string, number>()
  const count = view.getUint16(4)
  for (let i = 0; i < count; i++) {
    const at = 12 + i * 16
    const tag = String.fromCharCode(...[0, 1, 2, 3].map((j) => view.getUint8(at + j)))
    tables.set(tag, view.getUint32(at + 8))
  }
  return tables
}

function findCmap(view: DataView, cmap: number): number {
  const count = view.getUint16(cmap + 2)
  for (let i = 0; i < count; i++) {
    const at = cmap + view.getUint32(cmap + 8 + i * 8)
    if (view.getUint16(at) === 4) return at
  }
  throw new Error('font without a cmap of format 4')
}

const FONT_DIR = `${dirname(Bun.fileURLToPath(import.meta.resolve('dejavu-fonts-ttf/package.json')))}/ttf`

const faces = new Map<string, FontFace>()

/** The face for a style; read from its file at the first use and kept. */
export async function loadFace(style: FontStyle): Promise<FontFace> {
  const name = style.name.toLowerCase()
  const serif = /serif|times|georgia|roman/.test(name) && !/sans/.test(name)
  const mono = /mono|courier|consol|fixed/.test(name)
  const condensed = !mono && /condensed|narrow/.test(name)
  const kind = `${mono ? 'SansMono' : serif ? 'Serif' : 'Sans'}${condensed ? 'Condensed' : ''}`
  const slant = serif ? 'Italic' : 'Oblique'
  const variant = `${style.bold ? 'Bold' : ''}${style.italic ? slant : ''}`
  const file = `DejaVu${kind}${variant === '' ? '' : `-${variant}`}.ttf`
  let face = faces.get(file)
  if (!face) {
    const path = `${FONT_DIR}/${file}`
    const family = `DejaVu ${mono ? 'Sans Mono' : serif ? 'Serif' : 'Sans'}${condensed ? ' Condensed' : ''}`
    const bytes = await Bun.file(path).bytes()
    face = new FontFace({ path, bytes }, { family, bold: style.bold, italic: style.italic })
    faces.set(file, face)
  }
  return face
}
