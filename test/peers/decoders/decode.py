"""Reads packed bytes on stdin with Python's own decoders, prints JSON: decode.py pickle|msgpack|PROTO MESSAGE."""
import json
import os
import subprocess
import sys
import tempfile


def decode_protobuf(proto, name, data):
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    folder = os.path.dirname(os.path.abspath(__file__))
    with tempfile.NamedTemporaryFile() as compiled:
        subprocess.run(
            ["protoc", "-I", folder, "-o", compiled.name, os.path.join(folder, proto + ".proto")],
            check=True,
        )
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files.file[0])
    descriptor = pool.FindMessageTypeByName(f"{proto}.{name}")
    message = message_factory.MessageFactory(pool).GetPrototype(descriptor).FromString(data)
    assert not message.UnknownFields() if hasattr(message, "UnknownFields") else True
    # Packing again, by the other implementation, must give the same bytes.
    assert message.SerializeToString(deterministic=True) == data, "not the canonical encoding"
    return json_format.MessageToDict(
        message, including_default_value_fields=True, preserving_proto_field_name=True
    )


def main():
    data = sys.stdin.buffer.read()
    kind = sys.argv[1]
    if kind == "pickle":
        import pickle

        value = pickle.loads(data)
    elif kind == "msgpack":
        import msgpack

        value = msgpack.unpackb(data)
    else:
        value = decode_protobuf(kind, sys.argv[2], data)
    # JSON has no infinities: as protobuf's JSON writes them.
    print(json.dumps(value).replace("-Infinity", '"-Infinity"').replace(": Infinity", ': "Infinity"'))


main()
