/**
 * A relay.conf from its file to a `Routing`: included files (globs too; a file that includes itself, over
 * others too, is refused), latin1 throughout, and complaints as carbon-c-relay prints them:
 *
 * ```
 *   relay.conf:3:22: unknown cluster
 *   match * send to nowhere;
 *                   ^^^^^^^
 * ```
 *
 * Parsing stops at the first complaint. What is only worth a warning is in `Routing.warnings`.
 */

import { dirname } from 'node:path'
import { latin1 } from '../../metric/number.ts'
import { type Disk, isMissing } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { compileGlob, isGlob, matchesNode } from '../../metric/glob.ts'
import { IncludeFailed, parseRelayConf } from './config-grammar.ts'
import { SyntaxProblem } from './config-lexer.ts'
import type { Routing } from './routing.ts'
import { RoutingBuilder } from './routing-builder.ts'

const INCLUDE_DEPTH_MAX = 32

/** Reads the file at `path`; the error is what to print, several lines. */
export function loadRelayConf(disk: Disk, path: string): Result<Routing> {
  return finish(disk, (loader) => loader.read(path, []))
}

/** The same for a text that lies in no file; `name` stands for it in complaints. */
export function parseRelayText(disk: Disk, text: string, name: string): Result<Routing> {
  return finish(disk, (loader) => loader.parse(text, name, []))
}

function finish(disk: Disk, load: (loader: Loader) => boolean): Result<Routing> {
  const loader = new Loader(disk)
  return load(loader) ? ok(loader.builder.build()) : err(loader.complaint)
}

class Loader {
  readonly builder: RoutingBuilder
  complaint: string
  private readonly disk: Disk

  constructor(disk: Disk) {
    this.builder = new RoutingBuilder()
    this.complaint = ''
    this.disk = disk
  }

  /** `open` are the files that include this one. */
  read(path: string, open: readonly string[]): boolean {
    if (isPattern(path)) return this.readMatching(path, open)
    if (open.includes(path)) return this.fail(`file '${path}' includes itself: ${open.join(', ')}`)
    if (open.length === INCLUDE_DEPTH_MAX) {
      return this.fail(`file '${path}' is included ${INCLUDE_DEPTH_MAX} files deep`)
    }
    const stat = this.disk.stat(path)
    if (!stat) return this.fail(`unable to stat file '${path}': No such file or directory`)
    if (stat.isDirectory) return this.fail(`cannot open non-regular file '${path}'`)
    let bytes: Uint8Array
    try {
      bytes = this.disk.readFile(path)
    } catch (error) {
      return this.fail(`failed to open config file '${path}': ${reason(error)}`)
    }
    return this.parse(latin1(bytes, 0, bytes.length), path, open)
  }

  parse(text: string, path: string, open: readonly string[]): boolean {
    const here = [...open, path]
    try {
      parseRelayConf(text, {
        builder: this.builder,
        include: (included) => this.read(included, here),
        checkFile: (file) => this.checkFile(file),
      })
      return true
    } catch (error) {
      if (error instanceof IncludeFailed) return false
      if (error instanceof SyntaxProblem) return this.fail(describe(error, text, path))
      throw error
    }
  }

  private readMatching(pattern: string, open: readonly string[]): boolean {
    const paths = expandPaths(this.disk, pattern)
    if (paths.length === 0) {
      this.builder.warn(`warning: pattern '${pattern}' did not match any files`)
    }
    return paths.every((path) => this.read(path, open))
  }

  /** Opens it for writing, and leaves no new file behind. */
  private checkFile(path: string): string | undefined {
    const stat = this.disk.stat(path)
    if (stat && !stat.isFile) return undefined
    try {
      this.disk.open(path, 'append').close()
      if (!stat) this.disk.remove(path)
      return undefined
    } catch (error) {
      const why = isMissing(error) ? 'No such file or directory' : reason(error)
      return `failed to open file '${path}' for writing: ${why}`
    }
  }

  private fail(complaint: string): false {
    this.complaint = complaint
    return false
  }
}

function isPattern(path: string): boolean {
  return /[*?]/.test(path) || (path.includes('[') && path.includes(']'))
}

/** The files that a pattern stands for, sorted, folder by folder. */
function expandPaths(disk: Disk, pattern: string): string[] {
  const parts = pattern.split('/')
  let paths = [parts[0] === '' ? '/' : parts[0]!]
  if (isGlob(paths[0]!)) paths = matchingNames(disk, '.', paths[0]!)
  for (const part of parts.slice(1)) {
    paths = paths.flatMap((path) => {
      const base = path.endsWith('/') ? path : `${path}/`
      if (!isGlob(part)) return [base + part]
      return matchingNames(disk, path, part).map((name) => base + name)
    })
  }
  return paths.filter(
    (path) => disk.stat(path) !== undefined || disk.list(dirname(path)).length === 0,
  )
}

function matchingNames(disk: Disk, dir: string, part: string): string[] {
  const compiled = compileGlob(part.replaceAll('.', '\u0000'))
  const glob = compiled.ok ? compiled.value[0] : undefined
  if (!glob) return []
  return disk
    .list(dir)
    .filter((name) => !name.startsWith('.') || part.startsWith('.'))
    .filter((name) => matchesNode(glob, name.replaceAll('.', '\u0000')))
}

/** The complaint, its line, and carets under what it is about. */
function describe(problem: SyntaxProblem, text: string, path: string): string {
  const { line, start, stop } = problem.token
  const source = text.split('\n')[line - 1] ?? ''
  const indent = source.slice(0, start).replaceAll(/[^\t]/g, ' ').padEnd(start)
  const carets = '^'.repeat(Math.max(1, stop - start + 1))
  return `${path}:${line}:${start}: ${problem.message}\n${source}\n${indent}${carets}`
}
