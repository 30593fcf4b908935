"""Which version of an operator a file must ask for, and which runtime that needs.

A runtime refuses a version that it does not know, so a version that is too high shuts out old phones; one that is
too low lets an old runtime compute something else. The rules are those of TensorFlow's
`lite/tools/versioning/op_version.cc` and `runtime_version.cc`, for the operators that edgeeff writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ai_edge_litert.schema_py_generated import BuiltinOperator as Op
from ai_edge_litert.schema_py_generated import TensorType

_BASE_RUNTIME = (1, 5, 0)

_RUNTIMES: dict[tuple[Any, int], tuple[int, int, int]] = {
    (Op.CONV_2D, 3): (1, 14, 0),
    (Op.CONV_2D, 6): (2, 9, 0),
    (Op.DEPTHWISE_CONV_2D, 2): (1, 12, 0),
    (Op.DEPTHWISE_CONV_2D, 3): (1, 14, 0),
    (Op.FULLY_CONNECTED, 4): (1, 14, 0),
    (Op.FULLY_CONNECTED, 5): (2, 0, 0),
    (Op.ADD, 2): (1, 14, 0),
    (Op.MUL, 2): (1, 14, 0),
    (Op.MUL, 3): (1, 15, 0),
    (Op.PAD, 2): (1, 14, 0),
    (Op.QUANTIZE, 1): (1, 14, 0),
    (Op.DEQUANTIZE, 2): (1, 14, 0),
    (Op.DEQUANTIZE, 3): (1, 15, 0),
    (Op.DEQUANTIZE, 5): (2, 7, 0),
    (Op.SUB, 1): (1, 6, 0),
    (Op.SUB, 3): (2, 3, 0),
    (Op.DIV, 1): (1, 6, 0),
    (Op.DIV, 2): (2, 3, 0),
    (Op.MEAN, 1): (1, 6, 0),
    (Op.MEAN, 2): (1, 14, 0),
    (Op.TRANSPOSE, 1): (1, 6, 0),
    (Op.TRANSPOSE, 2): (1, 14, 0),
    (Op.TRANSPOSE, 4): (2, 3, 0),
    (Op.PADV2, 1): (1, 9, 0),
    (Op.LOGISTIC, 1): (1, 14, 0),
    (Op.LOGISTIC, 2): (1, 14, 0),
    (Op.TANH, 1): (1, 14, 0),
    (Op.SLICE, 1): (1, 14, 0),
    (Op.SLICE, 5): (2, 5, 0),
    (Op.HARD_SWISH, 1): (1, 15, 0),
}
"""(operator, version) -> the first TensorFlow that runs it, where that is later than 1.5.0."""


_INT8 = {
    Op.CONV_2D: 3,
    Op.DEPTHWISE_CONV_2D: 3,
    Op.FULLY_CONNECTED: 4,
    Op.ADD: 2,
    Op.MUL: 2,
    Op.MEAN: 2,
    Op.PAD: 2,
    Op.TRANSPOSE: 2,
    Op.LOGISTIC: 2,
    Op.DEQUANTIZE: 2,
}
"""operator -> the first version that takes int8, where that is not the first."""


def operator_version(code: int, options: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """The lowest version that knows what this operator uses.

    Args:
        options: the operator's options of the schema, or None.
        inputs: its input tensors of the schema.
        outputs: its output tensors of the schema.
    """
    version = _version(code, options, inputs)
    if inputs[0].type != TensorType.INT8:
        return version
    if code == Op.MUL and _rescales_up(*inputs, *outputs):
        return 3
    if code == Op.DEQUANTIZE and len(inputs[0].quantization.scale) > 1:
        return 5
    return max(version, _INT8.get(code, 1))


def _rescales_up(a: Any, b: Any, product: Any) -> bool:
    scale_a, scale_b, scale = (tensor.quantization.scale[0] for tensor in (a, b, product))
    return bool(scale_a * scale_b >= scale)


def _version(code: int, options: Any, inputs: Sequence[Any]) -> int:
    """The version but for int8."""
    rank = max(len(tensor.shape) for tensor in inputs)
    match code:
        case Op.CONV_2D if inputs[0].shape[3] != inputs[1].shape[3]:
            return 6  # grouped
        case Op.DEPTHWISE_CONV_2D if (options.dilationHFactor, options.dilationWFactor) != (1, 1):
            return 2
        case Op.FULLY_CONNECTED if options.keepNumDims:
            return 5
        case Op.DEQUANTIZE if inputs[0].type == TensorType.FLOAT16:
            return 3
        case Op.TRANSPOSE if rank > 4:
            return 4 if rank == 5 else 6
        case Op.SLICE if rank > 4:
            return 5
        case Op.SUB | Op.DIV if rank > 4 and inputs[0].shape != inputs[1].shape:
            return 3 if code == Op.SUB else 2
    return 1


def minimum_runtime(operators: Iterable[tuple[int, int]]) -> str:
    """The oldest TensorFlow Lite that runs all of these (operator, version)."""
    needed = max((_RUNTIMES.get(key, _BASE_RUNTIME) for key in operators), default=_BASE_RUNTIME)
    return ".".join(str(part) for part in needed)
