/** Properties of the code itself: layers, banned calls, file headers, sizes. */
import { describe, expect, test } from 'bun:test'

const ROOT = `${import.meta.dir}/..`

/** Folder of src/ → the folders that it may import from. Files of src/ itself are `root`. */
const ALLOWED: Record<string, readonly string[]> = {
  lib: [],
  metric: ['lib'],
  ipc: ['lib', 'metric'],
  root: ['lib', 'metric', 'ipc'],
  relay: ['lib', 'metric', 'ipc', 'root'],
  store: ['lib', 'metric', 'ipc', 'root'],
  api: ['lib', 'metric', 'ipc', 'root'],
  mailer: ['lib', 'metric', 'ipc', 'root'],
}

/**
 * Folders of a concern, in the order in which data flows back through them: a file imports from its own folder, from
 * those before it, and from what lies beside them and imports none of them.
 */
const ROOMS: Record<string, readonly string[]> = {
  relay: ['config', 'transports', 'delivery', 'routing', 'aggregation', 'inputs', 'test-mode'],
  store: ['columns', 'files', 'index', 'engine', 'whisper', 'queries', 'servers', 'commands'],
}

/** Where each package may be imported. */
const PACKAGE_HOMES: Record<string, RegExp> = {
  hono: /^src\/api\//,
  nodemailer: /^src\/mailer\/smtp-client\.ts$/,
  // Only a fake peer in tests: src/mailer/README.md says why.
  'smtp-server': /^$/,
  zod: /^src\/(config\.ts|api\/)/,
}

/** Calls that belong behind `Clock` and `Disk`, and the files that are those. */
const BANNED: readonly (readonly [call: RegExp, home: RegExp])[] = [
  [
    /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bset(?:Timeout|Interval)\(/,
    /^src\/lib\/clock\.ts$/,
  ],
  [/from '(?:node:)?fs(?:\/promises)?'/, /^src\/lib\/disk\.ts$/],
]

const LINES_MAX = 450
const COLUMNS_MAX = 120

const files = [...new Bun.Glob('src/**/*.ts').scanSync(ROOT)].sort()
const texts = new Map(
  await Promise.all(files.map(async (file) => [file, await read(file)] as const)),
)

describe.each(files)('%s', (file) => {
  const text = texts.get(file)!

  test('imports only from the layers below it', () => {
    const wrong = imports(text).filter((spec) => !mayImport(file, spec))
    expect(wrong).toEqual([])
  })

  test('imports only from the rooms before its own', () => {
    const wrong = imports(text).filter((spec) => !mayEnter(file, spec))
    expect(wrong).toEqual([])
  })

  test('leaves time, chance and files to src/lib', () => {
    const wrong = BANNED.filter(
      ([call, home]) => call.test(stripComments(text)) && !home.test(file),
    )
    expect(wrong.map(([call]) => call.source)).toEqual([])
  })

  test('opens with a comment that says what it is', () => {
    expect(text.startsWith('/**')).toBe(true)
  })

  test(`has at most ${LINES_MAX} lines of at most ${COLUMNS_MAX} columns`, () => {
    const lines = text.split('\n')
    expect(lines.length).toBeLessThanOrEqual(LINES_MAX + 1)
    expect(lines.filter((line) => line.length > COLUMNS_MAX)).toEqual([])
  })

  test('has no default export', () => {
    expect(/^export default/m.test(text)).toBe(false)
  })
})

function layer(file: string): string {
  const parts = file.split('/')
  return parts.length === 2 ? 'root' : parts[1]!
}

function mayImport(file: string, spec: string): boolean {
  if (spec.startsWith('.')) {
    const target = layer(resolved(file, spec))
    return target === layer(file) || (ALLOWED[layer(file)]?.includes(target) ?? false)
  }
  const home = PACKAGE_HOMES[spec.split('/')[0]!]
  return home === undefined || home.test(file)
}

function mayEnter(file: string, spec: string): boolean {
  const rooms = ROOMS[layer(file)]
  const room = roomOf(file)
  if (!rooms || room === undefined || !spec.startsWith('.')) return true
  const target = resolved(file, spec)
  if (layer(target) !== layer(file)) return true
  const other = roomOf(target)
  if (other !== undefined)
    return rooms.includes(other) && rooms.indexOf(other) <= rooms.indexOf(room)
  return imports(texts.get(target)!).every(
    (next) => !next.startsWith('.') || roomOf(resolved(target, next)) === undefined,
  )
}

/** `index` for src/store/index/…; undefined for what lies beside the rooms. */
function roomOf(file: string): string | undefined {
  const parts = file.split('/')
  return parts.length > 3 && ROOMS[parts[1]!] ? parts[2] : undefined
}

function resolved(file: string, spec: string): string {
  return new URL(spec, `file:///${file}`).pathname.slice(1)
}

function imports(text: string): string[] {
  return [...text.matchAll(/\bfrom\s+'([^']+)'/g)].map((match) => match[1]!)
}

function stripComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}

function read(file: string): Promise<string> {
  return Bun.file(`${ROOT}/${file}`).text()
}
