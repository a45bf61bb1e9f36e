"""Files of tensors that are made to do harm."""

import json
import struct

FLOATS = bytes(32)


def tensor(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def packed(header, data=FLOATS, *, length=None):
    """A safetensors file. header: a JSON value, or bytes. length: what it states of the header's length."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


SOUND = {"a": tensor([2, 2], 0, 16), "b": tensor([4], 16, 32)}
HOSTILE = {
    "a header of 2**64 bytes": packed(SOUND, length=2**64 - 1),
    "a header of 8 GB": packed(SOUND, length=2**33),
    "a header longer than the file": packed(SOUND, length=10**6),
    "no header": b"",
    "half a length": b"\1\2",
    "overlapping tensors": packed(SOUND | {"b": tensor([4], 8, 24)}),
    "two tensors in one place": packed(SOUND | {"b": tensor([4], 0, 16)}, FLOATS[:16]),
    "a tensor beyond the end": packed(SOUND | {"b": tensor([4], 16, 10**9)}),
    "a tensor that ends before it begins": packed(SOUND | {"a": tensor([2, 2], 16, 0)}),
    "a tensor before the file": packed(SOUND | {"a": tensor([2, 2], -16, 0)}),
    "a hole": packed({"a": tensor([2, 2], 16, 32)}),
    "a shape that overflows": packed(SOUND | {"b": tensor([2**32, 2**32, 2], 16, 32)}),
    "4 TB": packed(SOUND | {"b": tensor([2**40], 16, 16 + 2**42)}),
    "a negative shape": packed(SOUND | {"b": tensor([-4], 16, 32)}),
    "a shape of text": packed(SOUND | {"b": tensor("4", 16, 32)}),
    "an unknown type": packed(SOUND | {"b": tensor([4], 16, 32, "Q9")}),
    "a header of brackets": packed(b"[" * 100_000),
    "a list": packed([SOUND]),
    "null": packed(b"null"),
    "a name twice": packed(b'{"a":%b,"a":%b}' % tuple(json.dumps(entry).encode() for entry in SOUND.values())),
    "notes that are a number": packed(SOUND | {"__metadata__": 3}),
}
