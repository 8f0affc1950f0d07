/** Colours as graph parameters name them (graphite-web render/glyph.py): 22 names, `#RRGGBB`, `RRGGBBAA`. */

export interface Color {
  /** `#rrggbb`. */
  readonly hex: string
  /** 0 (transparent) to 1. */
  readonly alpha: number
}

const NAMED: Readonly<Record<string, string>> = {
  black: '#000000',
  white: '#ffffff',
  blue: '#6464ff',
  green: '#00c800',
  red: '#c80032',
  yellow: '#ffff00',
  orange: '#ffa500',
  purple: '#c864ff',
  brown: '#966432',
  cyan: '#00ffff',
  aqua: '#009696',
  gray: '#afafaf',
  grey: '#afafaf',
  magenta: '#ff00ff',
  pink: '#ff6464',
  gold: '#c8c800',
  rose: '#c896c8',
  darkblue: '#0000ff',
  darkgreen: '#00ff00',
  darkred: '#ff0000',
  darkgray: '#6f6f6f',
  darkgrey: '#6f6f6f',
}

const BLACK: Color = { hex: '#000000', alpha: 1 }

/** Undefined when the text is no colour. */
export function parseColor(text: string): Color | undefined {
  const name = text.trim().toLowerCase()
  const named = NAMED[name]
  if (named !== undefined) return { hex: named, alpha: 1 }
  const digits = name.replace(/^(?:#|%23)/, '')
  if (/^[0-9a-f]{3}$/.test(digits)) return { hex: `#${digits.replaceAll(/./g, '$&$&')}`, alpha: 1 }
  if (!/^[0-9a-f]{6}(?:[0-9a-f]{2})?$/.test(digits)) return undefined
  const alpha = digits.length === 8 ? Number.parseInt(digits.slice(6), 16) / 255 : 1
  return { hex: `#${digits.slice(0, 6)}`, alpha }
}

export function colorOr(text: string | undefined, fallback: Color = BLACK): Color {
  return (text === undefined ? undefined : parseColor(text)) ?? fallback
}

export function withAlpha(color: Color, alpha: number): Color {
  return { hex: color.hex, alpha: Math.min(1, Math.max(0, alpha)) }
}

/** Black, or white on what is dark: a little transparency aside, by how bright the eye takes the colour for. */
export function readableOn({ hex }: Color): Color {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16))
  const brightness = 0.299 * red! + 0.587 * green! + 0.114 * blue!
  return brightness < 90 ? { hex: '#ffffff', alpha: 1 } : BLACK
}
