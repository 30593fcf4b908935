"""Runs a graph in torch, in float or as its quantised file will compute, on any number of images at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import HARD_SIGMOID, SIGMOID, Quantization, ValueScale, stored_weight
from edgeeff.ops import (
    Activation,
    Affine,
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Op,
    Pad,
    Padding,
    Pool,
    Reshape,
    Slice,
    Softmax,
    Swish,
    Transpose,
    Unary,
    Weight,
)

from ._integer_kernels import IntegerLayer, add, mean, multiply, sigmoid, swish, to_steps

_BATCH = 8

Watch = Callable[[Node, Tensor], None]

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "relu": F.relu, "relu6": F.relu6}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
}
_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
}


def as_int8(x: Tensor, scale: ValueScale) -> Tensor:
    """The float values of x's int8 form: `quantization.to_int8` and back, in torch.

    torch's own fake quantisation also makes a mask for training, which takes time here.
    """
    return to_steps(x, scale).mul_(scale.scale)


class Executor:
    """A graph, ready to run: its weights are tensors, those that are stored in int8 rounded to it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.weights: dict[str, tuple[Tensor, Tensor | None]] = {}
        """Of the layers that compute in float."""
        self._layers: dict[str, IntegerLayer] = {}
        quantization = graph.quantization or Quantization({})
        for node in graph.nodes:
            if not isinstance(node.op, Conv2d | Dense):
                continue
            weight, scales = node.op.weight, quantization.weights.get(node.name)
            if scales is not None and node.name in quantization.integer:
                self._layers[node.name] = IntegerLayer.of(node.op, scales, quantization.values[node.inputs[0]])
                continue
            rounded = weight if scales is None else stored_weight(weight, scales)
            bias = None if node.op.bias is None else torch.from_numpy(np.ascontiguousarray(node.op.bias))
            self.weights[node.name] = (torch.from_numpy(np.ascontiguousarray(rounded)), bias)
        self.last = {name: node.name for node in graph.nodes for name in node.inputs}

    @torch.inference_mode()
    def run(self, images: Sequence[Tensor], watch: Watch = lambda node, value: None) -> list[Tensor]:
        """The outputs for a batch of each input.

        Args:
            watch: told each node and its value.
        """
        values = dict(zip(self.graph.inputs, images, strict=True))
        for node in self.graph.nodes:
            values[node.name] = value = self.step(node, values)
            watch(node, value)
            for name in node.inputs:
                if self.last[name] == node.name and name not in self.graph.outputs:
                    values.pop(name, None)
        return [values[name] for name in self.graph.outputs]

    def step(self, node: Node, values: Mapping[str, Tensor]) -> Tensor:
        """The value of a node, as its readers see it."""
        inputs = [values[name] for name in node.inputs]
        quantization = self.graph.quantization
        if quantization is None or node.name not in quantization.integer:
            return self.value(node, inputs)
        read = [quantization.values[name] for name in node.inputs]
        made = quantization.values[node.name]
        return self._steps(node, inputs, read, made).mul_(made.scale)

    def _steps(self, node: Node, inputs: Sequence[Tensor], read: Sequence[ValueScale], made: ValueScale) -> Tensor:
        """The integers of a node that computes in int8, without the zero point."""
        x = [to_steps(value, form) for value, form in zip(inputs, read, strict=True)]
        match node.op:
            case Conv2d() | Dense() as op if node.name in self._layers:
                layer = self._layers[node.name]
                return layer.requantised(op, _products(op, x[0], layer.weight), read[0], made)
            case Binary("add"):
                return add(x, read, made)
            case Binary("mul"):
                return multiply(x, read, made)
            case Mean() as op:
                return mean(x[0], op, read[0], made)
            case Unary("sigmoid"):
                return sigmoid(x[0], read[0])
            case Unary("silu"):
                return multiply((x[0], sigmoid(x[0], read[0])), (read[0], SIGMOID), made)
            case Swish(beta):
                return swish(x[0], _per_channel(beta, x[0]), read[0], made)
        real = [steps * form.scale for steps, form in zip(x, read, strict=True)]
        if node.op == Unary("hard_swish"):
            return to_steps(real[0] * as_int8(F.hardsigmoid(real[0]), HARD_SIGMOID), made)
        return to_steps(self.value(node, real), made)

    def value(self, node: Node, inputs: Sequence[Tensor]) -> Tensor:
        """What a node computes of the given inputs, its activation included."""
        activation: Activation = getattr(node.op, "activation", "none")
        return _ACTIVATIONS[activation](self.linear(node, inputs))

    def linear(self, node: Node, inputs: Sequence[Tensor]) -> Tensor:
        """What a node computes before the activation that it carries."""
        if isinstance(node.op, Conv2d | Dense):
            return _products(node.op, inputs[0], *self.weights[node.name])
        return _plain(node.op, inputs)


