import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { realDisk } from '../../src/lib/disk.ts'
import { changedLines, configChanges } from '../../src/relay/config-changes.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Router } from '../../src/relay/routing/router.ts'

function router(conf: string): Router {
  const parsed = parseRelayText(realDisk, conf, 't')
  if (!parsed.ok) throw new Error(parsed.error)
  return new Router(parsed.value, 1)
}

describe('configChanges()', () => {
  test('lists what a reload takes away and brings', () => {
    const before = router('cluster a forward h1 h2; match ^x send to a;')
    const after = router('cluster a forward h1 h3; match ^x send to a stop;')
    expect(configChanges(before, after, 'host')).toEqual([
      '-         h2:2003',
      '+         h3:2003',
      '+     stop',
    ])
    expect(configChanges(before, before, 'host')).toEqual([])
  })
})

describe('changedLines()', () => {
  test('turns the one into the other', () => {
    const lines: fc.Arbitrary<string[]> = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const changes = changedLines(before, after)
        const left = [...before]
        for (const change of changes) {
          if (change.startsWith('-')) expect(left).toContain(change.slice(2))
        }
        const gone = changes.filter((change) => change.startsWith('-')).length
        const come = changes.length - gone
        expect(before.length - gone + come).toBe(after.length)
      }),
    )
  })
})
