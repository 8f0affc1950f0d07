/**
 * The recorded hour: 593 series of a busy machine, at 1 s, as collectd's write_graphite sent them (plugins cpu,
 * memory, load, interface, disk, df, vmem, contextswitch, swap, tcpconns, protocols, irq, processes, numa …).
 *
 * ```
 * # comment
 * NAME V V _ = V …        a line a series, a value a second; "_": none, "=": as before
 * ```
 */
import { readFileSync } from 'node:fs'
import { zstdDecompressSync } from 'node:zlib'

export interface HostMetrics {
  readonly names: readonly string[]
  readonly seconds: number
  /** Series k has `values[k × seconds, (k + 1) × seconds)`, NaN where it has none. */
  readonly values: Float64Array
  /** Values that are there. */
  readonly points: number
}

let loaded: HostMetrics | undefined

/** All of it, or its first `seconds`. */
export function hostMetrics(seconds = Infinity): HostMetrics {
  loaded ??= load()
  return seconds >= loaded.seconds ? loaded : firstSeconds(loaded, seconds)
}

function load(): HostMetrics {
  const packed = readFileSync(`${import.meta.dir}/data/host-metrics.txt.zst`)
  const lines = zstdDecompressSync(packed).toString().trimEnd().split('\n').slice(1)
  const rows = lines.map((line) => line.split(' '))
  const seconds = rows[0]!.length - 1
  const values = new Float64Array(rows.length * seconds)
  let points = 0
  for (const [k, row] of rows.entries()) {
    let before = NaN
    for (let i = 0; i < seconds; i++) {
      const text = row[i + 1]!
      const value = text === '_' ? NaN : text === '=' ? before : Number(text)
      if (text !== '_') before = value
      if (value === value) points++
      values[k * seconds + i] = value
    }
  }
  return { names: rows.map((row) => row[0]!), seconds, values, points }
}

function firstSeconds(all: HostMetrics, seconds: number): HostMetrics {
  const values = new Float64Array(all.names.length * seconds)
  let points = 0
  for (let k = 0; k < all.names.length; k++) {
    values.set(all.values.subarray(k * all.seconds, k * all.seconds + seconds), k * seconds)
    for (let i = k * seconds; i < (k + 1) * seconds; i++) if (values[i] === values[i]) points++
  }
  return { names: all.names, seconds, values, points }
}

/** The plain lines of one second. */
export function linesOf(metrics: HostMetrics, second: number, time: number): string {
  const { names, seconds, values } = metrics
  let text = ''
  for (let k = 0; k < names.length; k++) {
    const value = values[k * seconds + second]!
    if (value === value) text += `${names[k]} ${value} ${time}\n`
  }
  return text
}

/** So many machines that had the same hour, each a while later than the one before: of another name, and turned. */
export function fleetOf(machine: HostMetrics, machines: number): HostMetrics {
  const { seconds } = machine
  const names: string[] = []
  const values = new Float64Array(machines * machine.values.length)
  for (let k = 0; k < machines; k++) {
    const later = Math.floor((k * seconds) / machines)
    for (const [i, name] of machine.names.entries()) {
      const from = i * seconds
      const to = names.length * seconds
      const cut = from + seconds - later
      values.set(machine.values.subarray(cut, from + seconds), to)
      values.set(machine.values.subarray(from, cut), to + later)
      names.push(name.replace(/^[^.]+/, `fleet${k}`))
    }
  }
  return { names, seconds, values, points: machine.points * machines }
}
