/**
 * All render functions by name, and what /functions says about them (graphite-web functions/views.py and
 * functions/params.py).
 */

import { ALIAS_FUNCTIONS } from './alias.ts'
import { CALCULATE_FUNCTIONS } from './calculate.ts'
import { COMBINE_FUNCTIONS } from './combine.ts'
import { DERIVATIVE_FUNCTIONS } from './derivative.ts'
import { CARBONAPI_ALIAS_FUNCTIONS } from './carbonapi-alias.ts'
import { CARBONAPI_SERIES_FUNCTIONS } from './carbonapi-series.ts'
import { CARBONAPI_STATISTICS_FUNCTIONS } from './carbonapi-statistics.ts'
import { CARBONAPI_TRANSFORM_FUNCTIONS } from './carbonapi-transform.ts'
import { FILTER_FUNCTIONS } from './filter.ts'
import type { RenderFunction } from './function.ts'
import type { Param } from './param.ts'
import { GRAPH_FUNCTIONS } from './graph.ts'
import { GROUP_FUNCTIONS } from './group.ts'
import { HOLT_WINTERS_FUNCTIONS } from './holt-winters.ts'
import { MOVING_FUNCTIONS } from './moving.ts'
import { RATIO_FUNCTIONS } from './ratio.ts'
import { SHIFT_FUNCTIONS } from './shift.ts'
import { SORT_FUNCTIONS } from './sort.ts'
import { SPECIAL_FUNCTIONS } from './special.ts'
import { SUMMARIZE_FUNCTIONS } from './summarize.ts'
import { TRANSFORM_FUNCTIONS } from './transform.ts'

const functions = new Map<string, RenderFunction>()

/** Every callable name, aliases too. */
export const FUNCTIONS: ReadonlyMap<string, RenderFunction> = functions

for (const list of [
  COMBINE_FUNCTIONS,
  GROUP_FUNCTIONS,
  RATIO_FUNCTIONS,
  TRANSFORM_FUNCTIONS,
  DERIVATIVE_FUNCTIONS,
  SUMMARIZE_FUNCTIONS,
  SHIFT_FUNCTIONS,
  MOVING_FUNCTIONS,
  HOLT_WINTERS_FUNCTIONS,
  CALCULATE_FUNCTIONS,
  FILTER_FUNCTIONS,
  SORT_FUNCTIONS,
  ALIAS_FUNCTIONS,
  GRAPH_FUNCTIONS,
  SPECIAL_FUNCTIONS,
  CARBONAPI_STATISTICS_FUNCTIONS,
  CARBONAPI_SERIES_FUNCTIONS,
  CARBONAPI_ALIAS_FUNCTIONS,
  CARBONAPI_TRANSFORM_FUNCTIONS,
]) {
  for (const each of list) {
    for (const name of [each.name, ...(each.aliases ?? [])]) functions.set(name, each)
  }
}

export function findFunction(name: string): RenderFunction | undefined {
  return FUNCTIONS.get(name)
}

/** One entry of /functions; keys that would be false or empty are left out, as graphite-web does. */
export interface FunctionInfo {
  readonly name: string
  /** The signature. */
  readonly function: string
  readonly description: string
  readonly module: string
  readonly group: string
  readonly params: readonly Param[]
}

/** Every callable name, sorted. A default of Infinity must be written as `1e9999` in JSON. */
export function describeFunctions(): Map<string, FunctionInfo> {
  const names = [...FUNCTIONS.keys()].sort()
  return new Map(names.map((name) => [name, describe(name, FUNCTIONS.get(name)!)]))
}

function describe(
  name: string,
  { group, description, params, signature, origin }: RenderFunction,
): FunctionInfo {
  return {
    name,
    function: signature ?? signatureOf(name, params),
    description,
    module:
      origin === 'carbonapi' ? 'graphite.render.functions.custom' : 'graphite.render.functions',
    group,
    params: params.map(shownParam),
  }
}

/** What a parameter does not have is left out; options stand in the order of Python's texts for them. */
function shownParam({
  name,
  type,
  required,
  default: otherwise,
  multiple,
  options,
  suggestions,
}: Param): Param {
  return {
    name,
    type,
    ...(required && { required }),
    ...(otherwise !== undefined && { default: otherwise }),
    ...(multiple && { multiple }),
    ...(options && {
      options: [...options].sort((a, b) => (pythonText(a) < pythonText(b) ? -1 : 1)),
    }),
    ...(suggestions && { suggestions }),
  }
}

function pythonText(value: string | number | boolean | null): string {
  if (value === null) return 'None'
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)
}

function signatureOf(name: string, params: readonly Param[]): string {
  return `${name}(${params.map(showParam).join(', ')})`
}

function showParam({ name, required, default: otherwise, multiple, type }: Param): string {
  if (multiple === true) return `*${name}`
  if (required === true) return name
  if (otherwise === undefined) return `${name}=${type === 'boolean' ? 'False' : 'None'}`
  return `${name}=${showDefault(otherwise)}`
}

function showDefault(value: string | number | boolean): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return value === Infinity ? 'INF' : String(value)
}
