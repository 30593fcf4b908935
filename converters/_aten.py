"""One rule for each of torch's primitive operators: which op of the graph it is.

A rule is called with the emitter, the operator's arguments by name (what depends on the network's input stands
there as a `Value`, all else as it is) and the shapes of the results that torch computed. It returns the value
or values that the results are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from edgeeff.ops import (
    Affine,
    Binary,
    Concat,
    Conv2d,
    Dense,
    Mean,
    Op,
    Pad,
    Padding,
    Pool,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    UnaryKind,
    Weight,
)


class UnsupportedError(Exception):
    """Why an operator cannot be converted as it was called; continues "... cannot be converted"."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the graph that is being written."""

    name: str
    shape: Shape


class Emitter(Protocol):
    """What a rule writes to."""

    def emit(self, op: Op, *inputs: Any) -> Value: ...

    def array(self, value: object) -> Weight: ...


Arguments = Mapping[str, Any]
Rule = Callable[[Emitter, Arguments, Sequence[Shape]], Value | list[Value]]


def _pair(values: Sequence[int]) -> tuple[int, int]:
    """torch's int lists for both axes: (3,) means (3, 3)."""
    return (int(values[0]), int(values[-1]))


def _around(values: Sequence[int]) -> Padding:
    rows, columns = _pair(values)
    return (rows, columns, rows, columns)


def _need_image(x: Value) -> None:
    if len(x.shape) != 4:
        raise UnsupportedError(f"on an input of shape {x.shape}: only images (NCHW) are")


