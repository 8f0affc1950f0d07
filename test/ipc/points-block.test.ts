import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { PointsBlock, pointsBlockBytes } from '../../src/ipc/points-block.ts'
import { PointsColumns } from '../../src/ipc/points-format.ts'

const CAPACITY = 16

type Point = readonly [id: number, timestamp: number, value: number]

const point: fc.Arbitrary<Point> = fc.tuple(
  fc.nat(0xffff_ffff),
  fc.nat(0xffff_ffff),
  fc.double({ noNaN: true }),
)

function push(block: PointsBlock, points: readonly Point[]): void {
  for (const [id, timestamp, value] of points) block.push(id, timestamp, value)
}

function read(payload: Uint8Array): { sequence: number; points: Point[] } {
  const columns = new PointsColumns()
  columns.decode(payload)
  const { sequence, ids, timestamps, values } = columns
  return { sequence, points: [...ids].map((id, i) => [id, timestamps[i]!, values[i]!]) }
}

describe('PointsBlock', () => {
  test('is the payload of all that was put into it, full or not, also when it is filled again', () => {
    const rounds = fc.array(fc.tuple(fc.array(point, { maxLength: CAPACITY }), fc.maxSafeNat()))
    fc.assert(
      fc.property(rounds, (rounds) => {
        const bytes = new Uint8Array(pointsBlockBytes(CAPACITY)).fill(0xff)
        const block = new PointsBlock(CAPACITY, bytes)
        for (const [points, sequence] of rounds) {
          push(block, points)
          expect(block.hasRoom).toBe(points.length < CAPACITY)
          const payload = block.close(sequence)
          expect(payload.buffer).toBe(bytes.buffer)
          expect(read(payload)).toEqual({ sequence, points })
          expect(block.length).toBe(0)
        }
      }),
    )
  })

  test('what is cut out of one can go on in another', () => {
    const points = fc.array(point, { maxLength: CAPACITY })
    fc.assert(
      fc.property(points, fc.nat(CAPACITY), (points, at) => {
        const from = Math.min(at, points.length)
        const [first, second] = [new PointsBlock(CAPACITY), new PointsBlock(CAPACITY)]
        push(first, points)
        second.append(first.cut(from))
        expect(read(first.close(1)).points).toEqual(points.slice(0, from))
        expect(read(second.close(2)).points).toEqual(points.slice(from))
      }),
    )
  })
})
