"""The dozen op kinds of the graph: what each stores, the shape that it gives and the multiply-adds that it costs.

All shapes are torch's: NCHW for images, (out, in / groups, kh, kw) for convolution weights, (out, in) for dense
ones. Each format's writer moves them into its own layout. The batch is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Weight = NDArray[np.float32]
Activation = Literal["none", "relu", "relu6"]
Padding = tuple[int, int, int, int]
"""Rows and columns of zeros around an image: top, left, bottom, right."""


def _window(size: int, kernel: int, stride: int, dilation: int, pad: int, *, ceil: bool = False) -> int:
    span = size + pad - dilation * (kernel - 1) - 1
    return (math.ceil(span / stride) if ceil else span // stride) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Conv2d:
    """A convolution; depthwise where groups equals the channels of input and output.

    Args:
        deviation: of each channel before the activation, as training saw it, where a batch normalisation tells.
    """

    weight: Weight
    bias: Weight | None
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Activation = "none"
    deviation: Weight | None = None

    def shape(self, x: Shape) -> Shape:
        top, left, bottom, right = self.padding
        kh, kw = self.weight.shape[2:]
        return (
            x[0],
            self.weight.shape[0],
            _window(x[2], kh, self.stride[0], self.dilation[0], top + bottom),
            _window(x[3], kw, self.stride[1], self.dilation[1], left + right),
        )

    def macs(self, x: Shape) -> int:
        return self.weight.size * math.prod(self.shape(x)[2:])


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """y = x weight^T + bias over the last axis."""

    weight: Weight
    bias: Weight | None
    activation: Activation = "none"

    def shape(self, x: Shape) -> Shape:
        return (*x[:-1], self.weight.shape[0])

    def macs(self, x: Shape) -> int:
        return self.weight.size * math.prod(x[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """y = x scale + shift per channel (axis 1): a batch normalisation that no convolution absorbs.

    Args:
        deviation: of each channel of y, as training saw it, where that is known.
    """

    scale: Weight
    shift: Weight
    deviation: Weight | None = None

    def shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that does not depend on the input; it has no inputs."""

    value: Weight

    def shape(self) -> Shape:
        return self.value.shape


@dataclass(frozen=True, slots=True)
class Binary:
    """Elementwise with broadcasting: "add", "sub", "mul" or "div"."""

    kind: Literal["add", "sub", "mul", "div"]
    activation: Activation = "none"

    def shape(self, a: Shape, b: Shape) -> Shape:
        return tuple(int(n) for n in np.broadcast_shapes(a, b))


UnaryKind = Literal["sigmoid", "silu", "relu", "relu6", "hard_swish", "hard_sigmoid", "tanh"]


@dataclass(frozen=True, slots=True)
class Unary:
    """Elementwise activation."""

    kind: UnaryKind

    def shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Swish:
    """y = x * sigmoid(beta x), a beta for each channel (axis 1): Ramachandran et al. 2017 (arXiv 1710.05941).

    silu is that with a beta of 1; with others it is silu of values that are stored scaled, scaled in the same way.
    """

    beta: Weight

    def shape(self, x: Shape) -> Shape:
        return x


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean over axes, which are not negative."""

    axes: tuple[int, ...]
    keepdims: bool

    def shape(self, x: Shape) -> Shape:
        if self.keepdims:
            return tuple(1 if i in self.axes else n for i, n in enumerate(x))
        return tuple(n for i, n in enumerate(x) if i not in self.axes)


@dataclass(frozen=True, slots=True)
class Pool:
    """Max or average pooling over windows. An average never counts the padding (torch's default does)."""

    kind: Literal["max", "average"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = (0, 0, 0, 0)
    ceil_mode: bool = False

    def shape(self, x: Shape) -> Shape:
        top, left, bottom, right = self.padding
        sizes = []
        for size, kernel, stride, before, after in (
            (x[2], self.kernel[0], self.stride[0], top, bottom),
            (x[3], self.kernel[1], self.stride[1], left, right),
        ):
            n = _window(size, kernel, stride, 1, before + after, ceil=self.ceil_mode)
            # torch drops a last window that would start in the padding behind the image.
            sizes.append(n - 1 if self.ceil_mode and (n - 1) * stride >= size + before else n)
        return (x[0], x[1], *sizes)


@dataclass(frozen=True, slots=True)
class Pad:
    """Zeros around an image."""

    padding: Padding

    def shape(self, x: Shape) -> Shape:
        top, left, bottom, right = self.padding
        return (x[0], x[1], x[2] + top + bottom, x[3] + left + right)


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements, in torch's order, in another shape. Flatten is one of these."""

    to: Shape

    def shape(self, x: Shape) -> Shape:
        return self.to


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes in another order."""

    order: tuple[int, ...]

    def shape(self, x: Shape) -> Shape:
        return tuple(x[i] for i in self.order)


@dataclass(frozen=True, slots=True)
class Slice:
    """The part [begin, end) of one axis, which is not negative."""

    axis: int
    begin: int
    end: int

    def shape(self, x: Shape) -> Shape:
        return tuple(self.end - self.begin if i == self.axis else n for i, n in enumerate(x))


@dataclass(frozen=True, slots=True)
class Concat:
    """Inputs one behind the other along an axis, which is not negative."""

    axis: int

    def shape(self, *xs: Shape) -> Shape:
        return tuple(sum(x[i] for x in xs) if i == self.axis else n for i, n in enumerate(xs[0]))


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over the last axis."""

    def shape(self, x: Shape) -> Shape:
        return x


Op = (
    Conv2d
    | Dense
    | Affine
    | Constant
    | Binary
    | Unary
    | Swish
    | Mean
    | Pool
    | Pad
    | Reshape
    | Transpose
    | Slice
    | Concat
    | Softmax
)


def is_depthwise(op: Op) -> bool:
    """Whether an op is a convolution in which each output channel reads one input channel."""
    return isinstance(op, Conv2d) and op.groups > 1 and op.weight.shape[1] == 1


def op_kind(op: Op) -> str:
    """The name of an op's kind for tables and errors: "conv2d", "depthwise_conv2d", "add", "silu" ..."""
    if isinstance(op, Conv2d):
        return "depthwise_conv2d" if is_depthwise(op) else "conv2d"
    if isinstance(op, Binary | Unary):
        return op.kind
    if isinstance(op, Pool):
        return f"{op.kind}_pool"
    return type(op).__name__.lower()


def weights_of(op: Op) -> tuple[Weight, ...]:
    """The constants that an op stores."""
    match op:
        case Conv2d() | Dense():
            return (op.weight,) if op.bias is None else (op.weight, op.bias)
        case Affine():
            return (op.scale, op.shift)
        case Constant():
            return (op.value,)
        case Swish():
            return (op.beta,)
        case _:
            return ()
