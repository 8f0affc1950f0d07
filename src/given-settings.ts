/**
 * What was said in emon.toml, the environment and flags, before it is checked: one tree, and for each setting the
 * place that said it last. The schema that checks it is in config.ts.
 */

import { TOML } from 'bun'
import { fromUtf8 } from './lib/bytes.ts'
import { type Disk, isMissing } from './lib/disk.ts'
import { reason } from './lib/log.ts'
import { err, ok, type Result } from './lib/result.ts'

export class GivenSettings {
  readonly tree: Record<string, unknown> = {}
  readonly sources = new Map<string, string>()

  addFile(disk: Disk, file: string, mustExist: boolean): Result<void> {
    let content: string
    try {
      content = fromUtf8(disk.readFile(file))
    } catch (error) {
      if (isMissing(error) && !mustExist) return ok(undefined)
      return err(`${file}: cannot be read: ${reason(error)}`)
    }
    try {
      this.addTable(TOML.parse(content) as Record<string, unknown>, '', { file, content })
      return ok(undefined)
    } catch (error) {
      return err(`${file}:${tomlErrorLine(content)}: ${reason(error)}`)
    }
  }

  addEnvironment(
    variables: readonly (readonly [variable: string, setting: string])[],
    input: { environment: Readonly<Record<string, string | undefined>>; disk: Disk },
  ): string[] {
    const complaints: string[] = []
    for (const [variable, setting] of variables) {
      const value = input.environment[variable]
      const fileVariable = `${variable}_FILE`
      const path = input.environment[fileVariable]
      if (path !== undefined) {
        try {
          this.set(setting, fromUtf8(input.disk.readFile(path)).trim(), `$${fileVariable}`)
        } catch (error) {
          complaints.push(`$${fileVariable}: ${path} cannot be read: ${reason(error)}`)
        }
      } else if (value !== undefined) this.set(setting, value, `$${variable}`)
    }
    return complaints
  }

  set(setting: string, value: unknown, source: string): void {
    const [section, key] = setting.split('.')
    if (key === undefined) this.tree[setting] = value
    else {
      const table = this.tree[section!]
      if (typeof table === 'object' && table !== null) Object.assign(table, { [key]: value })
      else this.tree[section!] = { [key]: value }
    }
    this.sources.set(setting, source)
  }

  /** Where a setting, or else its table, was given. */
  place(setting: string): string {
    return this.sources.get(setting) ?? this.sources.get(setting.split('.')[0]!) ?? 'configuration'
  }

  private addTable(
    table: Record<string, unknown>,
    prefix: string,
    origin: { file: string; content: string },
  ): void {
    for (const [key, value] of Object.entries(table)) {
      const setting = prefix + key
      const source = `${origin.file}:${findLine(origin.content, setting)}`
      if (prefix === '' && typeof value === 'object' && value !== null && !Array.isArray(value)) {
        this.tree[key] = {}
        this.sources.set(key, source)
        this.addTable(value as Record<string, unknown>, `${key}.`, origin)
      } else this.set(setting, value, source)
    }
  }
}

/** Bun's parser does not say where it stopped: the line after the longest run of lines that is TOML. */
function tomlErrorLine(content: string): number {
  const lines = content.split('\n')
  for (let count = lines.length - 1; count > 0; count--) {
    try {
      TOML.parse(lines.slice(0, count).join('\n'))
      return count + 1
    } catch {
      // one line less
    }
  }
  return 1
}

/** The line on which a TOML file sets `key` or `table.key`; 1 when it is written in some other way. */
function findLine(content: string, setting: string): number {
  let table = ''
  const lines = content.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const header = /^\s*\[\s*([\w-]+)\s*\]/.exec(lines[i]!)
    if (header) {
      table = `${header[1]}.`
      if (header[1] === setting) return i + 1
    }
    const key = /^\s*([\w.-]+)\s*=/.exec(lines[i]!)
    if (key?.[1] !== undefined && `${table}${key[1]}` === setting) return i + 1
  }
  return 1
}
