"""What the readers of foreign files share: checked shapes, and the judgement of a file's precision."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Shape = tuple[int | None, ...]
"""A dimension is None where the file leaves it open."""

MAX_ENTRIES = 1_000_000
"""Entries of lists (operators, tensors, dimensions, names' characters) that are read from one file before it counts
as hostile: in a few bytes, a file can name the same list a million times. EfficientNet-B7 has 70,000."""

_MAX_RANK = 32
_MAX_ELEMENTS = 2**63
_HALF = {"float16", "bfloat16"}
_SMALL = {"int8", "uint8", "int4", "uint4", "int2", "uint2"}
WEIGHT_TYPES = {"float32", "float64", "int16"} | _HALF | _SMALL


class DamagedError(Exception):
    """What is wrong with a file; each reader turns it into the error that names the file."""


def checked_shape(dimensions: Iterable[int | None]) -> Shape:
    """The dimensions as a shape.

    Raises:
        DamagedError: a dimension is negative, or there are more dimensions or elements than any runtime can address.
    """
    shape = tuple(dimensions)
    if len(shape) > _MAX_RANK or math.prod(n or 1 for n in shape) >= _MAX_ELEMENTS or any((n or 0) < 0 for n in shape):
        raise DamagedError(f"a tensor has the impossible shape {list(shape[:8])}")
    return shape


def total_macs(counts: Iterable[int | None]) -> int | None:
    """The sum of the operators' multiply-adds, None where one is not known.

    Raises:
        DamagedError: no results file could hold the number; B7 has 4e10.
    """
    known = list(counts)
    total = sum(count or 0 for count in known)
    if total >= _MAX_ELEMENTS:
        raise DamagedError(f"it asks for {total:.1e} multiply-adds")
    return None if None in known else total


_KINDS = {
    "logistic": "sigmoid",
    "clip": "clamp",
    "relu6": "clamp",
    "globalaveragepool": "mean",
    "reducemean": "mean",
    "fully_connected": "dense",
    "gemm": "dense",
    "batch_matmul": "matmul",
    "hardswish": "hard_swish",
    "hardsigmoid": "hard_sigmoid",
    "concatenation": "concat",
    "max_pool_2d": "maxpool",
    "average_pool_2d": "averagepool",
    "flatten": "reshape",
    "quantizelinear": "quantize",
    "dequantizelinear": "dequantize",
}
"""Operators that two formats call by two names."""


def operator_kind(name: str, kernel: Iterable[int | None] | None = None, *, depthwise: bool = False) -> str:
    """What an operator is called in every format: a convolution by its kernel, "conv 1x1" or "depthwise 3x3".

    Args:
        name: the format's own.
        kernel: of a convolution, height and width.
    """
    if kernel is None:
        return _KINDS.get(name.lower(), name.lower())
    family = "depthwise" if depthwise else "transposed conv" if "trans" in name.lower() else "conv"
    return f"{family} {'x'.join('?' if n is None else str(n) for n in kernel)}"


@dataclass(frozen=True, slots=True)
class Weighted:
    """An operator with stored weights: the weights' type as stored, the type of what they meet, their elements."""

    weight: str
    activation: str
    elements: int


def _kind(op: Weighted) -> str:
    if op.weight == op.activation == "float32":
        return "fp32"
    if op.weight in _HALF and op.activation in _HALF | {"float32"}:
        return "fp16"
    if op.weight in _SMALL:
        return "int8" if op.activation in _SMALL else "dynamic" if op.activation in _HALF | {"float32"} else "mixed"
    return "mixed"


def judge_precision(weighted: Iterable[Weighted], activations: Iterable[str]) -> str:
    """The precision of a file, by the convolutions and dense layers in it.

    Float activations everywhere with most of the weights stored smaller is "fp16" or "dynamic" even where some
    weights stay float32: tools that shrink weights leave the small ones alone.

    Args:
        weighted: the operators with stored weights.
        activations: the types that decide where there are no such operators.
    """
    elements: dict[str, int] = {}
    for op in weighted or [Weighted(name, name, 1) for name in activations if name in WEIGHT_TYPES]:
        elements[_kind(op)] = elements.get(_kind(op), 0) + op.elements
    if len(elements) == 1:
        return next(iter(elements))
    if elements.keys() in ({"fp32", "fp16"}, {"fp32", "dynamic"}):
        smaller = next(kind for kind in elements if kind != "fp32")
        return smaller if elements[smaller] > elements["fp32"] else "mixed"
    return "mixed"
