/** A store and an api of ours, as processes, with the Whisper files imported: what a user's curl would see. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../peers/waiting.ts'

const SCRIPTS = join(import.meta.dir, '../../../scripts')
const START_MS_MAX = 20_000

export class OurStack {
  readonly url: string
  readonly #home: string
  readonly #processes: readonly Bun.Subprocess[]

  private constructor(url: string, home: string, processes: readonly Bun.Subprocess[]) {
    this.url = url
    this.#home = home
    this.#processes = processes
  }

  static async start(whisperDir: string): Promise<OurStack> {
    const home = await mkdtemp(join(tmpdir(), 'our-stack-'))
    const port = freePort()
    const environment = {
      PATH: process.env['PATH'] ?? '',
      EMON_DATA: home,
      EMON_API_PORT: String(port),
      EMON_STORE_PORT: String(freePort()),
    }
    const run = (name: string, ...words: string[]): Bun.Subprocess =>
      Bun.spawn([process.execPath, join(SCRIPTS, `${name}.ts`), ...words], {
        env: environment,
        stdout: 'ignore',
        stderr: Bun.file(join(home, `${name}.log`)),
      })
    const stack = new OurStack(`http://127.0.0.1:${port}`, home, [run('store'), run('api')])
    await stack.#waitUntilReady()
    const imported = await run('whisper', 'import', whisperDir).exited
    if (imported !== 0) throw new Error(await Bun.file(join(home, 'whisper.log')).text())
    return stack
  }

  async stop(): Promise<void> {
    for (const each of this.#processes) each.kill()
    await Promise.all(this.#processes.map((each) => each.exited))
    await rm(this.#home, { recursive: true, force: true })
  }

  async #waitUntilReady(): Promise<void> {
    const started = performance.now()
    while (performance.now() - started < START_MS_MAX) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined)
      if (answer?.ok === true) return
      await Bun.sleep(50)
    }
    await this.stop()
    throw new Error('our store and api did not become ready')
  }
}