def _convolution(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    if a["transposed"]:
        raise UnsupportedError("transposed")
    if not isinstance(a["input"], Value):
        raise UnsupportedError("with a constant input and a weight that is computed")
    _need_image(a["input"])
    op = Conv2d(
        e.array(a["weight"]),
        None if a["bias"] is None else e.array(a["bias"]),
        _pair(a["stride"]),
        _around(a["padding"]),
        _pair(a["dilation"]),
        int(a["groups"]),
    )
    return e.emit(op, a["input"])


def _batch_norm(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    if a.get("training"):
        raise UnsupportedError("with the statistics of its batch (track_running_stats=False)")
    mean, variance = (e.array(a[key]).astype(np.float64) for key in ("running_mean", "running_var"))
    gamma = np.ones(mean.shape) if a["weight"] is None else e.array(a["weight"])
    beta = 0.0 if a["bias"] is None else e.array(a["bias"])
    scale = gamma / np.sqrt(variance + a["eps"])
    shift = (beta - mean * scale).astype(np.float32)
    return e.emit(Affine(scale.astype(np.float32), shift, np.abs(gamma).astype(np.float32)), a["input"])


def _dense(e: Emitter, x: Any, weight: Weight, bias: Any) -> Value:
    if not isinstance(x, Value):
        raise UnsupportedError("with a constant input and a weight that is computed")
    return e.emit(Dense(weight, None if bias is None else e.array(bias)), x)


def _addmm(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    if a.get("alpha", 1) != 1 or a.get("beta", 1) != 1:
        raise UnsupportedError("with alpha or beta other than 1")
    weight = np.ascontiguousarray(e.array(a["mat2"]).T)
    bias = a.get("self") if "mat1" in a else None
    if bias is not None and e.array(bias).ndim != 1:
        raise UnsupportedError("with a bias that is not a vector")
    return _dense(e, a["mat1"] if "mat1" in a else a["self"], weight, bias)


def _linear(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    return _dense(e, a["input"], e.array(a["weight"]), a["bias"])


def _unary(kind: UnaryKind) -> Rule:
    return lambda e, a, shapes: e.emit(Unary(kind), a["self"])


def _clamp(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    low = a.get("min_val", a.get("min"))
    high = a.get("max_val", a.get("max"))
    if low == 0 and high in (6, None):
        return e.emit(Unary("relu" if high is None else "relu6"), a["self"])
    raise UnsupportedError(f"with the limits {low} and {high}: only 0..6 and 0..infinity are")


def _binary(kind: Literal["add", "sub", "mul", "div"]) -> Rule:
    def rule(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
        if a.get("alpha", 1) != 1:
            raise UnsupportedError("with alpha other than 1")
        if a.get("rounding_mode") is not None:
            raise UnsupportedError("with rounding")
        return e.emit(Binary(kind), a["self"], a["other"])

    return rule


def _reversed_sub(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    if a["alpha"] != 1:
        raise UnsupportedError("with alpha other than 1")
    return e.emit(Binary("sub"), a["other"], a["self"])


def _reciprocal(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    return e.emit(Binary("div"), 1.0, a["self"])


def _mean(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    rank = len(x.shape)
    dims = a.get("dim")
    axes = tuple(sorted(d % rank for d in dims)) if dims else tuple(range(rank))
    if 0 in axes:
        raise UnsupportedError("over the batch axis")
    return e.emit(Mean(axes, bool(a.get("keepdim"))), x)


def _adaptive_pool(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    _need_image(x)
    rows, columns = _pair(a["output_size"])
    if x.shape[2] % rows or x.shape[3] % columns:
        raise UnsupportedError(f"from {x.shape[2]}x{x.shape[3]} to {rows}x{columns}: the windows are not equal")
    kernel = (x.shape[2] // rows, x.shape[3] // columns)
    return e.emit(Pool("average", kernel, kernel), x)


def _average_pool(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    _need_image(x)
    if a["divisor_override"] is not None:
        raise UnsupportedError("with divisor_override")
    padding = _around(a["padding"])
    if any(padding) and a["count_include_pad"]:
        # The zeros count, so they must be part of the image; the graph's pooling never counts its own padding.
        if a["ceil_mode"]:
            raise UnsupportedError("with ceil_mode and padding that counts")
        x, padding = e.emit(Pad(padding), x), (0, 0, 0, 0)
    kernel = _pair(a["kernel_size"])
    return e.emit(Pool("average", kernel, _pair(a["stride"] or kernel), padding, bool(a["ceil_mode"])), x)


def _max_pool(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    _need_image(a["self"])
    if _pair(a["dilation"]) != (1, 1):
        raise UnsupportedError("with dilation")
    kernel = _pair(a["kernel_size"])
    stride = _pair(a["stride"] or kernel)
    return e.emit(Pool("max", kernel, stride, _around(a["padding"]), bool(a["ceil_mode"])), a["self"])


def _pad(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    pad = [int(n) for n in a["pad"]]
    if not any(pad):
        return x
    _need_image(x)
    if a["value"] or len(pad) > 4 or min(pad) < 0:
        raise UnsupportedError("other than by zeros around the image")
    left, right, top, bottom = [*pad, 0, 0][:4]
    return e.emit(Pad((top, left, bottom, right)), x)


def _reshape(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    return x if shapes[0] == x.shape else e.emit(Reshape(shapes[0]), x)


def _transpose(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    rank = len(x.shape)
    order = list(range(rank))
    if "dims" in a:
        order = [d % rank for d in a["dims"]]
    else:
        i, j = (a.get("dim0", 0) % rank, a.get("dim1", 1) % rank)
        order[i], order[j] = order[j], order[i]
    if order[0] != 0:
        raise UnsupportedError("of the batch axis")
    return x if order == list(range(rank)) else e.emit(Transpose(tuple(order)), x)


def _identity(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    if a.get("dtype") is not None and "float32" not in str(a["dtype"]):
        raise UnsupportedError(f"to {a['dtype']}")
    return x


def _expand(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    # Arithmetic broadcasts by itself, so `x * gate.expand_as(x)` needs no op; the emitter refuses any other use.
    x: Value = a["self"]
    return x


def _restride(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    # Pooling to 1x1 in channels_last marks its result so. Only there the elements surely stay where they are.
    x: Value = a["self"]
    if tuple(a["size"]) != x.shape or any(n != 1 for n in x.shape[2:]):
        raise UnsupportedError("")
    return x


def _concat(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    axis = a["dim"] % len(shapes[0])
    if axis == 0:
        raise UnsupportedError("along the batch axis")
    return e.emit(Concat(axis), *a["tensors"])


def _cut(e: Emitter, x: Value, axis: int, begin: int, end: int) -> Value:
    if (begin, end) == (0, x.shape[axis]):
        return x
    if axis == 0:
        raise UnsupportedError("along the batch axis")
    return e.emit(Slice(axis, begin, end), x)


def _slice(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    if a["step"] != 1:
        raise UnsupportedError(f"with step {a['step']}")
    axis = a["dim"] % len(x.shape)
    begin = min(max((a["start"] or 0) + (x.shape[axis] if (a["start"] or 0) < 0 else 0), 0), x.shape[axis])
    return _cut(e, x, axis, begin, begin + shapes[0][axis])


def _split(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> list[Value]:
    x: Value = a["self"]
    axis = a["dim"] % len(x.shape)
    parts, begin = [], 0
    for shape in shapes:
        parts.append(_cut(e, x, axis, begin, begin + shape[axis]))
        begin += shape[axis]
    return parts


def _softmax(e: Emitter, a: Arguments, shapes: Sequence[Shape]) -> Value:
    x: Value = a["self"]
    if a["dim"] % len(x.shape) != len(x.shape) - 1 or len(x.shape) > 2:
        raise UnsupportedError(f"along axis {a['dim']} of {x.shape}: only over the classes of (batch, classes)")
    return e.emit(Softmax(), x)


RULES: dict[str, Rule] = {
    "convolution": _convolution,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "addmm": _addmm,
    "mm": _addmm,
    "linear": _linear,
    "relu": _unary("relu"),
    "relu6": _unary("relu6"),
    "sigmoid": _unary("sigmoid"),
    "silu": _unary("silu"),
    "hardswish": _unary("hard_swish"),
    "hardsigmoid": _unary("hard_sigmoid"),
    "tanh": _unary("tanh"),
    "hardtanh": _clamp,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "add": _binary("add"),
    "sub": _binary("sub"),
    "mul": _binary("mul"),
    "div": _binary("div"),
    "rsub": _reversed_sub,
    "reciprocal": _reciprocal,
    "mean": _mean,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "avg_pool2d": _average_pool,
    "max_pool2d_with_indices": _max_pool,
    "constant_pad_nd": _pad,
    "view": _reshape,
    "_unsafe_view": _reshape,
    "reshape": _reshape,
    "_reshape_alias": _reshape,
    "squeeze": _reshape,
    "unsqueeze": _reshape,
    "t": _transpose,
    "transpose": _transpose,
    "permute": _transpose,
    "expand": _expand,
    "clone": _identity,
    "detach": _identity,
    "alias": _identity,
    "contiguous": _identity,
    "_to_copy": _identity,
    "lift_fresh": _identity,
    "as_strided": _restride,
    "cat": _concat,
    "slice": _slice,
    "split": _split,
    "split_with_sizes": _split,
    "_softmax": _softmax,
}

SUPPORTED = (
    "conv2d",
    "linear",
    "batch_norm (eval)",
    "relu",
    "relu6",
    "silu",
    "sigmoid",
    "tanh",
    "hardswish",
    "hardsigmoid",
    "add",
    "sub",
    "mul",
    "div",
    "mean",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "max_pool2d",
    "pad (zeros)",
    "cat",
    "split",
    "chunk",
    "slice",
    "flatten",
    "view",
    "permute",
    "softmax (classes)",
    "dropout (eval)",
)
