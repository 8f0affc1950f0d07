/** Points as Python pickles them: `pickle.dumps([(name, (timestamp, value)), …], protocol)`, without the memo. */
import { ByteWriter } from '../../../src/lib/bytes.ts'

export interface Point {
  readonly name: string
  readonly timestamp: number
  readonly value: number
}

/** Protocol 2. Names of at most 255 bytes. */
export function pickledPoints(points: readonly Point[]): Uint8Array {
  const out = new ByteWriter()
  out.raw(Buffer.from('\x80\x02](', 'latin1'))
  const double = Buffer.alloc(8)
  for (const { name, timestamp, value } of points) {
    out.u8(0x58) // BINUNICODE
    out.u32(Buffer.byteLength(name))
    out.raw(Buffer.from(name))
    out.u8(0x4a) // BININT
    out.u32(timestamp)
    out.u8(0x47) // BINFLOAT
    double.writeDoubleBE(value)
    out.raw(double)
    out.raw(Buffer.from('\x86\x86', 'latin1')) // TUPLE2, twice
  }
  out.raw(Buffer.from('e.'))
  return out.copy()
}

/** Protocol 0. */
export function pickledText(points: readonly Point[]): Uint8Array {
  const text = points.map(
    ({ name, timestamp, value }) => `(S'${name}'\n(I${timestamp}\nF${value}\ntta`,
  )
  return Buffer.from(`(l${text.join('')}.`, 'latin1')
}
