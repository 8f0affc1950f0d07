"""Python's own codecs as a peer of the relay.

  compress gzip|lz4|snappy     standard input, a piece of 20 kB at a time, to standard output
  decompress gzip|lz4|snappy   the same back, also where a stream has no end
  pickle PROTOCOL              lines as length-prefixed pickles, 100 points each, kinds of values mixed
"""
import pickle
import struct
import sys

PIECE = 20_000


def compress(kind, data):
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    if kind == "gzip":
        import zlib

        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        return b"".join(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces)
    if kind == "lz4":
        import lz4.frame

        return b"".join(lz4.frame.compress(piece, content_checksum=True) for piece in pieces)
    import snappy

    return b"".join(snappy.compress(piece) for piece in pieces)


def snappy_end(data):
    """Where a raw block ends: it says how long it is unpacked, not packed (format_description.txt)."""
    length = at = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    while length > 0:
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(data[at : at + extra], "little")
                at += extra
            at += size + 1
            length -= size + 1
        else:
            length -= (tag >> 2 & 7) + 4 if tag & 3 == 1 else (tag >> 2) + 1
            at += (0, 1, 2, 4)[tag & 3]
    return at


def decompress(kind, data):
    if kind == "gzip":
        import zlib

        return zlib.decompressobj(31).decompress(data)
    parts = []
    while data:
        if kind == "lz4":
            import lz4.frame

            unpacker = lz4.frame.LZ4FrameDecompressor()
            parts.append(unpacker.decompress(data))
            data = unpacker.unused_data or b""
        else:
            import snappy

            end = snappy_end(data)
            parts.append(snappy.decompress(data[:end]))
            data = data[end:]
    return b"".join(parts)


def pickles(protocol, text):
    points = []
    for number, line in enumerate(text.split("\n")[:-1]):
        name, value, time = line.split(" ")
        value = [int(value), float(value), value, int(value)][number % 4]
        time = [int(time), float(time), time, int(time)][number % 4]
        point = (time, value)
        points.append((name, point) if number % 2 else [name, list(point)])
    out = b""
    for at in range(0, len(points), 100):
        batch = points[at : at + 100]
        packed = pickle.dumps(tuple(batch) if at % 200 else batch, protocol)
        out += struct.pack("!L", len(packed)) + packed
    return out


def main():
    mode, what = sys.argv[1:3]
    data = sys.stdin.buffer.read()
    if mode == "compress":
        out = compress(what, data)
    elif mode == "decompress":
        out = decompress(what, data)
    else:
        out = pickles(int(what), data.decode())
    sys.stdout.buffer.write(out)


main()
