"""benchmark_model's result file: the protobuf message BenchmarkResult, read by its wire format.

    BenchmarkResult  2 LatencyMetrics  3 MemoryMetrics  4 MiscMetrics
    LatencyMetrics   float, ms: 1 avg 2 min 3 max 4 stddev 5 median 6 p5 7 p95 8 init 9 first inference 10 warm-up
    MemoryMetrics    int64, kB: 1 after loading 2 overall; float, MB: 3 peak
    MiscMetrics      2 runs 3 warm-up runs

(tensorflow/lite/tools/benchmark/proto/benchmark_result.proto, and LiteRT's tflite/tools/benchmark/proto.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from edgeeff.values import Summary

from ._benchmark_text import Timings

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_result(content: bytes) -> Timings | None:
    """The timings; None where it is no such message, or says nothing of the runs."""
    try:
        result = dict(_fields(content))
        latency, memory, misc = (dict(_fields(_message(result.get(i)))) for i in (2, 3, 4))
    except (ValueError, struct.error):
        return None
    count = misc.get(2)
    mean, low, high = (_float(latency.get(i)) for i in (1, 2, 3))
    if not isinstance(count, int) or count < 1 or mean is None or low is None or high is None:
        return None

    def ns(number: int) -> float | None:
        value = _float(latency.get(number))
        return None if value is None else value * 1e6

    peak, overall, warmups = _float(memory.get(3)), memory.get(2), misc.get(3)
    init, first = ns(8), ns(9)
    return Timings(
        Summary(count, mean * 1e6, low * 1e6, high * 1e6, ns(4), ns(5), ns(6), ns(7)),
        startup_s=None if init is None else init / 1e9,
        first_inference_s=None if first is None else first / 1e9,
        warmup_runs=warmups if isinstance(warmups, int) else None,
        memory_delta_bytes=overall * 1024 if isinstance(overall, int) and 0 < overall < 1 << 40 else None,
        peak_memory_bytes=None if not peak else round(peak * 1024 * 1024),
    )


def _message(value: int | bytes | None) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        raise ValueError("a message is expected")
    return value


def _float(value: int | bytes | None) -> float | None:
    if not isinstance(value, bytes) or len(value) != 4:
        return None
    number: float = struct.unpack("<f", value)[0]
    return number if 0 <= number < 1e12 else None


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values: integers of varints, else the bytes. Raises ValueError where it is no message."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > len(content):
            raise ValueError("truncated")
        yield key >> 3, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("truncated")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ValueError("a varint of more than ten bytes")
