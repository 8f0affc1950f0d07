/**
 * The real graphite-web (Debian's packages graphite-web and python3-whisper) over a folder of Whisper files,
 * on a free port of loopback, for tests that compare our answers with its own.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const PYTHON = '/usr/bin/python3'
const START_MS_MAX = 20_000

/** Why there is none on this machine; undefined when there is one. */
export function graphiteWebIsMissing(): string | undefined {
  if (!Bun.which(PYTHON)) return `${PYTHON} is not there`
  const probe = Bun.spawnSync([PYTHON, '-c', 'import graphite.render.functions_missing'], {
    stderr: 'pipe',
  })
  return probe.stderr.toString().includes("No module named 'graphite'")
    ? 'the Debian package graphite-web is not installed'
    : undefined
}

export class GraphiteWeb {
  readonly url: string
  /** Holds whisper/. */
  readonly home: string
  readonly #server: Bun.Subprocess

  private constructor(url: string, home: string, server: Bun.Subprocess) {
    this.url = url
    this.home = home
    this.#server = server
  }

  /** `prepare` writes the Whisper files before the server starts. */
  static async start(prepare: (whisperDir: string) => Promise<void>): Promise<GraphiteWeb> {
    const home = await mkdtemp(join(tmpdir(), 'graphite-web-'))
    await prepare(join(home, 'whisper'))
    const server = Bun.spawn([PYTHON, join(import.meta.dir, 'graphite-web', 'serve.py')], {
      env: { ...process.env, PEER_HOME: home, PYTHONDONTWRITEBYTECODE: '1' },
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: Bun.file(join(home, 'serve.log')),
    })
    const port = await firstLine(server.stdout)
    if (!/^\d+$/.test(port)) {
      server.kill()
      const log = await Bun.file(join(home, 'serve.log')).text()
      throw new Error(`graphite-web did not start: ${log.slice(-2_000)}`)
    }
    return new GraphiteWeb(`http://127.0.0.1:${port}`, home, server)
  }

  get pid(): number {
    return this.#server.pid
  }

  /** POST, with the fields as a form. */
  ask(path: string, fields: readonly (readonly [string, string])[]): Promise<Response> {
    const body = new URLSearchParams()
    for (const [name, value] of fields) body.append(name, value)
    return fetch(`${this.url}${path}`, { method: 'POST', body })
  }

  async stop(): Promise<void> {
    this.#server.kill()
    await this.#server.exited
    await rm(this.home, { recursive: true, force: true })
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader()
  const late = Bun.sleep(START_MS_MAX).then(() => undefined)
  let text = ''
  while (!text.includes('\n')) {
    const chunk = await Promise.race([reader.read(), late])
    if (!chunk?.value) return text
    text += new TextDecoder().decode(chunk.value)
  }
  return text.slice(0, text.indexOf('\n')).trim()
}
