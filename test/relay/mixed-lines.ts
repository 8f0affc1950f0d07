/**
 * Bytes for every input of the relay, from a seed: good lines of names that come again soon and of names that come
 * again late, lines that are none, random bytes. A block counts its newlines, or what stands for a line in its protocol.
 */
import { createEncoder } from '../../src/relay/transports/compression.ts'

export interface Block {
  readonly bytes: Uint8Array
  readonly lines: number
}

const SERIES = 20_000
const LINES_A_BLOCK = 1_000
const LONG_LINE_BYTES = 40_000
/** So that a datagram fits. */
const DATAGRAM_LINES = 25

export class MixedLines {
  readonly random: (below: number) => number
  private fresh = 0

  constructor(seed: number) {
    let state = seed >>> 0 || 1
    this.random = (below) => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % below
    }
  }

  plain(lines = LINES_A_BLOCK): Block {
    let text = ''
    let next = this.random(SERIES)
    for (let i = 0; i < lines; i++) text += this.line(next++ % SERIES)
    return { bytes: Buffer.from(text, 'latin1'), lines }
  }

  datagram(): Block {
    return this.plain(DATAGRAM_LINES)
  }

  statsd(lines = LINES_A_BLOCK): Block {
    const types = [
      'c',
      'g',
      'ms',
      'h',
      's',
      'd',
      'c|@0.1',
      'c|#env:prod,dc:lon',
      'zz',
      'g|T1700000000',
    ]
    let text = ''
    for (let i = 0; i < lines; i++) {
      const value = this.random(50) === 0 ? 'x'.repeat(this.random(40)) : this.random(1000)
      text += `app.n${this.random(500)}:${value}|${types[this.random(types.length)]}\n`
    }
    return { bytes: Buffer.from(text, 'latin1'), lines }
  }

  /** Protocol 0, as Python's `pickle.dumps(list, 0)` writes it, behind its length. */
  pickle(lines = LINES_A_BLOCK): Block {
    let text = '(l'
    for (let i = 0; i < lines; i++) {
      text += `(S'pickled.n${this.random(SERIES)}'\n(I${this.second()}\nF${this.random(1000) / 8}\ntta`
    }
    const body = Buffer.from(`${text}.`, 'latin1')
    // One in twenty is damaged, and its connection ends.
    if (this.random(20) === 0) body[this.random(body.length)] = this.random(256)
    const bytes = Buffer.alloc(4 + body.length)
    bytes.writeUInt32BE(body.length)
    body.copy(bytes, 4)
    return { bytes, lines }
  }

  /** Whole by itself, so that any may follow any other. */
  packed(compression: 'gzip' | 'lz4' | 'snappy'): Promise<Block> {
    const { bytes, lines } = this.plain()
    if (compression === 'gzip')
      return Promise.resolve({ bytes: Bun.gzipSync(Buffer.from(bytes)), lines })
    const encoder = createEncoder(compression)
    return new Promise((resolve) =>
      encoder.encode(bytes, (packed) => {
        encoder.close()
        resolve({ bytes: packed.slice(), lines })
      }),
    )
  }

  private line(series: number): string {
    switch (this.random(40)) {
      case 0:
        return this.badLine()
      case 1:
        return `fresh.n${this.fresh++ % SERIES} ${this.random(1000)} ${this.second()}\n`
      case 2:
        return `summed.h${series % 100}.n${series} ${this.random(1000) / 8} ${this.second()}\n`
      default:
        return `servers.h${series % 400}.n${series} ${this.random(100_000) / 100} ${this.second()}\n`
    }
  }

  private badLine(): string {
    switch (this.random(9)) {
      case 0:
        return 'no-blank\n'
      case 1:
        return `a..b.${this.random(100)}\t 2   ${this.second()} \r\n`
      case 2:
        return `nan.value nan ${this.second()}\n`
      case 3:
        return `bad.time 1 ${this.random(2) === 0 ? 'x' : '99999999999'}\n`
      case 4:
        return `tagged;k=v;n=${this.random(50)} 1 ${this.second()}\n`
      case 5:
        return this.random(50) === 0 ? `${'long'.repeat(LONG_LINE_BYTES / 4)} 1 1\n` : '\n'
      case 6:
        return 'käse.größe 1 -1\n'
      case 7:
        return `${'deep.'.repeat(300)}end 1 ${this.second()}\n`
      default:
        return `${this.noise(this.random(120))}\n`
    }
  }

  /** Anything but a newline. */
  noise(bytes: number): string {
    let text = ''
    for (let i = 0; i < bytes; i++) {
      const code = this.random(256)
      text += String.fromCharCode(code === 10 ? 11 : code)
    }
    return text
  }

  private second(): number {
    return Math.floor(Date.now() / 1000) - this.random(5)
  }
}
