/**
 * A real collectd, one-second interval, that writes to the stack and to a recording listener: what it wrote
 * is known then, and can be compared with what /render answers.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { nowSeconds, type Stack } from './stack.ts'

/** collectd, where it is installed: Debian puts it where only root looks. */
export const collectdProgram =
  Bun.which('collectd') ?? Bun.which('collectd', { PATH: '/usr/sbin:/opt/collectd/sbin' })

export interface CollectdRun {
  /** `NAME TIME` → value, everything that collectd wrote. */
  readonly written: Map<string, number>
  stop(): Promise<void>
}

export function startCollectd(dir: string, relayPort: number): CollectdRun {
  const written = new Map<string, number>()
  const rest = new WeakMap<object, string>()
  const recorder = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        const lines = ((rest.get(socket) ?? '') + bytes.toString()).split('\n')
        rest.set(socket, lines.pop()!)
        for (const line of lines) {
          const [name, value, time] = line.trim().split(' ')
          // collectd says nan for what it could not read; that is no point.
          if (name && value && value !== 'nan') written.set(`${name} ${time}`, Number(value))
        }
      },
    },
  })
  mkdirSync(`${dir}/collectd`, { recursive: true })
  const conf = `${dir}/collectd/collectd.conf`
  writeFileSync(conf, configuration(`${dir}/collectd`, [relayPort, recorder.port]))
  const child = Bun.spawn([collectdProgram!, '-f', '-C', conf], {
    stdio: ['ignore', 'ignore', Bun.file(`${dir}/collectd/log`)],
  })
  return {
    written,
    async stop() {
      child.kill('SIGTERM')
      await child.exited
      await Bun.sleep(300)
      recorder.stop(true)
    },
  }
}

function configuration(dir: string, ports: readonly number[]): string {
  const plugins = ['cpu', 'df', 'memory', 'load', 'interface', 'disk', 'write_graphite']
  const nodes = ports.map(
    (port, i) => `<Node "n${i}">
    Host "127.0.0.1"
    Port "${port}"
    Protocol "tcp"
    Prefix "collectd."
    EscapeCharacter "_"
  </Node>`,
  )
  return `BaseDir "${dir}"
PIDFile "${dir}/pid"
Hostname "box"
FQDNLookup false
Interval 1
${plugins.map((plugin) => `LoadPlugin ${plugin}`).join('\n')}
<Plugin write_graphite>
  ${nodes.join('\n  ')}
</Plugin>
`
}

/** Seconds between now and the newest point that /render has of collectd's. */
export async function tipAge(stack: Stack): Promise<number> {
  const now = nowSeconds()
  const points = await stack.points('collectd.box.load.load.shortterm', {
    from: now - 30,
    until: now + 5,
  })
  const newest = Math.max(0, ...[...points.keys()].map((key) => Number(key.split(' ')[1])))
  return now - newest
}

/** What was written and is not in /render's answer, with the value that it has there. */
export async function notRendered(
  stack: Stack,
  written: ReadonlyMap<string, number>,
): Promise<string[]> {
  const times = [...written.keys()].map((key) => Number(key.split(' ')[1]))
  const range = { from: Math.min(...times) - 1, until: Math.max(...times) }
  const points = await stack.points('collectd.box.*.*', range)
  for (const target of ['collectd.box.*.*.*', 'collectd.box.*.*.*.*']) {
    for (const [key, value] of await stack.points(target, range)) points.set(key, value)
  }
  const wrong: string[] = []
  for (const [key, value] of written) {
    const there = points.get(key)
    if (there !== value) wrong.push(`${key}: ${there} instead of ${value}`)
  }
  return wrong
}
