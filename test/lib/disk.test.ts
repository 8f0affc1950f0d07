import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { type Disk, errorCode, isDiskFull, realDisk } from '../../src/lib/disk.ts'
import { SimDisk } from '../sim/disk.ts'

const folder = mkdtempSync(`${tmpdir()}/emon-disk-`)
afterAll(() => rmSync(folder, { recursive: true }))

/** One suite for the real disk and its stand-in, so that what passes on one holds on the other. */
describe.each([
  ['realDisk', () => realDisk],
  ['SimDisk', () => new SimDisk()],
] as const)('%s', (name, make) => {
  const disk: Disk = make()
  const root = `${folder}/${name}`
  disk.makeDir(`${root}/a/b`)

  test('append() adds at the end, read() stops there', async () => {
    const file = disk.open(`${root}/log`, 'append')
    file.append(toUtf8('one '))
    file.append(toUtf8('two'))
    await file.sync()
    expect(fromUtf8(file.read(4, 100))).toBe('two')
    expect(file.size()).toBe(7)
    file.truncate(3)
    file.append(toUtf8('!'))
    file.close()
    expect(fromUtf8(disk.readFile(`${root}/log`))).toBe('one!')
  })

  test('open() tells a missing file from one that must not exist', () => {
    expect(codeOf(() => disk.open(`${root}/missing`, 'read'))).toBe('ENOENT')
    disk.open(`${root}/once`, 'create').close()
    expect(codeOf(() => disk.open(`${root}/once`, 'create'))).toBe('EEXIST')
    expect(codeOf(() => disk.open(`${root}/nowhere/x`, 'append'))).toBe('ENOENT')
  })

  test('replaceFile() leaves one whole file and nothing beside it', () => {
    disk.replaceFile(`${root}/a/b/state`, toUtf8('old'))
    disk.replaceFile(`${root}/a/b/state`, toUtf8('new'), 0o600)
    expect(disk.list(`${root}/a/b`)).toEqual(['state'])
    expect(fromUtf8(disk.readFile(`${root}/a/b/state`))).toBe('new')
    expect(disk.stat(`${root}/a/b/state`)?.mode).toBe(0o600)
  })

  test('link(), rename() and remove() work on names', () => {
    const root = `${folder}/${name}-names`
    disk.makeDir(`${root}/a/b`)
    disk.replaceFile(`${root}/a/first`, toUtf8('x'))
    disk.link(`${root}/a/first`, `${root}/a/second`)
    expect(codeOf(() => disk.link(`${root}/a/first`, `${root}/a/second`))).toBe('EEXIST')
    disk.rename(`${root}/a/second`, `${root}/a/third`)
    disk.remove(`${root}/a/first`)
    disk.remove(`${root}/a/first`)
    expect(disk.list(`${root}/a`)).toEqual(['b', 'third'])
    expect(disk.stat(`${root}/a/first`)).toBeUndefined()
    disk.rename(`${root}/a`, `${root}/c`)
    expect(disk.list(`${root}/c`)).toEqual(['b', 'third'])
    disk.removeTree(`${root}/c`)
    expect(disk.list(`${root}/c`)).toEqual([])
  })

  test('space() is never negative', () => {
    expect(disk.space(root).freeBytes).toBeGreaterThanOrEqual(0)
  })
})

describe('SimDisk', () => {
  test('powerCut() keeps what was synced and the names that were', () => {
    const disk = new SimDisk()
    disk.makeDir('/d')
    const file = disk.open('/d/log', 'create')
    file.append(toUtf8('kept'))
    file.syncNow()
    file.append(toUtf8(' lost'))
    disk.rename('/d/log', '/d/renamed')
    disk.open('/d/never', 'create').append(toUtf8('x'))
    disk.powerCut({ tornBytes: 2 })
    expect(disk.list('/d')).toEqual(['log'])
    expect(fromUtf8(disk.readFile('/d/log'))).toBe('kept l')
  })

  test('crashAfter() tears the append that it stops', () => {
    const disk = new SimDisk()
    const file = disk.open('/log', 'create')
    disk.crashAfter(1, 2)
    file.append(toUtf8('one'))
    expect(() => file.append(toUtf8('two'))).toThrow('simulated crash')
    expect(() => disk.remove('/log')).toThrow('simulated crash')
    disk.revive()
    expect(fromUtf8(disk.readFile('/log'))).toBe('onetw')
  })

  test('a full disk takes what fits and says so', () => {
    const disk = new SimDisk()
    disk.capacityBytes = 5
    const file = disk.open('/log', 'create')
    const error = errorOf(() => file.append(toUtf8('1234567')))
    expect(isDiskFull(error)).toBe(true)
    expect(file.size()).toBe(5)
  })
})

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

function codeOf(run: () => unknown): string {
  return errorCode(errorOf(run))
}
