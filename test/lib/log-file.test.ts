import { describe, expect, test } from 'bun:test'
import { fromUtf8 } from '../../src/lib/bytes.ts'
import { LogFile } from '../../src/lib/log-file.ts'
import { SimDisk } from '../sim/disk.ts'

describe('LogFile', () => {
  test('reopen() goes on in a new file when the old one was moved away', () => {
    const disk = new SimDisk()
    disk.makeDir('/log')
    const log = new LogFile(disk, '/log/relay.log')
    log.write('one\n')
    disk.rename('/log/relay.log', '/log/relay.log.1')
    log.write('two\n')
    log.reopen()
    log.write('three\n')
    expect(fromUtf8(disk.readFile('/log/relay.log.1'))).toBe('one\ntwo\n')
    expect(fromUtf8(disk.readFile('/log/relay.log'))).toBe('three\n')
  })

  test('write() loses the line when the disk is full', () => {
    const disk = new SimDisk()
    disk.makeDir('/log')
    const log = new LogFile(disk, '/log/relay.log')
    disk.capacityBytes = 0
    expect(() => log.write('one\n')).not.toThrow()
  })
})
