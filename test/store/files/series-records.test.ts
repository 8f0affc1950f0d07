import { describe, expect, test } from 'bun:test'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import {
  appendDefine,
  appendRedefine,
  appendRemove,
  appendRename,
  appendSwitch,
  decodeDefine,
  decodeRedefine,
  decodeRemove,
  decodeRename,
  decodeSwitch,
  DefineReader,
} from '../../../src/store/files/series-records.ts'
import { appendFollow, decodeFollow, eachRecord } from '../../../src/store/files/wal-format.ts'
import { SECONDS } from '../engine-bed.ts'

const definition = { id: 70_000, ...SECONDS, pinned: true, path: 'web.01.größe;dc=x' }

function payload(append: (dst: ByteWriter) => void): Uint8Array {
  const dst = new ByteWriter()
  append(dst)
  return dst.copy().subarray(9)
}

/** As opening a store reads it. */
function readInPlace(bytes: Uint8Array): unknown {
  const reader = new DefineReader()
  reader.read(bytes)
  const path = new TextDecoder().decode(bytes.subarray(reader.pathFrom, reader.pathTo))
  return { id: reader.id, ...reader.rule, path }
}

const change = { id: 3, from: 1_800_000_000, rule: { ...SECONDS, pinned: false } }

describe('records about series', () => {
  test.each<[string, Uint8Array, (bytes: Uint8Array) => unknown, unknown]>([
    ['DEFINE', payload((dst) => appendDefine(dst, definition)), decodeDefine, definition],
    ['DEFINE, in place', payload((dst) => appendDefine(dst, definition)), readInPlace, definition],
    ['RENAME', payload((dst) => appendRename(dst, 3, 'a.b')), decodeRename, { id: 3, path: 'a.b' }],
    ['REMOVE', payload((dst) => appendRemove(dst, 3)), decodeRemove, 3],
    ['REDEFINE', payload((dst) => appendRedefine(dst, change)), decodeRedefine, change],
    ['SWITCH', payload((dst) => appendSwitch(dst, 3, 99)), decodeSwitch, { id: 3, from: 99 }],
  ])('%s comes back whole, or not at all', (_, bytes, decode, want) => {
    expect(decode(bytes)).toEqual(want)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decode(bytes.subarray(0, length))).toThrow(RangeError)
  })
})

test('records in a FOLLOW are whole', () => {
  const records = new ByteWriter()
  appendRemove(records, 1)
  appendRename(records, 2, 'x')
  const position = { segment: 4, bytes: 2 ** 33 }
  const bytes = payload((dst) => appendFollow(dst, position, [records.copy()]))
  const found = decodeFollow(bytes)
  expect(found).toMatchObject(position)
  const types: number[] = []
  eachRecord(found.records, (type) => types.push(type))
  expect(types).toEqual([7, 6])
  const cut = found.records.subarray(0, -1)
  expect(() => eachRecord(cut, () => {})).toThrow('record in a record is cut short')
})
