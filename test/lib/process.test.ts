import { describe, expect, test } from 'bun:test'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { takeLock } from '../../src/lib/process.ts'
import { SimDisk } from '../sim/disk.ts'

const MINE = `${process.pid}`

function runFolder(startTime = '777'): SimDisk {
  const disk = new SimDisk()
  disk.makeDir('/run')
  for (const pid of [MINE, '999']) {
    disk.makeDir(`/proc/${pid}`)
    disk.replaceFile(`/proc/${pid}/stat`, toUtf8(procStat(pid, startTime)))
  }
  return disk
}

function procStat(pid: string, startTime: string, state = 'S'): string {
  return `${pid} (a name) with) ${state} ${'1 '.repeat(18)}${startTime} 0\n`
}

describe('takeLock()', () => {
  test('writes lock and pid file, and removes them', () => {
    const disk = runFolder()
    const lock = takeLock(disk, '/run', 'store')
    expect(lock.ok).toBe(true)
    expect(fromUtf8(disk.readFile('/run/store.lock'))).toBe(`${MINE} 777\n`)
    expect(fromUtf8(disk.readFile('/run/store.pid'))).toBe(`${MINE}\n`)
    if (lock.ok) lock.value.release()
    expect(disk.list('/run')).toEqual([])
  })

  test('names the process that has it', () => {
    const disk = runFolder()
    disk.replaceFile('/run/store.lock', toUtf8('999 777\n'))
    const lock = takeLock(disk, '/run', 'store')
    expect(lock).toEqual({ ok: false, error: 'another store runs with pid 999 (/run/store.lock)' })
  })

  test.each([
    ['a process that is gone', '12345 777\n'],
    ['another process under a recycled pid', '999 111\n'],
    ['a file of garbage', 'garbage'],
    ['an empty file', ''],
  ])('takes over from %s', (_, stale) => {
    const disk = runFolder()
    disk.replaceFile('/run/store.lock', toUtf8(stale))
    expect(takeLock(disk, '/run', 'store').ok).toBe(true)
    expect(disk.list('/run')).toEqual(['store.lock', 'store.pid'])
  })

  test('takes over from a zombie', () => {
    const disk = runFolder()
    disk.replaceFile('/proc/999/stat', toUtf8(procStat('999', '777', 'Z')))
    disk.replaceFile('/run/store.lock', toUtf8('999 777\n'))
    expect(takeLock(disk, '/run', 'store').ok).toBe(true)
  })

  test('release() leaves what a successor has taken', () => {
    const disk = runFolder()
    const lock = takeLock(disk, '/run', 'store')
    disk.replaceFile('/run/store.lock', toUtf8('999 777\n'))
    disk.replaceFile('/run/store.pid', toUtf8('999\n'))
    if (lock.ok) lock.value.release()
    expect(disk.list('/run')).toEqual(['store.lock', 'store.pid'])
  })
})
