"""What integer kernels make of integers, to the last bit: a step that is missed early has grown by the last layer.

Lite0 simulated in real numbers, with biases that were not rounded, differed by one step in 0.2 % of the stem's outputs
from LiteRT's file; in the outputs both were then as far from each other as from the float network (26.6 dB). With the
arithmetic of XNNPACK, all integers of Lite0 are the same on 16 photos; in onnxruntime, all but one of a sum.

- Layers sum products in 32 bits and multiply the sum by a float32, halves to even (xnnpack/src/requantization, fp32;
  mlas/lib/quantize.cpp in onnxruntime).
- Sums of two values are made in fixed point, halves up (xnnpack/src/microparams-init.c, qs8_add); in onnxruntime in
  float32, which differs in one of a million.

Integers stand in float32 tensors, without their zero points: sums stay below 2^24, up to which float32 holds each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edgeeff.int8.quantization import (
    HIGHEST,
    LOWEST,
    SIGMOID,
    SWISH_GATE,
    ValueScale,
    beta_scale,
    bias_to_int32,
    channelwise,
    weight_to_int8,
)
from edgeeff.ops import Conv2d, Dense, Mean, Weight

Forms = Sequence[ValueScale]

_ADD_BITS = 20
"""Of the larger multiplier of a sum, after its first one."""


def to_steps(x: Tensor, form: ValueScale) -> Tensor:
    """The integers of real numbers, without the zero point."""
    return _clipped((x / form.scale).round_(), form)


def _clipped(steps: Tensor, form: ValueScale) -> Tensor:
    return steps.clamp_(LOWEST - form.zero_point, HIGHEST - form.zero_point)


@dataclass(frozen=True, slots=True, eq=False)
class IntegerLayer:
    """A layer's integers.

    Args:
        weight: as the op has it.
        bias: to be added to the sums of products; float32 holds its integers, since it holds what they are rounded of.
        scales: of the weights, for each output channel.
    """

    weight: Tensor
    bias: Tensor | None
    scales: Weight

    @classmethod
    def of(cls, op: Conv2d | Dense, scales: Weight, read: ValueScale) -> IntegerLayer:
        weight = torch.from_numpy(weight_to_int8(op.weight, scales).astype(np.float32))
        if op.bias is None:
            return cls(weight, None, scales)
        bias = bias_to_int32(op.bias, scales, read.scale)[0]
        return cls(weight, torch.from_numpy(bias.astype(np.float32)), scales)

    def requantised(self, op: Conv2d | Dense, sums: Tensor, read: ValueScale, made: ValueScale) -> Tensor:
        """The steps of the output, its activation included.

        Args:
            sums: of products, without the bias.
        """
        rank, axis = sums.ndim, 1 if isinstance(op, Conv2d) else sums.ndim - 1
        if self.bias is not None:
            # A kernel adds it in 32 bits and rounds once, when it makes a float of the sum: so does this.
            sums = sums + self.bias.reshape([-1 if i == axis else 1 for i in range(rank)])
        factors = np.float32(read.scale) * self.scales / np.float32(made.scale)
        steps = (sums * torch.from_numpy(channelwise(factors, rank, axis))).round_()
        if op.activation != "none":
            steps.clamp_(min=0)
        if op.activation == "relu6":
            steps.clamp_(max=float(np.rint(6 / np.float32(made.scale))))
        return _clipped(steps, made)


def add(x: Sequence[Tensor], read: Forms, made: ValueScale) -> Tensor:
    """The steps of the sum of two values."""
    ratios = [float(np.float32(form.scale) / np.float32(made.scale)) for form in read]
    shift = _ADD_BITS + 1 - math.frexp(max(ratios))[1]
    factors = [round(math.ldexp(ratio, shift)) for ratio in ratios]
    total = x[0].int() * factors[0] + x[1].int() * factors[1]
    return _clipped(((total + (1 << (shift - 1))) >> shift).float(), made)


def multiply(x: Sequence[Tensor], read: Forms, made: ValueScale) -> Tensor:
    """The steps of the product of two values."""
    factor = np.float32(read[0].scale) * np.float32(read[1].scale) / np.float32(made.scale)
    return _clipped((x[0] * x[1]).mul_(float(factor)).round_(), made)


def mean(x: Tensor, op: Mean, read: ValueScale, made: ValueScale) -> Tensor:
    """The steps of the mean over rows and columns."""
    count = math.prod(x.shape[axis] for axis in op.axes)
    factor = np.float32(read.scale) / (np.float32(made.scale) * np.float32(count))
    return _clipped(x.sum(op.axes, keepdim=op.keepdims).mul_(float(factor)).round_(), made)


def sigmoid(x: Tensor, read: ValueScale) -> Tensor:
    """The steps of the sigmoid, in its own form."""
    return to_steps((x * read.scale).sigmoid_(), SIGMOID)


def swish(x: Tensor, beta: Tensor, read: ValueScale, made: ValueScale) -> Tensor:
    """The steps of x * sigmoid(beta x): two products of two values, and a sigmoid.

    Args:
        beta: in a shape that broadcasts against x.
    """
    form = beta_scale(beta.numpy())
    gate = multiply((x, to_steps(beta, form)), (read, form), SWISH_GATE)
    return multiply((x, sigmoid(gate, SWISH_GATE)), (read, SIGMOID), made)
