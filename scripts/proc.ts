/** What Linux says of a process's memory and CPU (proc(5)). */
import { readFileSync } from 'node:fs'

const TICKS_A_SECOND = 100

/** Memory of its own, and its share of what it has in common with others (PSS). */
export function pssBytes(pid: number): number {
  const kib = /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
  return Number(kib?.[1]) * 1024
}

/** User and system time, fields 14 and 15 of /proc/PID/stat. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND
}
