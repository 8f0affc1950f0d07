import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { CorruptionError } from '../../src/lib/corruption.ts'
import type { FetchedSlots } from '../../src/store/engine.ts'
import type { WhisperSeries } from '../../src/store/whisper/whisper-format.ts'
import { readWhisper } from '../../src/store/whisper/whisper-reader.ts'
import { encodeWhisper } from '../../src/store/whisper/whisper-writer.ts'
import { encodeCompressed } from './compressed-whisper.ts'

const PYTHON = '/usr/bin/python3'
const hasPythonWhisper =
  (await Bun.file(PYTHON).exists()) &&
  Bun.spawnSync([PYTHON, '-c', 'import whisper']).exitCode === 0
if (!hasPythonWhisper) console.log('skipped: Debian package python3-whisper is not installed')

/** Known slots of a row as [timestamp, value]. */
function known({ start, step, values }: FetchedSlots): [number, number][] {
  const points: [number, number][] = []
  values.forEach((value, i) => {
    if (!Number.isNaN(value)) points.push([start + i * step, value])
  })
  return points
}

const START = 1_700_000_040

/** A row with gaps that ends at `end`. */
function row(step: number, length: number, end: number): FetchedSlots {
  const values = Float64Array.from({ length }, (_, i) => (i % 7 === 3 ? NaN : i * 1.25 - 3))
  values[length - 1] = 0.1
  const last = end - (end % step)
  return { start: last - (length - 1) * step, step, values }
}

const SERIES: WhisperSeries = {
  archives: [
    { step: 1, count: 120 },
    { step: 60, count: 60 },
  ],
  method: 'max',
  xFilesFactor: Math.fround(0.3),
  slots: [row(1, 100, START), row(60, 50, START)],
}

describe('whisper', () => {
  test('reads what it wrote', () => {
    const value = fc.double({ noNaN: true })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), fc.nat(100), (values, from) => {
        const slots = [{ start: 60 * (from + 1), step: 60, values: Float64Array.from(values) }]
        const archives = [{ step: 60, count: 40 }]
        const bytes = encodeWhisper({ archives, method: 'sum', xFilesFactor: 0, slots })
        expect(known(readWhisper(bytes, 'f').slots[0]!)).toEqual(known(slots[0]!))
      }),
    )
  })

  test('leaves out what is older than the archive, judged by the newest slot of the file', () => {
    const bytes = encodeWhisper(SERIES)
    const view = new DataView(bytes.buffer)
    const ring = view.getUint32(16)
    const base = view.getUint32(ring)
    view.setUint32(ring + 12, base + 1 - 120)
    expect(known(readWhisper(bytes, 'f').slots[0]!).some(([time]) => time < base)).toBe(false)
  })

  test.each([
    ['nothing', new Uint8Array(0)],
    ['zeros', new Uint8Array(100)],
    ['a cut file', encodeWhisper(SERIES).subarray(0, 500)],
    [
      'a cut compressed file',
      encodeCompressed([{ step: 1, count: 9, points: [] }]).subarray(0, 90),
    ],
    [
      'a method of go-whisper alone',
      encodeCompressed([{ step: 1, count: 9, points: [] }], { method: 7 }),
    ],
  ])('refuses %s', (_, bytes) => {
    expect(() => readWhisper(bytes, 'f')).toThrow(CorruptionError)
  })

  test.if(hasPythonWhisper)('python reads what we wrote, and we read what python wrote', () => {
    const dir = mkdtempSync(`${tmpdir()}/emon-whisper-`)
    try {
      const ours = `${dir}/ours.wsp`
      const theirs = `${dir}/theirs.wsp`
      writeFileSync(ours, encodeWhisper(SERIES))
      const script = `
import json, struct, whisper
info = whisper.info('${ours}')
now = ${START}
rows = [whisper.fetch('${ours}', now - a['retention'], now, now=now, archiveToSelect=a['secondsPerPoint']) for a in info['archives']]
whisper.create('${theirs}', [(1, 120), (60, 60)], xFilesFactor=0.5, aggregationMethod='average')
whisper.time.time = lambda: now
for t in range(now - 200, now, 3): whisper.update('${theirs}', t * 0.5, t)
theirs = [whisper.fetch('${theirs}', now - r, now, now=now, archiveToSelect=s) for s, r in ((1, 120), (60, 3600))]
print(json.dumps([info, rows, theirs]))
`
      const { stdout, stderr } = Bun.spawnSync([PYTHON, '-c', script])
      if (stderr.length > 0) throw new Error(stderr.toString())
      const [info, rows, theirRows] = JSON.parse(stdout.toString())
      expect(info.aggregationMethod).toBe('max')
      expect(info.xFilesFactor).toBe(SERIES.xFilesFactor)
      SERIES.slots.forEach((slots, i) => expect(pythonRow(rows[i])).toEqual(known(slots)))
      const read = readWhisper(readFileSync(theirs), theirs)
      read.slots.forEach((slots, i) => expect(known(slots)).toEqual(pythonRow(theirRows[i])))
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

type PythonRow = [[start: number, end: number, step: number], (number | null)[]]

function pythonRow([[start, , step], values]: PythonRow): [number, number][] {
  return values.flatMap((value, i) => (value === null ? [] : [[start + i * step, value]])) as never
}

describe('compressed whisper', () => {
  test('reads every kind of time and value', () => {
    const gap = fc.oneof(
      fc.constant(1),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 1, max: 20_000 }),
    )
    const value = fc.oneof(fc.double({ noNaN: true }), fc.integer().map(Number), fc.constant(1.5))
    const run = fc.array(fc.tuple(gap, value), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(run, (steps) => {
        let time = START
        const points = steps.map(([gap, value]) => [(time += gap * 10), value] as const)
        const bytes = encodeCompressed([{ step: 10, count: 2_000_000, points }])
        const [row] = readWhisper(bytes, 'f').slots
        const length = row!.values.length
        expect(length).toBe((points.at(-1)![0] - points[0]![0]) / 10 + 1)
        for (const [timestamp, value] of points) {
          expect(row!.values[(timestamp - row!.start) / 10]).toBe(value)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('rolls up what still waits in the buffer', () => {
    const begin = START - (START % 60)
    const packed = Array.from({ length: 60 }, (_, i) => [begin + i, i] as const)
    const buffer = Array.from({ length: 40 }, (_, i) => [begin + 60 + i, 10] as const)
    const bytes = encodeCompressed([
      { step: 1, count: 3600, points: packed, buffer },
      { step: 60, count: 600, points: [[begin, 29.5]] },
    ])
    const { slots, method } = readWhisper(bytes, 'f')
    expect(method).toBe('average')
    expect(known(slots[0]!)).toEqual([...packed, ...buffer].map(([t, v]) => [t, v]))
    expect(known(slots[1]!)).toEqual([
      [begin, 29.5],
      [begin + 60, 10],
    ])
  })
})
