import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { SERIES_FORMATS, type TextFormat } from '../../src/api/formats/formats.ts'
import { TextBuffer } from '../../src/api/formats/text-buffer.ts'
import type { RenderQuery } from '../../src/api/render-query.ts'
import { makeSeries, type RenderSeries } from '../../src/api/render-series.ts'
import { ByteReader, fromUtf8 } from '../../src/lib/bytes.ts'

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

const INFO = {
  name: 'a.b',
  start: 1_700_000_000,
  end: 1_700_000_040,
  step: 10,
  values: [1, null, 2.5, Infinity],
  pathExpression: 'a.b',
  valuesPerPoint: 1,
  consolidationFunc: 'average',
  xFilesFactor: 0,
}

describe('pickle and msgpack', () => {
  test('msgpack is read back', () => {
    expect(unpack(new ByteReader(bytes('msgpack', LIST)))).toMatchObject([
      INFO,
      { name: 'c "d",é' },
    ])
    const long = one(
      'n'.repeat(300),
      Array.from({ length: 70_000 }, () => 1),
    )
    expect(unpack(new ByteReader(bytes('msgpack', [long])))).toMatchObject([
      { name: long.name, values: [...long.values] },
    ])
  })

  const python = Bun.which('python3')
  test.skipIf(python === null)('pickle is read by Python', () => {
    const script = 'import sys,pickle,json; print(json.dumps(pickle.load(sys.stdin.buffer)))'
    const { stdout } = Bun.spawnSync([python!, '-c', script], { stdin: bytes('pickle', LIST) })
    expect(JSON.parse(stdout.toString().replace('Infinity', '1e9999'))).toMatchObject([
      INFO,
      { name: 'c "d",é' },
    ])
  })
  if (python === null) console.log('pickle is read by Python: skipped: python3 is not installed')
})

describe('protobuf', () => {
  test('v2 and v3 carry name, range and values', () => {
    const [v2] = messages(bytes('protobuf', [LIST[0]!]))
    expect(fromUtf8(v2!.get(1) as Uint8Array)).toBe('a.b')
    expect([v2!.get(2), v2!.get(3), v2!.get(4)]).toEqual([1_700_000_000, 1_700_000_040, 10])
    expect(doubles(v2!.get(5) as Uint8Array)).toEqual([1, 0, 2.5, Infinity])
    expect([...(v2!.get(6) as Uint8Array)]).toEqual([0, 1, 0, 0])
    const [v3, second] = messages(bytes('carbonapi_v3_pb', LIST))
    expect(fromUtf8(v3!.get(3) as Uint8Array)).toBe('average')
    expect([v3!.get(4), v3!.get(5), v3!.get(6), v3!.get(12)]).toEqual([
      1_700_000_000, 1_700_000_040, 10, 100,
    ])
    expect(doubles(v3!.get(9) as Uint8Array)).toEqual([1, NaN, 2.5, Infinity])
    expect(fromUtf8(second!.get(1) as Uint8Array)).toBe('c "d",é')
  })
})

/** Field → last value, of each message in field 1. */
function messages(data: Uint8Array): Map<number, unknown>[] {
  return fields(data).map(([, value]) => new Map(fields(value as Uint8Array)))
}

function fields(data: Uint8Array): [number, unknown][] {
  const reader = new ByteReader(data)
  const found: [number, unknown][] = []
  while (reader.remaining > 0) {
    const key = reader.varint()
    const value =
      key % 8 === 0 ? reader.varint() : key % 8 === 5 ? reader.f32() : reader.raw(reader.varint())
    found.push([Math.floor(key / 8), value])
  }
  return found
}

function doubles(data: Uint8Array): number[] {
  return [...new Float64Array(new Uint8Array(data).buffer)]
}

function unpack(reader: ByteReader): unknown {
  const code = reader.u8()
  const big = (count: number): number => {
    let value = 0
    for (let i = 0; i < count; i++) value = value * 256 + reader.u8()
    return value
  }
  const list = (count: number): unknown[] => Array.from({ length: count }, () => unpack(reader))
  const map = (count: number): unknown =>
    Object.fromEntries(Array.from({ length: count }, () => [unpack(reader), unpack(reader)]))
  if (code < 0x80) return code
  if (code < 0x90) return map(code & 15)
  if (code < 0xa0) return list(code & 15)
  if (code < 0xc0) return fromUtf8(reader.raw(code & 31))
  switch (code) {
    case 0xc0:
      return null
    case 0xcb: {
      const raw = Uint8Array.from(reader.raw(8))
      return new DataView(raw.buffer).getFloat64(0)
    }
    case 0xce:
      return big(4)
    case 0xd9:
      return fromUtf8(reader.raw(big(1)))
    case 0xda:
      return fromUtf8(reader.raw(big(2)))
    case 0xdc:
      return list(big(2))
    case 0xdd:
      return list(big(4))
    default:
      throw new Error(`msgpack code ${code}`)
  }
}
