"""Which version of an operator a file must ask for, and which runtime that needs.

A runtime refuses a version that it does not know, so a version that is too high shuts out old phones; one that is
too low lets an old runtime compute something else. The rules are those of TensorFlow's
`lite/tools/versioning/op_version.cc` and `runtime_version.cc`, for the operators that edgeeff writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ai_edge_litert.schema_py_generated import BuiltinOperator as Op

GROUPED_CONV = 6
DILATED_DEPTHWISE = 2
KEPT_DIMENSIONS = 5
FLOAT16_DEQUANTIZE = 3

_RUNTIMES: dict[tuple[Any, int], tuple[int, int, int]] = {
    (Op.CONV_2D, GROUPED_CONV): (2, 9, 0),
    (Op.DEPTHWISE_CONV_2D, DILATED_DEPTHWISE): (1, 12, 0),
    (Op.FULLY_CONNECTED, KEPT_DIMENSIONS): (2, 0, 0),
    (Op.DEQUANTIZE, FLOAT16_DEQUANTIZE): (1, 15, 0),
    (Op.SUB, 1): (1, 6, 0),
    (Op.DIV, 1): (1, 6, 0),
    (Op.MEAN, 1): (1, 6, 0),
    (Op.TRANSPOSE, 1): (1, 6, 0),
    (Op.PADV2, 1): (1, 9, 0),
    (Op.LOGISTIC, 1): (1, 14, 0),
    (Op.TANH, 1): (1, 14, 0),
    (Op.SLICE, 1): (1, 14, 0),
    (Op.HARD_SWISH, 1): (1, 15, 0),
}
"""(operator, version) -> the first TensorFlow that runs it, where that is later than 1.5.0."""


def minimum_runtime(operators: Iterable[tuple[int, int]]) -> str:
    """The oldest TensorFlow Lite that runs all of these (operator, version)."""
    needed = max((_RUNTIMES.get(key, (1, 5, 0)) for key in operators), default=(1, 5, 0))
    return ".".join(str(part) for part in needed)
