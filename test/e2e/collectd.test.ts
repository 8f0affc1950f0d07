/** Ten seconds of a real collectd; ./scripts/soak empty-machine has two minutes of it. */
import { expect, test } from 'bun:test'
import { collectdProgram, notRendered, startCollectd, tipAge } from './collectd.ts'
import { Stack } from './stack.ts'

if (collectdProgram === null) console.log('collectd.test.ts: skipped: there is no collectd')

test.if(collectdProgram !== null)(
  'every point that collectd writes is rendered, the newest at most 2 s old',
  async () => {
    const stack = await Stack.start()
    const collectd = startCollectd(stack.dir, stack.config.relay.port)
    try {
      await Bun.sleep(5_000)
      const ages: number[] = []
      for (let i = 0; i < 5; i++) {
        ages.push(await tipAge(stack))
        await Bun.sleep(1_000)
      }
      await collectd.stop()
      await Bun.sleep(500)
      expect(collectd.written.size).toBeGreaterThan(200)
      expect((await notRendered(stack, collectd.written)).slice(0, 5)).toEqual([])
      expect(Math.max(...ages)).toBeLessThanOrEqual(2)
    } finally {
      await collectd.stop()
      await stack.close()
    }
  },
  60_000,
)
