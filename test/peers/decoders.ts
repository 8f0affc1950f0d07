/**
 * Decoders that others wrote, for our packed formats: Python's pickle, msgpack (Debian's python3-msgpack), and
 * protobuf (protobuf-compiler, python3-protobuf) with go-graphite's messages.
 */
const PYTHON = '/usr/bin/python3'
const SCRIPT = `${import.meta.dir}/decoders/decode.py`

/** Why there are none on this machine; undefined when there are. */
export function decodersAreMissing(): string | undefined {
  if (Bun.which(PYTHON) === null) return `${PYTHON} is not there`
  if (Bun.which('protoc') === null) return 'the Debian package protobuf-compiler is not installed'
  const imports = Bun.spawnSync([PYTHON, '-c', 'import msgpack, google.protobuf'])
  return imports.success ? undefined : 'python3-msgpack or python3-protobuf is not installed'
}

/** `pickle`, `msgpack`, or a .proto of decoders/ and the name of a message in it. */
export function decode(kind: readonly [string, string?], bytes: Uint8Array): unknown {
  const run = Bun.spawnSync([PYTHON, SCRIPT, ...kind.filter((word) => word !== undefined)], {
    stdin: bytes,
  })
  if (!run.success) throw new Error(run.stderr.toString())
  return JSON.parse(run.stdout.toString())
}
