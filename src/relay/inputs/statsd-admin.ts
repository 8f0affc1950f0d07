/** The management commands of Etsy's statsd (port 8126 there): one line each, the answer ends with `END`. */

import type { Statsd } from './statsd.ts'

const HELP =
  'Commands: stats, counters, timers, gauges, delcounters, deltimers, delgauges, health, config, quit\n'

export interface StatsdAdminOptions {
  readonly statsd: Statsd
  /** Printed by `config`. */
  readonly config: Readonly<Record<string, unknown>>
  readonly uptimeSeconds: () => number
  /** For how long nothing has come. */
  readonly silentSeconds: () => number
}

export class StatsdAdmin {
  private readonly options: StatsdAdminOptions
  private healthy: boolean

  constructor(options: StatsdAdminOptions) {
    this.options = options
    this.healthy = true
  }

  /** The answer to a command line; undefined: hang up. */
  answer(line: string): string | undefined {
    const { statsd, config, uptimeSeconds, silentSeconds } = this.options
    const [command = '', ...names] = line.trim().split(/\s+/)
    switch (command) {
      case 'help':
        return `${HELP}\n`
      case 'config':
        return ended(JSON.stringify(config, undefined, 2))
      case 'health':
        if (names[0] === 'up' || names[0] === 'down') this.healthy = names[0] === 'up'
        return `health: ${this.healthy ? 'up' : 'down'}\n`
      case 'stats':
        return ended(
          `uptime: ${Math.floor(uptimeSeconds())}\n` +
            `messages.last_msg_seen: ${Math.floor(silentSeconds())}\n` +
            `messages.bad_lines_seen: ${statsd.badLines}\nmessages.samples: ${statsd.samples}`,
        )
      case 'counters':
        return ended(JSON.stringify(Object.fromEntries(statsd.counters), undefined, 2))
      case 'gauges':
        return ended(JSON.stringify(Object.fromEntries(statsd.gauges), undefined, 2))
      case 'timers':
        return ended(
          JSON.stringify(
            Object.fromEntries([...statsd.timers].map(([name, { values }]) => [name, values])),
            undefined,
            2,
          ),
        )
      case 'delcounters':
        return ended(remove(statsd.counters, names))
      case 'delgauges':
        return ended(remove(statsd.gauges, names))
      case 'deltimers':
        return ended(remove(statsd.timers, names))
      case 'quit':
        return undefined
      default:
        return 'ERROR\n'
    }
  }
}

/** Names, or `folder.*` for all below. */
function remove(map: Map<string, unknown>, names: readonly string[]): string {
  const lines: string[] = []
  for (const name of names) {
    const prefix = name.endsWith('.*') ? name.slice(0, -1) : undefined
    const found = [...map.keys()].filter((key) =>
      prefix === undefined ? key === name : key.startsWith(prefix),
    )
    for (const key of found) {
      map.delete(key)
      lines.push(`deleted: ${key}`)
    }
    if (found.length === 0) lines.push(`metric ${name} not found`)
  }
  return lines.join('\n')
}

function ended(text: string): string {
  return `${text}\nEND\n\n`
}
