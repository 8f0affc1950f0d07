/**
 * A drawing as a one-page PDF 1.5 (ISO 32000): lines stay lines and text stays text, set in the embedded
 * glyphs that are used. A pixel is 1/96 inch, so a picture is as large on paper as on a screen.
 */

import { deflateSync } from 'node:zlib'
import { toUtf8 } from '../../lib/bytes.ts'
import type { Color } from './color.ts'
import type { Drawing, Shape } from './drawing.ts'
import type { FontFace } from './font.ts'
import { subsetFont } from './font-subset.ts'
import { number } from './svg.ts'

const POINTS_A_PIXEL = 72 / 96

interface UsedFont {
  readonly name: string
  /** Glyph → code point. */
  readonly glyphs: Map<number, number>
}

export function printPdf(drawing: Drawing): Uint8Array<ArrayBuffer> {
  const fonts = new Map<FontFace, UsedFont>()
  const alphas = new Map<number, string>()
  const content = printContent(drawing, { fonts, alphas })
  const file = new PdfFile()
  const fontObjects = [...fonts].map(
    ([face, used]) => `/${used.name} ${addFont(file, face, used)} 0 R`,
  )
  const states = [...alphas].map(([alpha, name]) => `/${name} << /ca ${alpha} /CA ${alpha} >>`)
  const contentObject = file.addStream('', toUtf8(content))
  const pagesObject = file.reserve()
  const width = number(drawing.width * POINTS_A_PIXEL)
  const height = number(drawing.height * POINTS_A_PIXEL)
  const page = file.add(
    `<< /Type /Page /Parent ${pagesObject} 0 R /MediaBox [0 0 ${width} ${height}] /Contents ${contentObject} 0 R ` +
      `/Resources << /Font << ${fontObjects.join(' ')} >> /ExtGState << ${states.join(' ')} >> >> >>`,
  )
  file.set(pagesObject, `<< /Type /Pages /Kids [${page} 0 R] /Count 1 >>`)
  return file.finish(file.add(`<< /Type /Catalog /Pages ${pagesObject} 0 R >>`))
}

interface Resources {
  readonly fonts: Map<FontFace, UsedFont>
  readonly alphas: Map<number, string>
}

/** Coordinates as in the drawing: from the upper left corner, in pixels. */
function printContent(drawing: Drawing, resources: Resources): string {
  const scale = POINTS_A_PIXEL
  const parts = [`${scale} 0 0 ${-scale} 0 ${number(drawing.height * scale)} cm 1 j`]
  for (const { shapes } of drawing.groups) {
    for (const shape of shapes) {
      parts.push(shape.kind === 'text' ? printText(shape, resources) : printPath(shape, resources))
    }
  }
  return parts.join('\n')
}

function printPath(shape: Extract<Shape, { kind: 'path' }>, { alphas }: Resources): string {
  const { clip, fill, stroke, lines, closed } = shape
  const parts = ['q']
  if (clip) {
    const box = [clip.x, clip.y, clip.width, clip.height].map(number).join(' ')
    parts.push(`${box} re W n`)
  }
  const path = lines.map((line) => pathData(line, closed)).join('\n')
  if (fill) parts.push(`${alphaName(fill, alphas)} ${rgb(fill)} rg`, path, 'f')
  if (stroke && stroke.width > 0) {
    const dash = stroke.dash ? `[${number(stroke.dash)}] 0 d ` : ''
    parts.push(
      `${alphaName(stroke.color, alphas)} ${rgb(stroke.color)} RG ${dash}${number(stroke.width)} w`,
      path,
      'S',
    )
  }
  parts.push('Q')
  return parts.join('\n')
}

function pathData(line: readonly number[], closed: boolean): string {
  const parts: string[] = []
  for (let i = 0; i < line.length; i += 2) {
    parts.push(`${number(line[i]!)} ${number(line[i + 1]!)} ${i === 0 ? 'm' : 'l'}`)
  }
  return `${parts.join(' ')}${closed ? ' h' : ''}`
}

function printText(shape: Extract<Shape, { kind: 'text' }>, { fonts, alphas }: Resources): string {
  const { face, size, text, anchor, rotation, color } = shape
  const used = fonts.get(face) ?? { name: `F${fonts.size + 1}`, glyphs: new Map<number, number>() }
  fonts.set(face, used)
  let codes = ''
  for (const char of text) {
    const codePoint = char.codePointAt(0)!
    const glyph = face.glyphOf(codePoint)
    used.glyphs.set(glyph, codePoint)
    codes += glyph.toString(16).padStart(4, '0')
  }
  const width = face.widthOf(text, size)
  const back = anchor === 'start' ? 0 : anchor === 'middle' ? width / 2 : width
  const angle = (rotation * Math.PI) / 180
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  const x = shape.x - back * cos
  const y = shape.y - back * sin
  const matrix = [cos, sin, sin, -cos, x, y].map((value) => Math.round(value * 1e4) / 1e4)
  const paint = `${alphaName(color, alphas)} ${rgb(color)} rg`
  return `q ${paint} BT /${used.name} ${number(size)} Tf ${matrix.join(' ')} Tm <${codes}> Tj ET Q`
}

