/**
 * Arguments of a call put in order (positional, then by name) and checked against the declared types, as
 * graphite-web's functions/params.py does. Anything wrong is a `RenderError` that names function and parameter.
 */

import { parseOffset } from '../at-time.ts'
import { RenderError } from '../render-series.ts'
import { findAggregation } from './aggregation.ts'
import { BoundArguments, NONE, showValue, type Value } from './arguments.ts'
import type { Param } from './param.ts'

export interface NamedValue {
  readonly name: string
  readonly value: Value
}

/** Series that one call may be given, counted as often as they are given. */
const SERIES_MAX = 100_000
/** Nodes, tags and texts that one call may be given. */
const VALUES_MAX = 100

export function bindArguments(
  params: readonly Param[],
  name: string,
  positional: readonly Value[],
  named: readonly NamedValue[],
): BoundArguments {
  const last = params.at(-1)
  if (positional.length > params.length && last?.multiple !== true) {
    throw new RenderError(`${name}(): takes ${params.length} arguments, not ${positional.length}`)
  }
  checkCount(name, positional)
  const values: Value[] = positional.map((value, i) => {
    const param = params[Math.min(i, params.length - 1)]
    if (!param) throw new RenderError(`${name}(): takes no arguments`)
    return checkValue(name, param, value)
  })
  for (const { name: key, value } of named) {
    const position = params.findIndex((param) => param.name.toLowerCase() === key.toLowerCase())
    if (position < 0)
      throw new RenderError(`${name}(): there is no parameter ${JSON.stringify(key)}`)
    if (position < positional.length) throw new RenderError(`${name}(): ${key} is given twice`)
    while (values.length < position) values.push(NONE)
    values[position] = checkValue(name, params[position]!, value)
  }
  for (let i = 0; i < params.length; i++) {
    if (params[i]!.required === true && values[i] === undefined) {
      throw new RenderError(`${name}(): parameter ${params[i]!.name} is missing`)
    }
  }
  return new BoundArguments(values)
}

function checkCount(name: string, values: readonly Value[]): void {
  let series = 0
  let others = 0
  for (const value of values) {
    if (value.kind === 'series') series += value.list.length
    else if (value.kind === 'lists') for (const list of value.lists) series += list.length
    else others++
  }
  if (series > SERIES_MAX) {
    throw new RenderError(`${name}(): ${series} series: at most ${SERIES_MAX} are taken`, 413)
  }
  if (others > VALUES_MAX) {
    throw new RenderError(`${name}(): ${others} values: at most ${VALUES_MAX} are taken`)
  }
}

/** Which parameter a positional argument is for. */
export function isSeriesParam(param: Param | undefined): boolean {
  const type = param?.type
  return type === 'seriesList' || type === 'seriesLists' || type === 'series' || type === 'any'
}

function checkValue(name: string, param: Param, value: Value): Value {
  if (value.kind === 'none') {
    if (param.required !== true || param.default !== undefined) return value
    throw new RenderError(`${name}(): parameter ${param.name} must not be None`)
  }
  const checked = CHECKS[param.type](value)
  if (typeof checked === 'string') {
    throw new RenderError(
      `${name}(): parameter ${param.name} must be ${checked}, not ${brief(value)}`,
    )
  }
  if (param.options && param.open !== true && !isOption(param, checked)) {
    const options = param.options.join(', ')
    throw new RenderError(
      `${name}(): parameter ${param.name} must be one of ${options}, not ${brief(value)}`,
    )
  }
  return checked
}

/** Aggregations are checked by their own type, which knows more names than are shown. */
function isOption(param: Param, value: Value): boolean {
  if (param.type === 'aggFunc' || param.type === 'aggOrSeriesFunc') return true
  return param.options!.some((option) => String(option) === showValue(value))
}

function brief(value: Value): string {
  if (value.kind === 'series' || value.kind === 'lists') return 'a list of series'
  if (value.kind === 'string') return JSON.stringify(value.text.slice(0, 80))
  return showValue(value)
}

/** The value to use, or what it must be. */
type Check = (value: Value) => Value | string

const CHECKS: Readonly<Record<Param['type'], Check>> = {
  aggFunc: checkAggregation,
  aggOrSeriesFunc: checkText('the name of a function in quotes'),
  any: (value) => value,
  boolean: checkBoolean,
  date: checkText('a time in quotes'),
  float: checkFloat,
  integer: checkInteger,
  interval: checkInterval,
  intOrInterval: checkIntOrInterval,
  intOrInf: checkIntOrInf,
  node: checkInteger,
  nodeOrTag: checkText('the number of a node, or a tag in quotes'),
  series: checkSeries,
  seriesList: checkSeries,
  seriesLists: checkSeries,
  string: checkText('a text in quotes'),
  tag: checkText('a tag in quotes'),
}

function checkText(wanted: string): Check {
  return (value) => (value.kind === 'series' || value.kind === 'lists' ? wanted : value)
}

function checkSeries(value: Value): Value | string {
  return value.kind === 'series' || value.kind === 'lists' ? value : 'a list of series'
}

function checkAggregation(value: Value): Value | string {
  if (value.kind === 'string' && findAggregation(value.text)) return value
  return 'the name of an aggregation such as average, sum, min, max, median or last'
}

function checkBoolean(value: Value): Value | string {
  if (value.kind === 'boolean') return value
  if (value.kind === 'number' && (value.value === 0 || value.value === 1)) return value
  if (value.kind === 'string' && /^(?:true|false)$/i.test(value.text)) return value
  return 'true or false'
}

const NUMBER_RE = /^\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)\s*$/i

function checkFloat(value: Value): Value | string {
  const number = numberOf(value)
  return number === undefined ? 'a number' : { kind: 'number', value: number, isInteger: false }
}

function numberOf(value: Value): number | undefined {
  if (value.kind === 'number') return value.value
  if (value.kind === 'boolean') return Number(value.value)
  if (value.kind !== 'string' || !NUMBER_RE.test(value.text)) return undefined
  const text = value.text.trim().toLowerCase()
  return text.includes('inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

function checkInteger(value: Value): Value | string {
  if (value.kind === 'number' && value.isInteger) return value
  if (value.kind === 'boolean')
    return { kind: 'number', value: Number(value.value), isInteger: true }
  if (value.kind === 'string' && /^\s*[+-]?\d+\s*$/.test(value.text)) {
    return { kind: 'number', value: Number(value.text), isInteger: true }
  }
  return 'a whole number'
}

function checkIntOrInf(value: Value): Value | string {
  if (numberOf(value) === Infinity) return { kind: 'number', value: Infinity, isInteger: false }
  const integer = checkInteger(value)
  return typeof integer === 'string' ? 'a whole number or inf' : integer
}

function checkInterval(value: Value): Value | string {
  const wanted = 'an interval in quotes, such as "5min" or "1d"'
  if (value.kind !== 'string') return wanted
  return value.text !== '' && parseOffset(value.text).ok ? value : wanted
}

function checkIntOrInterval(value: Value): Value | string {
  if (value.kind === 'number' && Number.isFinite(value.value)) return value
  if (value.kind === 'string' && value.text !== '' && parseOffset(value.text).ok) return value
  return 'a number of points, or an interval in quotes such as "5min"'
}
