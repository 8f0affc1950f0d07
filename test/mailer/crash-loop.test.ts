/** A short crash loop; `./scripts/soak mailer-crash-loop` runs the long one. */
import { expect, test } from 'bun:test'
import { runCrashLoop } from './crash-loop.ts'

test('no accepted message is lost when the mailer is killed with -9 again and again', async () => {
  const result = await runCrashLoop({ messages: 200, kills: 5, clients: 4 })
  expect(result.accepted).toBe(200)
  expect(result.lost).toEqual([])
  expect(result.duplicates.filter(({ cause }) => cause === 'UNEXPLAINED')).toEqual([])
}, 60_000)
