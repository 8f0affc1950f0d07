/** Arguments that are regular expressions, compiled; or a refusal that says why not. */

import {
  compilePythonRegex,
  compileReplacer,
  type PythonRegex,
  type Replacer,
} from '../../lib/python-regex.ts'
import { RenderError } from '../render-series.ts'

export function compilePattern(pattern: string): PythonRegex {
  const regex = compilePythonRegex(pattern)
  if (!regex.ok) throw new RenderError(regex.error)
  return regex.value
}

/** Of an argument to search for, and one to put in its place. */
export function compileReplacement(search: string, replace: string): Replacer {
  const replacer = compileReplacer(search, replace)
  if (!replacer.ok) throw new RenderError(replacer.error)
  return replacer.value
}
