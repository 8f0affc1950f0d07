/**
 * What the running stack takes: memory as each process's share (PSS, from /proc/PID/smaps_rollup), and CPU
 * over some seconds: `bun run footprint [SECONDS]`, 10 by default.
 */
import { readFileSync } from 'node:fs'
import { EXIT_CONFIG, loadConfig } from '../src/config.ts'
import { sleep, systemClock } from '../src/lib/clock.ts'
import { realDisk } from '../src/lib/disk.ts'
import { PROCESSES } from '../src/monitrc.ts'
import { cpuSeconds, pssBytes } from './proc.ts'

const MIB = 1024 ** 2

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) {
  for (const complaint of loaded.error) console.error(complaint)
  process.exit(EXIT_CONFIG)
}
const { data, run } = loaded.value
const seconds = Number(Bun.argv[2] ?? 10)

const pidFiles = [
  ...PROCESSES.map((name) => [name, `${run}/${name}.pid`]),
  ['monit', `${data}/monit/pid`],
]
const running = pidFiles.flatMap(([name, file]) => {
  const pid = realDisk.stat(file!) ? Number(readFileSync(file!, 'utf8')) : 0
  return pid > 0 && realDisk.stat(`/proc/${pid}`) ? [{ name: name!, pid }] : []
})
if (running.length === 0) {
  console.error(`nothing runs on ${data}: ./scripts/up starts it`)
  process.exit(1)
}

const before = running.map(({ pid }) => cpuSeconds(pid))
await sleep(systemClock, seconds * 1000)
const rows = running.map(({ name, pid }, i) => ({
  name,
  bytes: pssBytes(pid),
  cpu: (cpuSeconds(pid) - before[i]!) / seconds,
}))
print('process', 'PSS MiB', 'CPU %')
for (const { name, bytes, cpu } of rows) print(name, (bytes / MIB).toFixed(1), percent(cpu))
print(
  'all',
  (sum(rows.map((row) => row.bytes)) / MIB).toFixed(1),
  percent(sum(rows.map((row) => row.cpu))),
)

function print(name: string, pss: string, cpu: string): void {
  console.log(name.padEnd(10) + pss.padStart(10) + cpu.padStart(10))
}

function percent(share: number): string {
  return (share * 100).toFixed(1)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
