"""What a network costs, op by op, known without its weights and without torch.

The ops are those of the simplified graph (`edgeeff.graph`), so the counts of both agree; `models` makes them from
the table of a family.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from edgeeff.errors import UsageError

IMAGE = -1
"""The number of the network's input among the values that an op reads."""

INT8_LEAST_ELEMENTS = 2048
"""Weights below this stay in float32 where the arithmetic is in float, see `edgeeff.converters`."""


@dataclass(frozen=True, slots=True)
class OpCost:
    """One op of the graph.

    Args:
        name: its place in the network.
        kind: as `ops.op_kind` says.
        inputs: numbers of the ops that made what it reads; IMAGE is the network's input.
        shape: of its output without the batch: (channels, rows, columns) or (channels,).
        weights: elements of its weight.
        bias: elements of its bias, the batch normalisation's folded in.
        parameters: of the network before that was folded.
        positions: places of the output at which the weights are applied.
        kernel: rows and columns of its window; 1 where it has none.
        stride: of the window.
        groups: of a convolution.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    weights: int = 0
    bias: int = 0
    parameters: int = 0
    positions: int = 0
    kernel: int = 1
    stride: int = 1
    groups: int = 1

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def macs(self) -> int:
        return self.weights * self.positions


@dataclass(frozen=True)
class Costs:
    """What one image costs in a network.

    Args:
        image: shape of the input, without the batch.
        ops: in execution order.
    """

    image: tuple[int, int, int]
    ops: tuple[OpCost, ...] = field(repr=False)

    @cached_property
    def parameters(self) -> int:
        return sum(op.parameters for op in self.ops)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of convolutions and dense layers."""
        return sum(op.macs for op in self.ops)

    def elements_of(self, number: int) -> int:
        return math.prod(self.image) if number == IMAGE else self.ops[number].elements

    @cached_property
    def peak_layer_activations(self) -> int:
        """Most elements that one op reads and writes."""
        return max(sum(map(self.elements_of, set(op.inputs))) + op.elements for op in self.ops)

    @cached_property
    def peak_activations(self) -> int:
        """Most elements that are alive at once: from the op that makes a value to the last that reads it.

        The same as `Graph.peak_activation_elements`. A runtime may need less (in place) or more (packed copies).
        """
        last = {number: index for index, op in enumerate(self.ops) for number in op.inputs}
        alive = peak = math.prod(self.image)
        for index, op in enumerate(self.ops):
            alive += op.elements
            peak = max(peak, alive)
            alive -= sum(self.elements_of(number) for number in set(op.inputs) if last[number] == index)
        return peak

    def memory_bytes(self, precision: str) -> int:
        """Weights as the file stores them, and the peak of the activations as they are computed with.

        fp32: 4 bytes both. fp16: weights 2, activations 4, because arithmetic is in float32. int8-weights: 1 a weight
        and 4 for its channel's scale, weights below 2048 elements and biases 4, activations 4. int8: 1 a weight,
        4 for its channel's scale and for a bias, activations 1.

        Raises:
            UsageError: the precision is not one of these.
        """
        return self.weight_bytes(precision) + self.peak_activations * activation_bytes(precision)

    def weight_bytes(self, precision: str) -> int:
        """Bytes of the weights and biases in a file, see `memory_bytes`."""
        activation_bytes(precision)
        return sum(_stored(op, precision) for op in self.ops)


def activation_bytes(precision: str) -> int:
    """Bytes of one element of an activation; arithmetic is in float32 but for int8.

    Raises:
        UsageError: there is no such precision.
    """
    known = {"fp32": 4, "fp16": 4, "int8-weights": 4, "int8": 1}
    if precision not in known:
        raise UsageError(f"the memory of precision {precision!r} is not known", f"one of {', '.join(known)}")
    return known[precision]


def _stored(op: OpCost, precision: str) -> int:
    if precision in ("fp32", "fp16"):
        return (op.weights + op.bias) * (4 if precision == "fp32" else 2)
    if precision == "int8-weights" and op.weights < INT8_LEAST_ELEMENTS:
        return (op.weights + op.bias) * 4
    return op.weights + 4 * (op.bias + op.bias)
