/**
 * A process's own numbers: counters that only grow and gauges that are read when asked for. They go out
 * as Graphite lines and as Prometheus text. Names are dotted, as Graphite has them
 * (`pointsReceived`, `dropped.value`); in Prometheus dots become underscores, and what several things have each
 * (`destinations.WHICH.sent`) is one family with a label, where that has been said (`labelGroup`).
 *
 * A hot loop keeps the `Counter` and adds to its `value`; nothing is looked up per point.
 */

export interface Counter {
  value: number
}

export class Stats {
  private readonly counters: Map<string, Counter>
  private readonly gauges: Map<string, () => number>
  /** Counters that are kept elsewhere. */
  private readonly totals: Map<string, () => number>
  /** First node of names → label. */
  private readonly labels: Map<string, string>

  constructor() {
    this.counters = new Map()
    this.gauges = new Map()
    this.totals = new Map()
    this.labels = new Map()
  }

  /** Names `GROUP.WHICH.NAME` are `GROUP_NAME{LABEL="WHICH"}` in Prometheus text. */
  labelGroup(group: string, label: string): void {
    this.labels.set(group, label)
  }

  /** The counter of that name, made at the first call. */
  counter(name: string): Counter {
    let counter = this.counters.get(name)
    if (!counter) {
      counter = { value: 0 }
      this.counters.set(name, counter)
    }
    return counter
  }

  /** Registers (or replaces) a gauge; `read` is called for every report. */
  gauge(name: string, read: () => number): void {
    this.gauges.set(name, read)
  }

  /** Registers (or replaces) a counter that is kept elsewhere: what `read` gives only grows. */
  total(name: string, read: () => number): void {
    this.totals.set(name, read)
  }

  /** Forgets every counter and gauge whose name starts with `prefix`, for example a removed destination's. */
  remove(prefix: string): void {
    for (const names of [this.counters, this.gauges, this.totals]) {
      for (const name of names.keys()) if (name.startsWith(prefix)) names.delete(name)
    }
  }

  /** Every name with its present value, sorted by name. */
  entries(): { name: string; kind: 'counter' | 'gauge'; value: number }[] {
    const list: { name: string; kind: 'counter' | 'gauge'; value: number }[] = []
    for (const [name, counter] of this.counters)
      list.push({ name, kind: 'counter', value: counter.value })
    for (const [name, read] of this.totals) list.push({ name, kind: 'counter', value: read() })
    for (const [name, read] of this.gauges) list.push({ name, kind: 'gauge', value: read() })
    return list.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Plaintext protocol lines: `PREFIX.NAME VALUE TIME\n`. */
  graphiteLines(prefix: string, timestamp: number): string {
    let text = ''
    for (const { name, value } of this.entries())
      text += `${prefix}.${name} ${value} ${timestamp}\n`
    return text
  }

  /** Prometheus text format 0.0.4; every name starts with `emon_CONCERN_`. */
  prometheusText(concern: string): string {
    const families = new Map<string, string>()
    for (const { name, kind, value } of this.entries()) {
      const { family, label } = this.split(name)
      const suffix = kind === 'counter' ? '_total' : ''
      const full = `emon_${concern}_${family.replaceAll(/[^A-Za-z0-9_]/g, '_')}${suffix}`
      const before = families.get(full) ?? `# TYPE ${full} ${kind}\n`
      families.set(full, `${before}${full}${label} ${printValue(value)}\n`)
    }
    return [...families.values()].join('')
  }

  private split(name: string): { family: string; label: string } {
    const from = name.indexOf('.') + 1
    const to = name.lastIndexOf('.')
    const label = this.labels.get(name.slice(0, from - 1))
    if (label === undefined || to < from) return { family: name, label: '' }
    const which = name.slice(from, to).replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n')
    return { family: name.slice(0, from) + name.slice(to + 1), label: `{${label}="${which}"}` }
  }
}

function printValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
