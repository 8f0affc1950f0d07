/** A name server on the loopback: answers A queries from a table (RFC 1035), all else with nothing. */

const TYPE_A = 1

export class NameServer {
  readonly names = new Map<string, { addresses: readonly string[]; ttl: number }>()
  queries = 0
  private readonly socket: Bun.udp.Socket<'buffer'>

  private constructor(socket: Bun.udp.Socket<'buffer'>) {
    this.socket = socket
  }

  static async start(): Promise<NameServer> {
    const socket = await Bun.udpSocket({
      hostname: '127.0.0.1',
      socket: {
        data: (_, query, port, address) => {
          if (query.readUInt16BE(typeOffset(query)) === TYPE_A) server.queries++
          socket.send(server.answer(query), port, address)
        },
      },
    })
    const server = new NameServer(socket)
    return server
  }

  /** What makes a relay ask here. */
  get environment(): Record<string, string> {
    return {
      BUN_OPTIONS: `--preload ${Bun.fileURLToPath(import.meta.resolve('./use-name-server.ts'))}`,
      TEST_NAME_SERVER: `127.0.0.1:${this.socket.port}`,
    }
  }

  stop(): void {
    this.socket.close()
  }

  private answer(query: Buffer): Buffer {
    const end = typeOffset(query)
    const known = this.names.get(nameOf(query))
    const addresses = known && query.readUInt16BE(end) === TYPE_A ? known.addresses : []
    const head = Buffer.from(query.subarray(0, end + 4))
    head.writeUInt16BE(known ? 0x8180 : 0x8183, 2)
    head.writeUInt16BE(addresses.length, 6)
    head.writeUInt32BE(0, 8)
    return Buffer.concat([head, ...addresses.map((address) => record(address, known!.ttl))])
  }
}

function typeOffset(query: Buffer): number {
  return query.indexOf(0, 12) + 1
}

function nameOf(query: Buffer): string {
  const labels: string[] = []
  for (let at = 12; query[at] !== 0; at += query[at]! + 1) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
  }
  return labels.join('.')
}

/** Its name is a pointer to the question's. */
function record(address: string, ttl: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16BE(0xc00c, 0)
  bytes.writeUInt16BE(TYPE_A, 2)
  bytes.writeUInt16BE(1, 4)
  bytes.writeUInt32BE(ttl, 6)
  bytes.writeUInt16BE(4, 10)
  for (const [i, part] of address.split('.').entries()) bytes[12 + i] = Number(part)
  return bytes
}
