/**
 * The INI dialect of storage-schemas.conf and storage-aggregation.conf, as python carbon and go-carbon read it:
 * `[section]`, `key = value` or `key: value` (the first of both splits; keys in any case; quotes around a value are no
 * part of it), lines that begin with `#` or `;` are comments. An indented line without `=` goes on with the value
 * before it. Anything else is a problem, with its line.
 */

export interface IniValue {
  readonly text: string
  readonly line: number
}

export interface IniSection {
  readonly name: string
  readonly line: number
  /** By key in lower case; of two values the last counts. */
  readonly values: ReadonlyMap<string, IniValue>
}

export interface IniProblem {
  readonly line: number
  readonly problem: string
}

export function parseIni(text: string): { sections: IniSection[]; problems: IniProblem[] } {
  const sections: IniSection[] = []
  const problems: IniProblem[] = []
  let values: Map<string, IniValue> | undefined
  let lastKey: string | undefined
  let line = 0
  for (const raw of text.split('\n')) {
    line++
    const content = raw.trim()
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue
    const header = /^\[(.+)\]$/.exec(content)
    const before = lastKey === undefined ? undefined : values?.get(lastKey)
    const isIndented = raw.trimEnd().length > content.length
    const equals = content.search(/[=:]/)
    if (header) {
      values = new Map()
      lastKey = undefined
      sections.push({ name: header[1]!.trim(), line, values })
    } else if (before && isIndented && !content.includes('='))
      values!.set(lastKey!, { ...before, text: `${before.text}\n${content}` })
    else if (equals < 1) problems.push({ line, problem: `cannot parse ${JSON.stringify(content)}` })
    else if (!values) problems.push({ line, problem: 'a value before the first [section]' })
    else {
      lastKey = content.slice(0, equals).trim().toLowerCase()
      values.set(lastKey, { text: unquoted(content.slice(equals + 1).trim()), line })
    }
  }
  return { sections, problems }
}

function unquoted(value: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return quoted ? quoted[2]! : value
}
