/** The name index with a million names of a fleet: adding, globs, tags, look-ups, and its memory. */
import { toUtf8 } from '../../src/lib/bytes.ts'
import { compileGlob } from '../../src/metric/glob.ts'
import { SeriesIndex } from '../../src/store/index/series-index.ts'
import { parseTagExpressions } from '../../src/store/index/tag-expression.ts'
import type { BenchCase, Random } from './bench.ts'

const NAMES = 1_000_000
const KINDS = ['cpu', 'memory', 'disk', 'net', 'load']
const LEAVES = ['user', 'system', 'idle', 'wait', 'steal', 'nice', 'irq', 'softirq', 'min', 'max']

/** `fleet.dc3.host01234.cpu.user`, 50 series a host. */
function fleetName(id: number): string {
  const host = Math.floor(id / 50)
  const kind = KINDS[Math.floor(id / 10) % 5]!
  return `fleet.dc${host % 10}.host${String(host).padStart(5, '0')}.${kind}.${LEAVES[id % 10]!}`
}

/** A million leaves of one branch, no two of the same text. */
function flatName(id: number): string {
  return `flat.sensor${String((id * 7_919) % 1_000_003).padStart(7, '0')}x`
}

/** `cpu;dc=3;host=host01234;what=user`. */
function taggedName(id: number): string {
  const [, dc = '', host = '', kind = '', leaf = ''] = fleetName(id).split('.')
  return `${kind};dc=${dc};host=${host};what=${leaf}`
}

let filled: { readonly name: (id: number) => string; readonly index: SeriesIndex } | undefined

/** The index of that many names, made once for all cases that want it. */
function indexOf(name: (id: number) => string, count: number): SeriesIndex {
  if (filled?.name !== name || filled.index.size !== count) {
    const index = new SeriesIndex(1)
    for (let id = 0; id < count; id++) index.add(id, toUtf8(name(id)))
    filled = { name, index }
  }
  return filled.index
}

function finish<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

function globCase(pattern: string, name = fleetName): BenchCase {
  return {
    name: `store/series-index: glob ${pattern}, a million names`,
    unit: 'globs',
    prepare(scale) {
      const index = indexOf(name, Math.ceil(NAMES * scale))
      const glob = compileGlob(pattern)
      if (!glob.ok) return glob.error
      const options = { leavesOnly: true, namesMax: 1_000, isShown: undefined }
      return {
        count: 1,
        run: () => finish(index.glob(glob.value, options)).leaves.reduce((sum, id) => sum + id, 0),
      }
    },
  }
}

function tagCase(...texts: string[]): BenchCase {
  return {
    name: `store/tag-index: ${texts.join(' ')}, a million series`,
    unit: 'queries',
    prepare(scale) {
      const index = indexOf(taggedName, Math.ceil(NAMES * scale))
      const expressions = parseTagExpressions(texts)
      if (!expressions.ok) return expressions.error
      return { count: 1, run: () => finish(index.tags.find(expressions.value)).length }
    },
  }
}

export const cases: readonly BenchCase[] = [
  {
    name: 'store/series-index: add names',
    unit: 'names',
    prepare(scale) {
      const names = Array.from({ length: Math.ceil(NAMES * scale) }, (_, id) =>
        toUtf8(fleetName(id)),
      )
      return {
        count: names.length,
        run() {
          const index = new SeriesIndex(1)
          for (let id = 0; id < names.length; id++) index.add(id, names[id]!)
          const bytes = index.memoryBytes
          return { checksum: bytes, figures: { 'bytes/series': Math.round(bytes / names.length) } }
        },
      }
    },
  },
  {
    name: 'store/series-index: find names by their bytes, a million names in random order',
    unit: 'names',
    prepare(scale, random) {
      const index = indexOf(fleetName, Math.ceil(NAMES * scale))
      const { bytes, ends } = shuffledNames(index.size, random)
      return {
        count: ends.length,
        run() {
          let sum = 0
          let start = 0
          for (let i = 0; i < ends.length; i++) {
            sum += index.find(bytes, start, ends[i]!)
            start = ends[i]!
          }
          return sum
        },
      }
    },
  },
  globCase('fleet.*.host00*1.*.user'),
  globCase('fleet.dc*.*1234*.cpu.us*'),
  globCase('*.*.host1?34[0-9].{cpu,disk}.m{in,ax}'),
  globCase('*.*.*.cpu.nothing*'),
  globCase('fleet.**.host00001.**'),
  globCase('flat.*12*34*', flatName),
  globCase('flat.s*r0012?[0-9]*x', flatName),
  globCase('flat.*a*b*', flatName),
  tagCase('name=cpu', 'host=host00123'),
  tagCase('name=cpu', 'host=~host0012.*', 'what=user'),
  tagCase('dc=dc3', 'what!=user'),
]

/** The names one behind the other, in an order that caches do not like. */
function shuffledNames(count: number, random: Random): { bytes: Uint8Array; ends: Uint32Array } {
  const ids = Uint32Array.from({ length: count }, (_, id) => id)
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1))
    ;[ids[i], ids[other]] = [ids[other]!, ids[i]!]
  }
  const names = Array.from(ids, (id) => toUtf8(fleetName(id)))
  const bytes = new Uint8Array(names.reduce((sum, name) => sum + name.length, 0))
  const ends = new Uint32Array(count)
  let at = 0
  names.forEach((name, i) => {
    bytes.set(name, at)
    at += name.length
    ends[i] = at
  })
  return { bytes, ends }
}