function rgb(color: Color): string {
  return [1, 3, 5]
    .map((at) => number(Number.parseInt(color.hex.slice(at, at + 2), 16) / 255))
    .join(' ')
}

function alphaName(color: Color, alphas: Map<number, string>): string {
  const alpha = Math.round(color.alpha * 100) / 100
  const name = alphas.get(alpha) ?? `A${alphas.size + 1}`
  alphas.set(alpha, name)
  return `/${name} gs`
}

// ── fonts ───────────────────────────────────────────────────────────────────────────────────────────

/** A composite font whose codes are glyph numbers. */
function addFont(file: PdfFile, face: FontFace, { glyphs }: UsedFont): number {
  const thousandth = (units: number): number => Math.round((units * 1000) / face.unitsPerEm)
  const name = `EMONAA+${face.family.replaceAll(' ', '')}${face.bold ? '-Bold' : ''}${face.italic ? '-Oblique' : ''}`
  const program = file.addStream('', subsetFont(face.bytes, new Set(glyphs.keys())))
  const ascent = Math.round(face.ascent * 1000)
  const descent = Math.round(-face.descent * 1000)
  const descriptor = file.add(
    `<< /Type /FontDescriptor /FontName /${name} /Flags 32 /FontBBox [-1000 ${descent} 2000 ${ascent}] ` +
      `/ItalicAngle ${face.italic ? -12 : 0} /Ascent ${ascent} /Descent ${descent} /CapHeight 730 /StemV 80 ` +
      `/FontFile2 ${program} 0 R >>`,
  )
  const widths = [...glyphs.keys()].map(
    (glyph) => `${glyph} [${thousandth(face.advanceOf(glyph))}]`,
  )
  const descendant = file.add(
    `<< /Type /Font /Subtype /CIDFontType2 /BaseFont /${name} /FontDescriptor ${descriptor} 0 R ` +
      `/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> ` +
      `/CIDToGIDMap /Identity /W [${widths.join(' ')}] >>`,
  )
  const unicode = file.addStream('', toUtf8(toUnicode(glyphs)))
  return file.add(
    `<< /Type /Font /Subtype /Type0 /BaseFont /${name} /Encoding /Identity-H ` +
      `/DescendantFonts [${descendant} 0 R] /ToUnicode ${unicode} 0 R >>`,
  )
}

/** Which character a glyph stands for, so that text can be searched and copied. */
function toUnicode(glyphs: ReadonlyMap<number, number>): string {
  const hex = (value: number): string => value.toString(16).padStart(4, '0')
  const entries = [...glyphs].map(([glyph, codePoint]) => `<${hex(glyph)}> <${hex(codePoint)}>`)
  const blocks: string[] = []
  for (let i = 0; i < entries.length; i += 100) {
    const block = entries.slice(i, i + 100)
    blocks.push(`${block.length} beginbfchar\n${block.join('\n')}\nendbfchar`)
  }
  return [
    '/CIDInit /ProcSet findresource begin 12 dict begin begincmap',
    '/CMapName /Adobe-Identity-UCS def /CMapType 2 def',
    '1 begincodespacerange <0000> <ffff> endcodespacerange',
    ...blocks,
    'endcmap CMapName currentdict /CMap defineresource pop end end',
  ].join('\n')
}

// ── the file ────────────────────────────────────────────────────────────────────────────────────────

class PdfFile {
  private readonly objects: (Uint8Array | undefined)[] = []

  reserve(): number {
    return this.objects.push(undefined)
  }

  set(object: number, body: string): void {
    this.objects[object - 1] = toUtf8(body)
  }

  add(body: string): number {
    const object = this.reserve()
    this.set(object, body)
    return object
  }

  /** Compressed. */
  addStream(entries: string, data: Uint8Array): number {
    const packed = deflateSync(data)
    const head = `<< /Length ${packed.length} /Length1 ${data.length} /Filter /FlateDecode ${entries}>>\nstream\n`
    const object = this.reserve()
    this.objects[object - 1] = Buffer.concat([toUtf8(head), packed, toUtf8('\nendstream')])
    return object
  }

  finish(root: number): Uint8Array<ArrayBuffer> {
    const parts: Uint8Array[] = [Buffer.from('%PDF-1.5\n%\u00e2\u00e3\u00cf\u00d3\n', 'latin1')]
    const offsets: number[] = []
    let length = parts[0]!.length
    this.objects.forEach((body, i) => {
      offsets.push(length)
      const object = Buffer.concat([toUtf8(`${i + 1} 0 obj\n`), body!, toUtf8('\nendobj\n')])
      parts.push(object)
      length += object.length
    })
    const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`)
    parts.push(
      toUtf8(
        `xref\n0 ${offsets.length + 1}\n0000000000 65535 f \n${table.join('')}` +
          `trailer\n<< /Size ${offsets.length + 1} /Root ${root} 0 R >>\nstartxref\n${length}\n%%EOF\n`,
      ),
    )
    return new Uint8Array(Buffer.concat(parts))
  }
}
