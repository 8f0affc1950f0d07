/**
 * A line's value came back over the frame's that had overwritten it: after a failed sync the log had both twice, and a
 * replay skipped the frame the second time only.
 */
import { expect, test } from 'bun:test'
import { EngineBed } from '../store/engine-bed.ts'

test.each(['kill', 'power cut'])(
  'the newer value stays after a failed sync and a %s',
  async (end) => {
    const bed = new EngineBed()
    await bed.open()
    bed.define('a')
    await bed.clock.advance(2_000)
    const { now } = bed
    bed.write([[0, now, 1]])
    bed.write([[0, now, 2]], 1)
    bed.disk.failSyncs(1)
    await bed.clock.advance(3_000)
    if (end === 'power cut') bed.disk.powerCut()
    await bed.open()
    expect(await bed.valueAt(0, now)).toBe(2)
  },
)
