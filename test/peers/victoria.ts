/** VictoriaMetrics with a Graphite port, on one core's worth of threads, in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { cpuSeconds } from '../../scripts/proc.ts'
import { freePorts } from '../e2e/stack.ts'

export interface Victoria {
  /** Of plain lines. */
  readonly port: number
  readonly pid: number
  /** Seconds since its start. */
  cpu(): number
  stop(): Promise<void>
}

/** Undefined, and said on stdout, when it is not installed. */
export async function startVictoria(): Promise<Victoria | undefined> {
  const program = Bun.which('victoria-metrics')
  if (program === null) {
    console.log('there is no victoria-metrics: no comparison')
    return undefined
  }
  const dir = mkdtempSync(`${tmpdir()}/emon-victoria-`)
  const [port, http] = await freePorts(2)
  const child = Bun.spawn(
    [
      program,
      `-storageDataPath=${dir}`,
      `-graphiteListenAddr=127.0.0.1:${port}`,
      `-httpListenAddr=127.0.0.1:${http}`,
    ],
    { stdio: ['ignore', 'ignore', 'ignore'], env: { ...process.env, GOMAXPROCS: '1' } },
  )
  while (!(await fetch(`http://127.0.0.1:${http}/health`).catch(() => undefined))?.ok)
    await Bun.sleep(50)
  return {
    port: port!,
    pid: child.pid,
    cpu: () => cpuSeconds(child.pid),
    async stop() {
      child.kill('SIGKILL')
      await child.exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
