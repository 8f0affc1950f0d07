/**
 * With the manifest lost and one lane's list of archives damaged, the windows of that lane and of all lanes behind it
 * were removed as nobody's.
 */
import { expect, test } from 'bun:test'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { EngineBed, SECONDS } from '../store/engine-bed.ts'

test('windows whose archives nobody knows keep a store from starting, and are there when somebody says', async () => {
  const bed = new EngineBed()
  await bed.open()
  const minutes = { ...SECONDS, archives: [{ step: 60, count: 1_440 }] }
  const ids = [bed.define('a'), bed.define('b', minutes)]
  const time = bed.now - (bed.now % 60)
  bed.write(ids.map((id) => [id, time, id + 5]))
  await bed.clock.advance(120_000)
  await bed.engine.close()
  bed.disk.remove('/store/MANIFEST')
  const path = '/store/data/0/retentions'
  const retentions = bed.disk.readFile(path)
  bed.disk.replaceFile(path, toUtf8('nonsense\n'))
  const files = [...bed.disk.contents().keys()]
  expect(files.filter((file) => /\/data\/[01]\/.*(blk|ext)$/.test(file)).length).toBeGreaterThan(1)
  const failure = await bed.open().catch((error: unknown) => error)
  expect(String(failure)).toContain(`${path} at byte 0: neither the manifest nor this file says`)
  expect([...bed.disk.contents().keys()]).toEqual(files)
  bed.disk.replaceFile(path, retentions)
  await bed.open()
  for (const id of ids) expect(await bed.valueAt(id, time)).toBe(id + 5)
})
