import { describe, expect, test } from 'bun:test'
import { type CommandLine, parseCommandLine } from '../../../src/relay/config/command-line.ts'
import { testConfiguration } from '../../../src/relay/test-mode/config-test.ts'

function ok(...args: string[]): CommandLine {
  const parsed = parseCommandLine(args)
  if (!parsed.ok) throw new Error(parsed.error)
  return parsed.value
}

describe('parseCommandLine()', () => {
  test('has carbon-c-relay’s defaults', () => {
    expect(ok()).toMatchObject({ batchSize: 2500, queueSize: 25_000, ioTimeoutMs: 600, test: 'no' })
  })

  test('takes options apart, together, and with their value attached', () => {
    const line = ok(
      '-f',
      'relay.conf',
      '-p2004',
      '-tdE',
      '-q',
      '100',
      '-b50',
      '-c',
      '-_:',
      '-Hweb1',
    )
    expect(line).toMatchObject({ conf: 'relay.conf', port: 2004, debug: true, keepIdle: true })
    expect(line).toMatchObject({ test: 'routes', queueSize: 100, batchSize: 50, hostname: 'web1' })
    expect(line.allowed).toBe('-_:')
    expect(ok('-tt').test).toBe('syntax')
    expect(ok('-t', '-t').test).toBe('syntax')
    expect(ok('-T', '100').ioTimeoutMs).toBe(600)
    expect(ok('-O', '-1').optimiserThreshold).toBe(-1)
  })

  test.each([
    [['-p', '0'], 'port needs'],
    [['-p', 'x'], 'port needs'],
    [['-b', '5', '-q', '4'], 'batchsize must be smaller'],
    [['-L', '16'], 'between 0 and 15'],
    [['-T', '60000'], 'less than one minute'],
    [['-M', '40000'], 'cannot be >32768'],
    [['-m', '100', '-M', '100'], 'max metric len must be smaller'],
    [['-D'], 'You must specify logfile'],
    [['-Z'], 'no option -Z'],
    [['-f'], 'needs a value'],
  ])('refuses %p: %p', (args, want) => {
    const parsed = parseCommandLine(args)
    expect(parsed.ok ? '' : parsed.error).toContain(want)
  })
})

describe('testConfiguration()', () => {
  async function run(
    args: string[],
    input: string,
  ): Promise<{ code: number; out: string; err: string }> {
    let out = ''
    let err = ''
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(input.slice(0, 5))
      yield Buffer.from(input.slice(5))
    }
    const code = await testConfiguration(ok(...args), {
      out: (text) => (out += text),
      complain: (text) => (err += text),
      input: chunks(),
    })
    return { code, out, err }
  }

  test('explains lines that come in pieces', async () => {
    const conf = `${import.meta.dir}/../../golden/relay/basic.conf`
    const { code, out } = await run(['-t', '-f', conf], 'web.cpu 1 2\nweb.mem 1 2')
    expect(code).toBe(0)
    expect(out.split('\n\n').at(-1)).toContain('-> web.cpu')
    expect(out).toContain('-> web.mem')
  })

  test('-tt says nothing, and answers 1 for what cannot be read', async () => {
    const conf = `${import.meta.dir}/../../golden/relay/basic.conf`
    expect(await run(['-tt', '-f', conf], '')).toEqual({ code: 0, out: '', err: '' })
    const { code, err } = await run(['-tt', '-f', '/no/such.conf'], '')
    expect(code).toBe(1)
    expect(err).toContain("failed to read configuration '/no/such.conf'")
  })
})
