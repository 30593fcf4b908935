"""An ONNX file without its weights, cut from the bytes before protobuf reads them.

protobuf holds a whole file in memory, twice while it reads, takes up to a hundred bytes for one of a hostile file,
and ends at 2 GB. Walking the wire format costs memory only for what is kept: the nodes, the declared types and
shapes, and constants of up to 4 KiB, which may decide shapes. Nothing outside the file is followed.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._summary import MAX_ENTRIES, DamagedError

_MAX_KEPT_BYTES = 4096
"""Of one value. What is longer is weights or a blob."""

_MAX_TOTAL_BYTES = 64 << 20
"""Of all that is kept. The graph of a network with ten thousand nodes has 5 MB."""

_MAX_DEPTH = 40
"""Of messages in each other; a graph in a graph takes three. protobuf itself ends at 100."""

_Message = Mapping[int, Any]
"""Field number -> the message in it, or None for a value. Fields that are not named are left out."""

_OPSET: _Message = dict.fromkeys((1, 2))
_DIMENSION: _Message = dict.fromkeys((1, 2))
_TYPE: _Message = {1: {1: None, 2: {1: _DIMENSION}}}  # tensors; sequences, maps and optionals are left out
_VALUE: _Message = {1: None, 2: _TYPE}
_TENSOR: _Message = dict.fromkeys((1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 14))  # all but segment and external_data
_ATTRIBUTE: dict[int, Any] = {**dict.fromkeys((1, 2, 3, 4, 7, 8, 9, 20, 21)), 5: _TENSOR, 10: _TENSOR}
_NODE: _Message = {**dict.fromkeys((1, 2, 3, 4, 7, 8)), 5: _ATTRIBUTE}
_GRAPH: _Message = {1: _NODE, 2: None, 5: _TENSOR, 11: _VALUE, 12: _VALUE, 13: _VALUE}
_ATTRIBUTE.update({6: _GRAPH, 11: _GRAPH})
_MODEL: _Message = {1: None, 7: _GRAPH, 8: _OPSET}  # no functions: they can call each other without end


def skeleton(data: Any) -> bytes:
    """The ModelProto in `data`, serialised again without what is large or not needed.

    Args:
        data: bytes or a mapped file.

    Raises:
        DamagedError: it is not wire format, ends too early, or has more in it than any network.
    """
    return bytes(_Walker(data).message(0, len(data), _MODEL, 0))


class _Walker:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.entries_left = MAX_ENTRIES
        self.bytes_left = _MAX_TOTAL_BYTES

    def message(self, at: int, end: int, fields: _Message, depth: int) -> bytearray:
        """The message in [at, end) without the fields that are not named."""
        if depth > _MAX_DEPTH:
            raise DamagedError("graphs are nested in each other too deeply")
        kept = bytearray()
        while at < end:
            start = at
            self.entries_left -= 1
            if min(self.entries_left, self.bytes_left) < 0:
                raise DamagedError("it has more entries than a network can")
            key, at = self.varint(at, end)
            begin, at = self.value(key & 7, at, end)
            number = key >> 3
            if number not in fields:
                continue
            if fields[number] is None:
                if at - begin <= _MAX_KEPT_BYTES:
                    kept += self.data[start:at]
                    self.bytes_left -= at - start
            elif key & 7 == 2:
                inner = self.message(begin, at, fields[number], depth + 1)
                kept += _varint(key) + _varint(len(inner)) + inner
            else:
                raise DamagedError(f"its field {number} is not a message")
        return kept

    def value(self, wire_type: int, at: int, end: int) -> tuple[int, int]:
        """Where the value behind a key begins and ends."""
        if wire_type == 0:
            begin, stop = at, self.varint(at, end)[1]
        elif wire_type == 1:
            begin, stop = at, at + 8
        elif wire_type == 2:
            length, begin = self.varint(at, end)
            stop = begin + length
        elif wire_type == 5:
            begin, stop = at, at + 4
        else:
            raise DamagedError("it is not in protobuf's format")
        if stop > end:
            raise DamagedError("it ends before its data does; it is truncated")
        return begin, stop

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """A number of up to ten bytes, and where it ends."""
        value = 0
        for shift, position in enumerate(range(at, min(end, at + 10))):
            byte = self.data[position]
            value |= (byte & 127) << (7 * shift)
            if byte < 128:
                return value, position + 1
        raise DamagedError("it ends in the middle of a number" if end - at < 10 else "it is not in protobuf's format")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
