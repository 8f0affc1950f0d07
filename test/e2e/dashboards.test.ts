/**
 * The dashboards of scripts/grafana ask for what is really sent: by emon's own processes, and by collectd. Every
 * path in them must be there a statistics interval after the start.
 */
import { expect, test } from 'bun:test'
import { parseTarget, type Expression } from '../../src/api/target-parser.ts'
import { collectdProgram, startCollectd } from './collectd.ts'
import { Stack } from './stack.ts'

const DIR = `${import.meta.dir}/../../scripts/grafana/dashboards`
const MS_MAX = 30_000

if (collectdProgram === null) console.log('dashboards.test.ts: skipped: there is no collectd')

test.if(collectdProgram !== null)(
  'every path in a dashboard is one that is sent',
  async () => {
    const settings = `${import.meta.dir}/../../var/test-dashboards-${process.pid}.toml`
    await Bun.write(settings, '[relay]\nstatistics_interval = "1s"\n')
    const stack = await Stack.start({ EMON_CONFIG: settings })
    const collectd = startCollectd(stack.dir, stack.config.relay.port)
    try {
      // What is rendered is counted from the first time on.
      await stack.render({ target: 'anything' })
      const paths = [
        ...(await pathsOf('emon', { host: '*' })),
        ...(await pathsOf('host', { prefix: 'collectd', host: 'box' })),
      ]
      expect(paths.length).toBeGreaterThan(30)
      const untilMs = performance.now() + MS_MAX
      let missing = paths
      while (missing.length > 0 && performance.now() < untilMs) {
        await Bun.sleep(1_000)
        missing = await missingIn(stack, missing)
      }
      expect(missing).toEqual([])
    } finally {
      await collectd.stop()
      await stack.close()
      await Bun.file(settings).delete()
    }
  },
  2 * MS_MAX,
)

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly target: string }[] }[]
}

async function pathsOf(name: string, variables: Record<string, string>): Promise<string[]> {
  const { panels } = (await Bun.file(`${DIR}/${name}.json`).json()) as Dashboard
  const paths = new Set<string>()
  for (const { target } of panels.flatMap((panel) => panel.targets ?? [])) {
    let filled = target
    for (const [variable, value] of Object.entries(variables)) {
      filled = filled.replaceAll(`$${variable}`, value)
    }
    const parsed = parseTarget(filled)
    if (!parsed.ok) throw new Error(`${filled}: ${parsed.error}`)
    collect(parsed.value, paths)
  }
  return [...paths].filter((path) => !isNotAtOnce(path))
}

function collect(expression: Expression, paths: Set<string>): void {
  if (expression.kind === 'path') paths.add(expression.text)
  if (expression.kind !== 'call') return
  for (const arg of expression.args) collect(arg, paths)
  for (const { value } of expression.named) collect(value, paths)
}

/** Counters that begin with the first mail, and what a machine without disks does not have. */
function isNotAtOnce(path: string): boolean {
  return /^carbon\.mailer\.\*\.(?:\{accepted|delivery)/.test(path) || /\.disk-\*/.test(path)
}

async function missingIn(stack: Stack, paths: readonly string[]): Promise<string[]> {
  const api = `http://127.0.0.1:${stack.config.api.port}`
  const query = paths.map((path) => `query=${encodeURIComponent(path)}`).join('&')
  const response = await fetch(`${api}/metrics/expand?leavesOnly=1&groupByExpr=1&${query}`)
  const { results } = (await response.json()) as { results: Record<string, string[]> }
  return paths.filter((path) => results[path]?.length === 0)
}
