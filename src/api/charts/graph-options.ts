/**
 * A picture's parameters (graphite-web render/glyph.py `customizable`, render/views.py parseOptions): empty
 * texts and `default` are as if not given; a number that is none is refused with its name.
 */

import { cut, type RequestParams } from '../http/request-params.ts'
import { RenderError } from '../render-series.ts'
import { type Color, colorOr, parseColor } from './color.ts'

export const PICTURE_PIXELS_MAX = 4_096

export class GraphOptions {
  private readonly params: RequestParams
  /** graphOnly and its like override what was asked. */
  private readonly overrides: ReadonlyMap<string, string>

  constructor(params: RequestParams, overrides: ReadonlyMap<string, string> = new Map()) {
    this.params = params
    this.overrides = overrides
  }

  with(overrides: Readonly<Record<string, string>>): GraphOptions {
    return new GraphOptions(this.params, new Map([...this.overrides, ...Object.entries(overrides)]))
  }

  text(name: string): string | undefined {
    const value = this.overrides.get(name) ?? this.params.last(name)
    return value === undefined || value === '' || value.toLowerCase() === 'default'
      ? undefined
      : value
  }

  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!Number.isFinite(value)) {
      throw new RenderError(`${name} must be a number, not ${JSON.stringify(cut(text))}`)
    }
    return value
  }

  flag(name: string): boolean | undefined {
    const text = this.text(name)
    return text === undefined ? undefined : !/^(?:0|false|no|off)$/i.test(text)
  }

  color(name: string, fallback: Color): Color {
    const text = this.text(name)
    if (text === undefined) return fallback
    const color = parseColor(text)
    if (!color) {
      throw new RenderError(`${name} must be a colour, not ${JSON.stringify(cut(text))}`)
    }
    return color
  }

  /** `colorList`, or the template's. */
  colors(name: string, fallback: readonly string[]): Color[] {
    const names = this.text(name)?.split(',') ?? fallback
    return names.map((one) => colorOr(one))
  }

  oneOf<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const text = this.text(name)?.toLowerCase()
    if (text === undefined) return fallback
    const found = choices.find((choice) => choice === text)
    if (found === undefined) {
      throw new RenderError(
        `${name} must be one of ${choices.join(', ')}, not ${JSON.stringify(cut(text))}`,
      )
    }
    return found
  }

  size(): { width: number; height: number } {
    return { width: this.pixels('width', 330), height: this.pixels('height', 250) }
  }

  private pixels(name: string, fallback: number): number {
    const value = this.number(name) ?? fallback
    if (value < 1 || value > PICTURE_PIXELS_MAX) {
      throw new RenderError(`${name} must be from 1 to ${PICTURE_PIXELS_MAX}`)
    }
    return Math.floor(value)
  }
}
