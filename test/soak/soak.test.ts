/** Soaks of the store for a few seconds each, so that none of them rots: they say for themselves what has to hold. */
import { expect, test } from 'bun:test'

const SECONDS_MAX = 60

/** Its arguments, and what it says at its end. */
const TINY: Readonly<Record<string, readonly [words: readonly string[], says: RegExp]>> = {
  fleet: [['1000', '2'], /points sent, 0 missing/],
  ingest: [['3', '200', '400'], /points missing +0/],
  'late-hour': [['100', '60', '2'], /\n0 of 6000 late points missing/],
  'million-names': [['2000'], /2000 of 2000 names are there after kill -9/],
  'sealed-window': [['500', '2'], /\nsealed /],
  'store-kill': [['2', '2000'], /, 0 lost/],
  'store-week': [['0.2', '2'], /slots read, 0 wrong/],
}

test.concurrent.each(Object.entries(TINY))(
  'soak %s',
  async (name, [words, says]) => {
    const soak = Bun.spawn([process.execPath, `${import.meta.dir}/${name}.ts`, ...words], {
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, problems] = await Promise.all([
      new Response(soak.stdout).text(),
      new Response(soak.stderr).text(),
    ])
    expect(out + problems).toMatch(says)
    expect(await soak.exited).toBe(0)
  },
  SECONDS_MAX * 1000,
)
