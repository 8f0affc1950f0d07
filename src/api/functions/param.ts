/**
 * The parameters of render functions, as they are declared: /functions shows them, and check-arguments.ts holds calls
 * to them.
 */

export type ParamType =
  | 'aggFunc'
  | 'aggOrSeriesFunc'
  | 'any'
  | 'boolean'
  | 'date'
  | 'float'
  | 'integer'
  | 'interval'
  | 'intOrInterval'
  | 'intOrInf'
  | 'node'
  | 'nodeOrTag'
  | 'series'
  | 'seriesList'
  | 'seriesLists'
  | 'string'
  | 'tag'

export interface Param {
  readonly name: string
  readonly type: ParamType
  readonly required?: true
  /** Only for show where it is Infinity or false; `run` has the last word. */
  readonly default?: string | number | boolean
  /** The last parameter, any number of times. */
  readonly multiple?: true
  readonly options?: readonly (string | number | boolean | null)[]
  /** Other values than the options are taken too. */
  readonly open?: true
  readonly suggestions?: readonly (string | number)[]
}

type ParamExtras = Omit<Param, 'name' | 'type' | 'required'>

export function required(type: ParamType, name: string, extras: ParamExtras = {}): Param {
  return { name, type, required: true, ...extras }
}

export function optional(type: ParamType, name: string, extras: ParamExtras = {}): Param {
  return { name, type, ...extras }
}

export const SERIES_LIST = required('seriesList', 'seriesList')
export const SERIES_LISTS = required('seriesList', 'seriesLists', { multiple: true })
