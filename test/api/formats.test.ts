import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { SERIES_FORMATS, type TextFormat } from '../../src/api/formats/formats.ts'
import { TextBuffer } from '../../src/api/formats/text-buffer.ts'
import type { RenderQuery } from '../../src/api/render-query.ts'
import { makeSeries, type RenderSeries } from '../../src/api/render-series.ts'
import { fromUtf8 } from '../../src/lib/bytes.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const QUERY: RenderQuery = {
  targets: [],
  from: 0,
  until: 100,
  now: 100,
  timeZone: 'UTC',
  format: 'json',
  maxDataPoints: undefined,
  noNullPoints: false,
  xFilesFactor: 0,
  template: new Map(),
  jsonp: undefined,
  pretty: false,
  timestampZeros: 0,
}

function bytes(
  format: TextFormat,
  list: readonly RenderSeries[],
  query: Partial<RenderQuery> = {},
): Uint8Array {
  const pieces = SERIES_FORMATS[format].encode(list, { ...QUERY, ...query })
  return Buffer.concat(Array.from(pieces, (piece) => piece.slice()))
}

function text(
  format: TextFormat,
  list: readonly RenderSeries[],
  query: Partial<RenderQuery> = {},
): string {
  return fromUtf8(bytes(format, list, query))
}

function one(name: string, values: readonly number[], step = 10): RenderSeries {
  return makeSeries({
    name,
    start: 1_700_000_000,
    step,
    values: Float64Array.from(values),
    xFilesFactor: 0,
  })
}

const LIST = [one('a.b', [1, NaN, 2.5, Infinity]), one('c "d",é', [-0.001, 1e21, 1e-7, 123456.789])]

describe('TextBuffer', () => {
  /** Doubles with few bits, whose decimals are ties, and their neighbours. */
  const awkward = fc
    .tuple(
      fc.integer({ min: -40, max: 70 }),
      fc.integer({ min: 1, max: 2 ** 20 }),
      fc.integer({ min: -2, max: 2 }),
    )
    .map(([exponent, mantissa, neighbour]) => {
      const bits = new BigInt64Array(Float64Array.of(mantissa * 2 ** exponent).buffer)
      bits[0]! += BigInt(neighbour)
      return new Float64Array(bits.buffer)[0]!
    })
  const near = fc
    .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 20 }))
    .map(([a, b]) => a / 10 ** b)
  const average = fc
    .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 1, max: 100 }))
    .map(([a, b]) => a / 1e3 / b)
  const any = fc.double({ noNaN: true, noDefaultInfinity: true })

  test('prints numbers as String does', () => {
    fc.assert(
      fc.property(fc.oneof(any, near, average, awkward, fc.maxSafeInteger()), (value) => {
        const out = new TextBuffer(8)
        out.number(value)
        expect(fromUtf8(out.take())).toBe(String(value))
      }),
      { numRuns: 10_000 },
    )
  })
})

describe('json', () => {
  const plain = (list: readonly RenderSeries[]): unknown =>
    list.map(({ name, tags, start, step, values }) => ({
      target: name,
      tags: Object.fromEntries(tags),
      datapoints: [...values].map((value, i) => [
        Number.isFinite(value) ? value + 0 : null,
        start + i * step,
      ]),
    }))

  test('is what JSON.stringify would make of it', () => {
    const values = fc.array(fc.oneof(fc.double(), fc.constant(NaN)))
    fc.assert(
      fc.property(
        fc.string(),
        values,
        fc.boolean(),
        fc.integer({ min: 1, max: 5_000 }),
        (name, list, pretty, step) => {
          const series = [one('x', []), one(name, list, step), one('y', [1])]
          expect(JSON.parse(text('json', series, { pretty }))).toEqual(plain(series))
        },
      ),
    )
  })

  test('goes out in pieces', () => {
    const long = one(
      'long',
      Array.from({ length: 100_000 }, (_, i) => i * 1.001),
    )
    const pieces = Array.from(SERIES_FORMATS.json.encode([long, long], QUERY), (piece) =>
      piece.slice(),
    )
    expect(pieces.length).toBeGreaterThan(5)
    expect(JSON.parse(fromUtf8(Buffer.concat(pieces)))).toEqual(plain([long, long]))
  })

  test('crosses a change of the timestamp’s leading digits', () => {
    const series = makeSeries({
      name: 'n',
      start: 999,
      step: 1,
      values: Float64Array.of(1, 2, 3),
      xFilesFactor: 0,
    })
    expect(JSON.parse(text('json', [series]))).toEqual(plain([series]))
  })
})

describe('csv and raw', () => {
  test('write lines as Python does', () => {
    expect(text('csv', LIST, { timeZone: 'Asia/Tokyo' })).toBe(
      'a.b,2023-11-15 07:13:20,1.0\r\na.b,2023-11-15 07:13:30,\r\na.b,2023-11-15 07:13:40,2.5\r\na.b,2023-11-15 07:13:50,inf\r\n' +
        '"c ""d"",é",2023-11-15 07:13:20,-0.001\r\n"c ""d"",é",2023-11-15 07:13:30,1e+21\r\n' +
        '"c ""d"",é",2023-11-15 07:13:40,1e-07\r\n"c ""d"",é",2023-11-15 07:13:50,123456.789\r\n',
    )
    expect(text('raw', LIST)).toBe(
      'a.b,1700000000,1700000040,10|1.0,None,2.5,inf\nc "d",é,1700000000,1700000040,10|-0.001,1e+21,1e-07,123456.789\n',
    )
    expect(text('raw', [one('big', [1e15, 1e16, 123456789012345680, 1e-4, 1e-5, -0])])).toContain(
      '|1000000000000000.0,1e+16,1.2345678901234568e+17,0.0001,1e-05,',
    )
  })
})

describe('dygraph and rickshaw', () => {
  test('write tables and points', () => {
    expect(JSON.parse(text('dygraph', [LIST[0]!, one('coarse', [7, 8], 20)]))).toEqual({
      labels: ['Time', 'a.b', 'coarse'],
      data: [
        [1_700_000_000_000, 1, 7],
        [1_700_000_010_000, null, null],
        [1_700_000_020_000, 2.5, 8],
        [1_700_000_030_000, null, null],
      ],
    })
    expect(text('dygraph', [])).toBe('{}')
    expect(JSON.parse(text('rickshaw', [LIST[0]!]))).toEqual([
      {
        target: 'a.b',
        datapoints: [
          { x: 1_700_000_000, y: 1 },
          { x: 1_700_000_010, y: null },
          { x: 1_700_000_020, y: 2.5 },
          { x: 1_700_000_030, y: null },
        ],
      },
    ])
    expect(text('rickshaw', [], { jsonp: 'f' })).toBe('f([])')
  })
})
