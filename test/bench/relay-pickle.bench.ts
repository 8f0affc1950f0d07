/** Pickled points to lines: what a carbon relay in Python sends (protocol 2), and the oldest protocol. */
import { pickledPoints, pickledText } from '../relay/inputs/pickled-points.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { PickleReader } from '../../src/relay/inputs/pickle-reader.ts'
import { type BenchCase, checksumOf, type Random } from './bench.ts'

/** As carbon's MAX_DATAPOINTS_PER_MESSAGE. */
const POINTS = 500

export const cases: readonly BenchCase[] = [
  readCase('protocol 2', pickledPoints),
  readCase('protocol 0', pickledText),
]

function readCase(what: string, pickle: typeof pickledPoints): BenchCase {
  return {
    name: `relay/pickle: ${what}, ${POINTS} points a frame`,
    unit: 'points',
    prepare(scale, random) {
      const frame = pickle(points(random))
      const frames = Math.ceil(1_000 * scale)
      const reader = new PickleReader()
      const lines = new ByteWriter()
      return {
        count: frames * POINTS,
        run() {
          for (let i = 0; i < frames; i++) {
            lines.reset()
            reader.open(frame)
            reader.appendLines(lines)
          }
          return checksumOf(lines.written())
        },
      }
    },
  }
}

function points(random: Random): { name: string; timestamp: number; value: number }[] {
  return Array.from({ length: POINTS }, (_, i) => ({
    name: `servers.host${i}.cpu.user`,
    timestamp: 1_500_000_000,
    value: Math.round(random() * 100_000) / 1000,
  }))
}
