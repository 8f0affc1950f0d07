/** Pictures against golden files: `UPDATE_GOLDEN=1 bun test test/api/charts.test.ts` writes them anew; look at them then. */
import { afterAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { inflateSync } from 'node:zlib'
import { drawChart, type PictureFormat } from '../../src/api/charts/chart.ts'
import { parseColor, readableOn } from '../../src/api/charts/color.ts'
import { splitPieTargets } from '../../src/api/charts/pie-graph.ts'
import { Rasterizer } from '../../src/api/charts/rasterizer.ts'
import { formatTime } from '../../src/api/charts/strftime.ts'
import { makeTimeAxis } from '../../src/api/charts/x-axis.ts'
import { type AxisSettings, makeAxis } from '../../src/api/charts/y-axis.ts'
import { RequestParams } from '../../src/api/http/request-params.ts'
import { makeSeries, type RenderSeries } from '../../src/api/render-series.ts'
import { systemClock } from '../../src/lib/clock.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const GOLDEN = `${import.meta.dir}/../golden/charts`
const START = 1_699_999_200

const rasterizer = new Rasterizer(systemClock)
afterAll(() => rasterizer.close())

function series(
  name: string,
  value: (i: number) => number,
  more: Partial<RenderSeries> = {},
): RenderSeries {
  const values = Float64Array.from({ length: 120 }, (_, i) => value(i))
  return { ...makeSeries({ name, start: START, step: 60, values, xFilesFactor: 0 }), ...more }
}

const wave = (phase: number) => (i: number) =>
  Math.round(1_000 * (50 + 40 * Math.sin(i / 9 + phase))) / 1_000
const A = series('web01.cpu', wave(0))
const B = series('web02.cpu', wave(1))
const GAPS = series('web03.cpu', (i) => (i % 10 > 6 ? NaN : i % 10 === 5 ? 70 : wave(2)(i)))
const RIGHT = series('bytes', (i) => 2_500 * i, { options: { secondYAxis: true } })
const LIMIT = series('limit', () => 85, { options: { color: 'red', dashed: 5 } })
const DEPLOY = series('deploy', (i) => (i === 40 ? 1 : 0), {
  options: { drawAsInfinite: true, color: '#ff000080' },
})

interface Case {
  readonly list?: readonly RenderSeries[]
  readonly query: string
  readonly timeZone?: string
}

const CASES: Readonly<Record<string, Case>> = {
  lines: {
    list: [A, B, GAPS, LIMIT, DEPLOY],
    query: 'width=600&height=250&title=CPU&vtitle=percent',
  },
  stacked: {
    list: [A, B, GAPS],
    query: 'areaMode=stacked&width=400&height=200',
    timeZone: 'Europe/London',
  },
  areas: {
    list: [A, B],
    query: 'areaMode=all&areaAlpha=0.4&lineMode=staircase&template=solarized-light',
  },
  'two-axes': {
    list: [A, RIGHT],
    query: 'template=noc&vtitleRight=bytes&yUnitSystem=binary&width=500',
  },
  connected: {
    list: [GAPS],
    query: 'lineMode=connected&connectedLimit=5&hideLegend=true&yMin=0&yMax=100&yStep=25',
  },
  log: {
    list: [series('growth', (i) => 1.1 ** i)],
    query: 'logBase=10&yAxisSide=right&xFormat=%25a+%25H:%25M',
  },
  'graph-only': { list: [A], query: 'graphOnly=true&width=120&height=30&bgcolor=00000000' },
  'pie-chart': {
    list: [A, B, GAPS],
    query: 'graphType=pie&pieMode=maximum&valueLabels=number&width=400',
  },
  small: { list: [A, B, GAPS, LIMIT], query: 'width=150&height=80' },
  seconds: {
    list: [series('uptime', (i) => 1_200 * i)],
    query: 'yUnitSystem=sec&width=300&height=180&vtitle=uptime',
  },
  'no-data': { query: 'width=300&height=120' },
}

async function draw(name: string, format: PictureFormat): Promise<Uint8Array> {
  const { list, query, timeZone } = CASES[name]!
  const params = await RequestParams.read(new Request(`http://api/render?${query}`))
  const input = {
    series: list ?? [],
    slices: [],
    params,
    timeZone: timeZone ?? 'UTC',
    format,
    rasterizer,
  }
  return (await drawChart(input)).bytes
}

async function golden(file: string, made: Uint8Array): Promise<Uint8Array> {
  const path = `${GOLDEN}/${file}`
  if (process.env['UPDATE_GOLDEN']) await Bun.write(path, made)
  return Bun.file(path).bytes()
}

describe('pictures', () => {
  test.each(Object.keys(CASES))('%s.svg is as it was', async (name) => {
    const made = await draw(name, 'svg')
    const kept = await golden(`${name}.svg`, made)
    expect(new TextDecoder().decode(made)).toBe(new TextDecoder().decode(kept))
  })

  test.each(['lines', 'stacked', 'no-data'])('%s.png looks as it did', async (name) => {
    const made = await draw(name, 'png')
    const [mine, kept] = [decodePng(made), decodePng(await golden(`${name}.png`, made))]
    expect([mine.width, mine.height]).toEqual([kept.width, kept.height])
    let different = 0
    for (let i = 0; i < mine.pixels.length; i++) {
      if (Math.abs(mine.pixels[i]! - kept.pixels[i]!) > 16) different++
    }
    expect(different / mine.pixels.length).toBeLessThan(0.002)
  })

  test.each(Object.keys(CASES))('%s.pdf is a PDF', async (name) => {
    const text = Buffer.from(await draw(name, 'pdf')).toString('latin1')
    expect(text).toStartWith('%PDF-1.5')
    expect(text).toEndWith('%%EOF\n')
    const at = Number(/startxref\n(\d+)/.exec(text)![1])
    expect(text.slice(at, at + 4)).toBe('xref')
    for (const [i, entry] of [...text.slice(at).matchAll(/^(\d{10}) 00000 n $/gm)].entries()) {
      expect(text.slice(Number(entry[1]))).toStartWith(`${i + 1} 0 obj`)
    }
  })

  test('say what is wrong with a parameter', async () => {
    const wrong = [
      'width=0',
      'height=5000',
      'width=x',
      'bgcolor=mud',
      'lineMode=bent',
      'yMin=5&yMax=1',
      'graphType=cube',
    ]
    for (const query of wrong) {
      const params = await RequestParams.read(new Request(`http://api/render?${query}`))
      const input = {
        series: [A],
        slices: [],
        params,
        timeZone: 'UTC',
        format: 'svg',
        rasterizer,
      } as const
      expect(await drawChart(input).catch((error: unknown) => error)).toMatchObject({ status: 400 })
    }
  })
})

describe('parseColor', () => {
  test('takes names, hex with and without alpha', () => {
    expect(parseColor('rose')).toEqual({ hex: '#c896c8', alpha: 1 })
    expect(parseColor('#12aB34')).toEqual({ hex: '#12ab34', alpha: 1 })
    expect(parseColor('%2312ab3480')).toEqual({ hex: '#12ab34', alpha: 128 / 255 })
    expect(parseColor('12345')).toBe(undefined)
  })
})

describe('readableOn', () => {
  test('is white on dark colours', () => {
    const on = (name: string): string => readableOn(parseColor(name)!).hex
    expect(['yellow', 'white', 'green', 'blue', 'aqua'].map(on)).toEqual(
      Array.from({ length: 5 }, () => '#000000'),
    )
    expect(['black', 'red', 'darkblue', '#330033'].map(on)).toEqual(
      Array.from({ length: 4 }, () => '#ffffff'),
    )
  })
})

describe('makeAxis', () => {
  const settings: AxisSettings = { divisors: [4, 5, 6], units: 'si' }
  const labels = (min: number, max: number, more: Partial<AxisSettings> = {}): string[] =>
    makeAxis({ min, max }, { ...settings, ...more }).ticks.map((tick) => tick.label)

  test('chooses round steps and one unit for all labels', () => {
    expect(labels(0, 97)).toEqual(['0', '20', '40', '60', '80', '100'])
    expect(labels(0, 2_300_000)).toEqual(['0', '0.5 M', '1.0 M', '1.5 M', '2.0 M', '2.5 M'])
    expect(labels(0, 5000, { units: 'binary' })).toEqual([
      '0',
      '1 Ki',
      '2 Ki',
      '3 Ki',
      '4 Ki',
      '5 Ki',
    ])
    expect(labels(0.001, 0.002)).toEqual([
      '0.0010',
      '0.0012',
      '0.0014',
      '0.0016',
      '0.0018',
      '0.0020',
    ])
    expect(labels(5, 5)).toEqual(['4.4', '4.6', '4.8', '5.0', '5.2', '5.4', '5.6'])
    expect(labels(0, 0)).toEqual(['-1.0', '-0.5', '0', '0.5', '1.0'])
  })

  test('counts time in its own units', () => {
    const sec = { units: 'sec' } as const
    const msec = { units: 'msec' } as const
    expect(labels(0, 150_000, sec)).toEqual(['0', '12 H', '24 H', '36 H', '48 H'])
    expect(labels(0, 4_000, sec)).toEqual(['0', '15 m', '30 m', '45 m', '60 m', '75 m'])
    expect(labels(0, 50, sec)).toEqual(['0', '10', '20', '30', '40', '50'])
    expect(labels(0, 1e9, sec)).toEqual(['0', '10 Y', '20 Y', '30 Y', '40 Y'])
    expect(labels(0, 2.5, sec)).toEqual(['0', '0.5', '1.0', '1.5', '2.0', '2.5'])
    expect(labels(0, 4_900, msec)).toEqual(['0', '1 s', '2 s', '3 s', '4 s', '5 s'])
    expect(labels(0, 400, msec)).toEqual(['0', '100', '200', '300', '400'])
    expect(labels(0, 5_400, { ...sec, step: 1_800 })).toEqual(['0', '30 m', '60 m', '90 m'])
    expect(labels(100, 200, { ...sec, step: 37 })).toEqual(['74', '111', '148', '185', '222'])
  })

  test('keeps limits that are given, whatever they are', () => {
    expect(makeAxis({ min: 3, max: 9 }, { ...settings, min: 0, max: 50 })).toMatchObject({
      bottom: 0,
      top: 50,
    })
    expect(makeAxis({ min: 3, max: 9 }, { ...settings, limit: 5 })).toMatchObject({ top: 5 })
    expect(labels(0, 1, { step: 1e-300 }).length).toBeLessThan(101)
    expect(labels(-1e308, 1e308).length).toBeLessThan(101)
    expect(labels(1, 1e6, { logBase: 10 })).toEqual([
      '1',
      '10',
      '100',
      '1 k',
      '10 k',
      '100 k',
      '1 M',
    ])
    expect(() => labels(-1, 1, { logBase: 10 })).toThrow('logBase')
  })
})

describe('makeTimeAxis', () => {
  const ticks = (from: number, until: number, timeZone: string): string[] =>
    makeTimeAxis({
      from,
      until,
      timeZone,
      format: undefined,
      scale: 600 / (until - from),
      widthOf: (label) => label.length * 7,
    }).ticks.map((tick) => tick.label)

  test('stands at round local times', () => {
    expect(ticks(START, START + 3600, 'UTC')).toEqual([
      '22:00',
      '22:10',
      '22:20',
      '22:30',
      '22:40',
      '22:50',
      '23:00',
    ])
    expect(ticks(START, START + 86_400, 'Asia/Kolkata')).toEqual([
      '06:00',
      '09:00',
      '12:00',
      '15:00',
      '18:00',
      '21:00',
      'Nov 16',
      '03:00',
    ])
    expect(ticks(START, START + 10, 'UTC')).toEqual([
      '22:00:00',
      '22:00:02',
      '22:00:04',
      '22:00:06',
      '22:00:08',
      '22:00:10',
    ])
    expect(ticks(START, START + 400 * 86_400, 'UTC')).toEqual(
      'Dec 2024 Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' '),
    )
  })

  test('is not shifted when summer time ends', () => {
    // 2023-10-29 01:00 UTC, London.
    const midnight = Date.UTC(2023, 9, 28, 23) / 1000
    expect(ticks(midnight, midnight + 86_400, 'Europe/London')).toEqual([
      'Oct 29',
      '03:00',
      '06:00',
      '09:00',
      '12:00',
      '15:00',
      '18:00',
      '21:00',
    ])
  })
})

describe('formatTime', () => {
  test('prints what C does', () => {
    const time = Date.UTC(2024, 1, 29, 13, 5, 9) / 1000
    expect(
      formatTime('%a %A %b %B %d %e %H %I %j %m %M %p %S %y %Y %% %F %T %z %q', time, 'UTC'),
    ).toBe(
      'Thu Thursday Feb February 29 29 13 01 060 02 05 PM 09 24 2024 % 2024-02-29 13:05:09 +0000 %q',
    )
    expect(formatTime('%H:%M %z', time, 'America/St_Johns')).toBe('09:35 -0330')
  })
})

describe('splitPieTargets', () => {
  test('takes numbers out', () => {
    expect(splitPieTargets(['a:5', 'b:-1.5e3', 'scale(a.b,2)', 'x:y'])).toEqual({
      slices: [
        { name: 'a', value: 5 },
        { name: 'b', value: -1500 },
      ],
      targets: ['scale(a.b,2)', 'x:y'],
    })
  })
})

/** Eight bits a channel, RGBA, not interlaced, as the rasteriser writes it. */
function decodePng(bytes: Uint8Array): { width: number; height: number; pixels: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const width = view.getUint32(16)
  const height = view.getUint32(20)
  const parts: Uint8Array[] = []
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49444154)
      parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)))
  }
  const raw = inflateSync(Buffer.concat(parts))
  const stride = width * 4
  const pixels = new Uint8Array(stride * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!
    for (let x = 0; x < stride; x++) {
      const left = x >= 4 ? pixels[y * stride + x - 4]! : 0
      const up = y > 0 ? pixels[(y - 1) * stride + x]! : 0
      const corner = x >= 4 && y > 0 ? pixels[(y - 1) * stride + x - 4]! : 0
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!
      pixels[y * stride + x] = raw[y * (stride + 1) + 1 + x]! + guess
    }
  }
  return { width, height, pixels }
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  return a <= b && a <= c ? left : b <= c ? up : corner
}