def outputs(graph: Graph, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The outputs of a graph with one input for any number of images, a few at a time."""
    executor = Executor(graph)
    parts = [executor.run([torch.from_numpy(images[i : i + _BATCH])]) for i in range(0, len(images), _BATCH)]
    return [np.concatenate([part[i].numpy() for part in parts]) for i in range(len(graph.outputs))]


def _products(op: Conv2d | Dense, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if isinstance(op, Dense):
        return F.linear(x, weight, bias)
    top, left, bottom, right = op.padding
    symmetric = (top, left) == (bottom, right)
    padded = x if symmetric else _pad(x, op.padding)
    return F.conv2d(padded, weight, bias, op.stride, (top, left) if symmetric else 0, op.dilation, op.groups)


def _pad(x: Tensor, padding: Padding, fill: float = 0.0) -> Tensor:
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=fill)


def _plain(op: Op, x: Sequence[Tensor]) -> Tensor:
    """An op without weights. The batch takes the place of the 1 that the graph's shapes begin with."""
    match op:
        case Affine(scale, shift):
            return x[0] * _per_channel(scale, x[0]) + _per_channel(shift, x[0])
        case Swish(beta):
            return x[0] * (x[0] * _per_channel(beta, x[0])).sigmoid_()
        case Constant(value):
            return torch.from_numpy(np.ascontiguousarray(value))
        case Binary(kind):
            return _BINARY[kind](x[0], x[1])
        case Unary(kind):
            return _UNARY[kind](x[0])
        case Mean(axes, keepdims):
            return x[0].mean(axes, keepdim=keepdims)
        case Pool():
            return _pool(op, x[0])
        case Pad(padding):
            return _pad(x[0], padding)
        case Reshape(to):
            return x[0].reshape(-1, *to[1:])
        case Transpose(order):
            return x[0].permute(order)
        case Slice(axis, begin, end):
            return x[0].narrow(axis, begin, end - begin)
        case Concat(axis):
            return torch.cat(list(x), axis)
        case Softmax():
            return x[0].softmax(-1)
    raise AssertionError(op)


def _per_channel(values: Weight, x: Tensor) -> Tensor:
    """Values for the channels (axis 1) in a shape that broadcasts against x."""
    return torch.from_numpy(values).reshape(1, -1, *[1] * (x.ndim - 2))


def _pool(op: Pool, x: Tensor) -> Tensor:
    if op.kind == "max":
        return F.max_pool2d(_pad(x, op.padding, -torch.inf), op.kernel, op.stride, ceil_mode=op.ceil_mode)
    # The average is over the pixels of the image alone: the sum over a window by the number of them in it.
    ones = _pad(torch.ones_like(x[:1, :1]), op.padding)
    sums, counts = (
        F.avg_pool2d(image, op.kernel, op.stride, ceil_mode=op.ceil_mode, divisor_override=1)
        for image in (_pad(x, op.padding), ones)
    )
    return sums / counts
