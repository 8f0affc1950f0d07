/**
 * Names of series and paths of files in a Whisper tree: `a.b.c` is `a/b/c.wsp`. Tagged series lie in
 * `_tagged/xxx/yyy/` with each dot as `_DOT_` (carbon/util.py TaggedSeries.encode, graphite-web tags/utils.py);
 * where only a hash is the file's name, the series' name cannot be known.
 */

import { createHash } from 'node:crypto'
import { toUtf8 } from '../../lib/bytes.ts'

const SUFFIX = '.wsp'
const TAGGED = '_tagged/'
/** Of Linux. A longer one is given by its hash alone, which graphite-web looks for too. */
const FILE_NAME_BYTES_MAX = 255
const HASH_NAME_RE = /^[0-9a-f]{64}$/

/** The name of the series in a file, given its path in the tree; undefined when it is none or cannot be known. */
export function nameOfFile(path: string): string | undefined {
  if (!path.endsWith(SUFFIX)) return undefined
  const bare = path.slice(0, -SUFFIX.length)
  if (!bare.startsWith(TAGGED)) return bare.replaceAll('/', '.')
  const file = bare.slice(bare.lastIndexOf('/') + 1)
  return HASH_NAME_RE.test(file) ? undefined : file.replaceAll('_DOT_', '.')
}

/** Where the series lies in a tree that we write. */
export function fileOfName(name: string): string {
  return filesOfName(name)[0]!
}

/** Where the series may lie in a tree that others wrote: go-carbon gives tagged ones by their hash alone. */
export function filesOfName(name: string): string[] {
  if (!name.includes(';')) return [name.replaceAll('.', '/') + SUFFIX]
  const hash = createHash('sha256').update(name).digest('hex')
  const plain = name.replaceAll('.', '_DOT_')
  const isTooLong = toUtf8(plain).length + SUFFIX.length > FILE_NAME_BYTES_MAX
  const folder = `${TAGGED}${hash.slice(0, 3)}/${hash.slice(3, 6)}`
  return (isTooLong ? [hash] : [plain, hash]).map((file) => `${folder}/${file}${SUFFIX}`)
}
