/** test/golden/relay: NAME.conf and NAME.lines in, NAME.out (-t) and NAME.debug (-td) out. */
import { describe, expect, test } from 'bun:test'
import { realDisk } from '../../src/lib/disk.ts'
import { parseCommandLine } from '../../src/relay/config/command-line.ts'
import { describeConfiguration, printSettings } from '../../src/relay/test-mode/config-test.ts'
import { loadRelayConf } from '../../src/relay/config/relay-conf.ts'

const FOLDER = `${import.meta.dir}/../golden/relay`
const names = [...new Bun.Glob('*.conf').scanSync(FOLDER)].map((file) => file.replace('.conf', ''))

describe('golden files', () => {
  test.each(
    names.flatMap((name) => [[name, '-t', 'out'] as const, [name, '-td', 'debug'] as const]),
  )('%s with %s', async (name, option, suffix) => {
    const lines = await Bun.file(`${FOLDER}/${name}.lines`).text()
    const want = await Bun.file(`${FOLDER}/${name}.${suffix}`).text()
    expect(run(`${FOLDER}/${name}.conf`, option, lines)).toBe(want)
  })
})

function run(conf: string, option: string, lines: string): string {
  const commandLine = parseCommandLine([option, '-f', conf])
  const routing = loadRelayConf(realDisk, conf)
  if (!commandLine.ok || !routing.ok) throw new Error('the golden configuration is refused')
  const surroundings = { hostname: 'host.example', workers: 1, port: 2003, confName: 'relay.conf' }
  const { text, explainer } = describeConfiguration(routing.value, commandLine.value, surroundings)
  let output = printSettings(commandLine.value, surroundings) + text
  for (const line of lines.split('\n')) output += explainer.explain(line)
  return output
}
