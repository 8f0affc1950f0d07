/**
 * The arguments of a call, checked (check-arguments.ts) and read by position.
 *
 * Numbers remember how they were written, because names of series show `5` and `5.0` as Python does.
 */

import { pythonNumber } from '../python-format.ts'
import type { RenderSeries } from '../render-series.ts'

export type Value =
  | { readonly kind: 'number'; readonly value: number; readonly isInteger: boolean }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'none' }
  | { readonly kind: 'series'; readonly list: readonly RenderSeries[] }
  | { readonly kind: 'lists'; readonly lists: readonly (readonly RenderSeries[])[] }

export const NONE: Value = { kind: 'none' }

/** As Python's str() shows it. */
export function showValue(value: Value): string {
  switch (value.kind) {
    case 'number':
      return pythonNumber(value.value, value.isInteger)
    case 'string':
      return value.text
    case 'boolean':
      return value.value ? 'True' : 'False'
    case 'none':
      return 'None'
    default:
      return ''
  }
}

/** Checked arguments by the position of their parameter; a `multiple` one has all that are left. */
export class BoundArguments {
  readonly #values: readonly Value[]

  constructor(values: readonly Value[]) {
    this.#values = values
  }

  /** Whether it was given, and is not None. */
  has(position: number): boolean {
    return (this.#values[position] ?? NONE).kind !== 'none'
  }

  at(position: number): Value {
    return this.#values[position] ?? NONE
  }

  /** How many values there are from a position on. */
  countFrom(position: number): number {
    return Math.max(this.#values.length - position, 0)
  }

  series(position: number): readonly RenderSeries[] {
    const value = this.at(position)
    if (value.kind === 'series') return value.list
    return value.kind === 'lists' ? value.lists.flat() : []
  }

  lists(position: number): readonly (readonly RenderSeries[])[] {
    const value = this.at(position)
    if (value.kind === 'lists') return value.lists
    return value.kind === 'series' ? [value.list] : []
  }

  /** The lists of a `multiple` parameter of series, one after the other. */
  seriesFrom(position: number): readonly RenderSeries[] {
    if (this.countFrom(position) === 1) return this.series(position)
    const all: RenderSeries[] = []
    for (let i = position; i < this.#values.length; i++) {
      for (const series of this.series(i)) all.push(series)
    }
    return all
  }

  number(position: number): number
  number(position: number, otherwise: number): number
  number(position: number, otherwise: undefined): number | undefined
  number(position: number, otherwise?: number): number | undefined {
    const value = this.at(position)
    if (value.kind === 'number') return value.value
    if (value.kind === 'string' && value.text !== '') return Number(value.text)
    return value.kind === 'boolean' ? Number(value.value) : otherwise
  }

  text(position: number, otherwise = ''): string {
    const value = this.at(position)
    return value.kind === 'none' ? otherwise : showValue(value)
  }

  flag(position: number, otherwise = false): boolean {
    const value = this.at(position)
    if (value.kind === 'boolean') return value.value
    if (value.kind === 'string') return value.text.toLowerCase() === 'true'
    return value.kind === 'number' ? value.value !== 0 : otherwise
  }

  /** Values from a position on, as text. */
  textsFrom(position: number): string[] {
    return this.#values.slice(position).map(showValue)
  }

  valuesFrom(position: number): readonly Value[] {
    return this.#values.slice(position)
  }
}
