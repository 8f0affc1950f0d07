import { describe, expect, test } from 'bun:test'
import { createLog, reason } from '../../src/lib/log.ts'
import { SimClock } from '../sim/clock.ts'

describe('createLog()', () => {
  const lines: string[] = []
  let debugging = false
  const log = createLog({
    concern: 'relay',
    clock: new SimClock({ startMs: 0 }),
    write: (line) => lines.push(line),
    debugging: () => debugging,
  })

  test('prints one line an event and quotes what needs it', () => {
    log.info('listening\non', { port: 2003, path: '/a b', empty: '', none: undefined, up: true })
    expect(lines.pop()).toBe(
      '1970-01-01T00:00:00.000Z info relay listening on port=2003 path="/a b" empty="" up=true\n',
    )
  })

  test('debug() is silent until it is switched on', () => {
    log.debug('quiet')
    expect(lines).toEqual([])
    debugging = true
    log.debug('loud')
    expect(lines.pop()).toContain(' debug relay loud')
  })
})

describe('reason()', () => {
  test('adds the system’s code where the text does not say it', () => {
    const refused = Object.assign(new Error('Failed to connect'), { code: 'ECONNREFUSED' })
    expect(reason(refused)).toBe('Failed to connect (ECONNREFUSED)')
    expect(reason(Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }))).toBe(
      'ENOENT: no such file',
    )
    expect(reason(new Error('plain'))).toBe('plain')
    expect(reason(Object.assign(new Error('no such series'), { code: 'bad' }))).toBe(
      'no such series',
    )
    expect(reason(7)).toBe('7')
  })
})
