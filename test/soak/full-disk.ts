/**
 * A disk that fills up under load and gets room again: ./scripts/soak full-disk. Needs root, for a tmpfs.
 *
 * Below 256 MiB of free space the store stops writing, says so, and keeps answering; the relay spools. When there is room
 * again both go on alone, and every point that was sent is there.
 */
import { closeSync, openSync, statfsSync, unlinkSync, writeSync } from 'node:fs'
import { systemClock } from '../../src/lib/clock.ts'
import { notReady, waitUntilReady } from '../../src/readiness.ts'
import { TmpfsDisk } from '../e2e/disks.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { Stack } from '../e2e/stack.ts'

const MIB = 1024 ** 2
const RATE = 1_000

const mounted = TmpfsDisk.mount(1_400)
if (typeof mounted === 'string') {
  console.log(`full-disk: skipped: ${mounted}`)
  process.exit(0)
}
const disk = mounted.path
let good = true
const stack = await Stack.start({ EMON_DATA: `${disk}/data` })
try {
  const load = new SteadyLoad({ port: stack.config.relay.port, rate: RATE, prefix: 'disk' })
  await Bun.sleep(3_000)
  fill(200 * MIB)
  await until('the store says that its disk is full', async () =>
    (await notReady(stack.config, 'store')).some((reason) => reason.includes('disk')),
  )
  console.log(`  ${(await notReady(stack.config, 'store')).join('; ')}`)
  const { from, until: now } = load.range
  verdict('it answers questions', (await stack.points('disk.g0.s1', { from, until: now })).size > 0)
  await Bun.sleep(5_000)
  unlinkSync(`${disk}/fill`)
  const missing = await waitUntilReady(stack.config, ['store', 'relay', 'mailer'], {
    clock: systemClock,
    timeoutMs: 30_000,
  })
  verdict('all are ready when there is room again', missing.length === 0, missing.join('; '))
  await Bun.sleep(2_000)
  await load.stop()
  const report = await load.check(stack, { timeoutMs: 30_000 })
  verdict(
    `all ${report.sent} points are there`,
    report.missing.length === 0,
    `${report.missing.length} are not, ${report.missing[0]} first`,
  )
} finally {
  await stack.close()
  mounted.unmount()
}
process.exit(good ? 0 : 1)

/** Leaves that much free space. */
function fill(freeBytes: number): void {
  const block = new Uint8Array(MIB)
  const file = openSync(`${disk}/fill`, 'w')
  for (;;) {
    const { bavail, bsize } = statfsSync(disk)
    if (bavail * bsize <= freeBytes) break
    writeSync(file, block)
  }
  closeSync(file)
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const giveUpMs = performance.now() + 20_000
  while (!(await done())) {
    if (performance.now() > giveUpMs) return verdict(what, false)
    await Bun.sleep(100)
  }
  verdict(what, true)
}

function verdict(what: string, holds: boolean, otherwise = ''): void {
  console.log(holds ? what : `WRONG: ${what}: ${otherwise}`)
  good &&= holds
}
