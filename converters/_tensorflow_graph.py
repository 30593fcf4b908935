"""The graph in TensorFlow's ops.

As in TFLite, a value of rank 4, NCHW in torch's order, is stored as NHWC, and a value of any other rank keeps
torch's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.ops import (
    Affine,
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Pad,
    Padding,
    Pool,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Transpose,
    Unary,
    Weight,
    op_kind,
)

from ._windows import fit_window, window_excess

_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def concrete(tf: Any, graph: Graph, batch: int | None = 1) -> Any:
    """The graph as a tf.function with one signature: a tensor for each input, in order, to "output_0" and so on.

    Args:
        tf: the module tensorflow.
        batch: None leaves it open.

    Raises:
        ConversionError: an op has no form in TensorFlow.
    """
    images = [
        tf.TensorSpec((batch, *_stored(shape)[1:]), tf.float32, name=name) for name, shape in graph.inputs.items()
    ]
    return tf.function(lambda *values: _Builder(tf, graph, values).outputs(), input_signature=images, autograph=False)


def _stored(shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in _TO_NHWC) if len(shape) == 4 else shape


class _Builder:
    """Holds the values while the function is traced."""

    def __init__(self, tf: Any, graph: Graph, images: Sequence[Any]) -> None:
        self.tf = tf
        self.graph = graph
        self.values: dict[str, Any] = dict(zip(graph.inputs, images, strict=True))

    def outputs(self) -> dict[str, Any]:
        for node in self.graph.nodes:
            value = self.value(node)
            match getattr(node.op, "activation", "none"):
                case "relu":
                    value = self.tf.nn.relu(value)
                case "relu6":
                    value = self.tf.nn.relu6(value)
            self.values[node.name] = value
        return {f"output_{i}": self.values[name] for i, name in enumerate(self.graph.outputs)}

    def value(self, node: Node) -> Any:
        """What a node computes, before the activation that it carries."""
        tf = self.tf
        x: Any = self.values[node.inputs[0]] if node.inputs else None
        rank = len(self.graph.shapes[node.name])
        match node.op:
            case Conv2d() as op:
                return self.conv2d(node, op, x)
            case Pool() as op:
                return self.pool(node, op, x)
            case Pad(padding):
                return self.pad(x, padding)
            case Dense(weight, bias):
                y = tf.linalg.matmul(self.torch_order(node.inputs[0]), weight.T)
                return self.stored(y if bias is None else y + bias, rank)
            case Affine(scale, shift):
                per_channel = (1, -1, *(1,) * (rank - 2)) if rank != 4 else (-1,)
                return x * scale.reshape(per_channel) + shift.reshape(per_channel)
            case Binary(kind):
                apply = {"add": tf.add, "sub": tf.subtract, "mul": tf.multiply, "div": tf.divide}[kind]
                return apply(*(self.operand(name, rank) for name in node.inputs))
            case Unary(kind):
                return self.unary(kind, x)
            case Mean(axes, keepdims):
                return self.mean(node, axes, keepdims=keepdims)
            case Reshape(to):
                return self.stored(tf.reshape(self.torch_order(node.inputs[0]), (-1, *to[1:])), rank)
            case Transpose(order):
                return self.stored(tf.transpose(self.torch_order(node.inputs[0]), order), rank)
            case Slice(axis, begin, end):
                parts = [slice(None)] * rank
                parts[self.axis(axis, rank)] = slice(begin, end)
                return x[tuple(parts)]
            case Concat(axis):
                return tf.concat([self.values[name] for name in node.inputs], self.axis(axis, rank))
            case Softmax():
                return self.stored(tf.nn.softmax(self.torch_order(node.inputs[0])), rank)
            case Constant(value):
                return tf.constant(value.transpose(_TO_NHWC) if rank == 4 else value)
        raise ConversionError(f"{node.name}: {op_kind(node.op)} has no form in TensorFlow")

    def axis(self, axis: int, rank: int) -> int:
        return _TO_NHWC.index(axis) if rank == 4 else axis

    def torch_order(self, name: str) -> Any:
        value = self.values[name]
        return self.tf.transpose(value, _TO_NCHW) if len(self.graph.shapes[name]) == 4 else value

    def stored(self, value: Any, rank: int) -> Any:
        return self.tf.transpose(value, _TO_NHWC) if rank == 4 else value

    def operand(self, name: str, rank: int) -> Any:
        """A value that broadcasts as in torch, against a result of the given rank as it is stored."""
        shape = self.graph.shapes[name]
        if len(shape) == rank or rank != 4:
            return self.values[name]
        expanded = self.tf.reshape(self.torch_order(name), (*(1,) * (rank - len(shape)), *shape))
        return self.stored(expanded, rank)

    def unary(self, kind: str, x: Any) -> Any:
        nn = self.tf.nn
        match kind:
            case "silu":
                return x * self.tf.sigmoid(x)
            case "hard_swish":
                return x * nn.relu6(x + np.float32(3)) * np.float32(1 / 6)
            case "hard_sigmoid":
                return nn.relu6(x + np.float32(3)) * np.float32(1 / 6)
        return {"sigmoid": self.tf.sigmoid, "relu": nn.relu, "relu6": nn.relu6, "tanh": self.tf.tanh}[kind](x)

    def mean(self, node: Node, axes: tuple[int, ...], *, keepdims: bool) -> Any:
        name = node.inputs[0]
        rank = len(self.graph.shapes[name])
        if keepdims or (rank == 4 and set(axes) == {2, 3}):
            return self.tf.reduce_mean(self.values[name], [self.axis(axis, rank) for axis in axes], keepdims)
        made = self.tf.reduce_mean(self.torch_order(name), axes)
        return self.stored(made, len(self.graph.shapes[node.name]))

    def pad(self, x: Any, padding: Padding, fill: float = 0.0) -> Any:
        if not any(padding):
            return x
        top, left, bottom, right = padding
        return self.tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], constant_values=fill)

    def conv2d(self, node: Node, op: Conv2d, x: Any) -> Any:
        shapes = self.graph.shapes
        kernel = op.weight.shape[2:]
        extent = (op.dilation[0] * (kernel[0] - 1) + 1, op.dilation[1] * (kernel[1] - 1) + 1)
        window = fit_window(shapes[node.inputs[0]], shapes[node.name], extent, op.stride, op.padding)
        x = self.pad(x, window.padding)
        scheme = "SAME" if window.same else "VALID"
        channels = shapes[node.inputs[0]][1]
        if op.groups == channels and op.groups > 1:
            y = self.depthwise(node, op, x, scheme)
        else:
            parts = zip(
                self.tf.split(x, op.groups, axis=3) if op.groups > 1 else [x],
                np.split(op.weight, op.groups),
                strict=True,
            )
            made = [
                self.tf.nn.conv2d(part, _hwio(weight), op.stride, scheme, dilations=op.dilation)
                for part, weight in parts
            ]
            y = self.tf.concat(made, axis=3) if len(made) > 1 else made[0]
        return y if op.bias is None else self.tf.nn.bias_add(y, op.bias)

    def depthwise(self, node: Node, op: Conv2d, x: Any, scheme: str) -> Any:
        if op.stride[0] != op.stride[1]:
            raise ConversionError(f"{node.name}: TensorFlow's depthwise convolution has one stride for both axes")
        weight = op.weight[:, 0].transpose(1, 2, 0)
        weight = weight.reshape(*weight.shape[:2], op.groups, -1)
        strides = (1, *op.stride, 1)
        return self.tf.nn.depthwise_conv2d(x, weight, strides, scheme, dilations=op.dilation)

    def pool(self, node: Node, op: Pool, x: Any) -> Any:
        before, after = self.graph.shapes[node.inputs[0]], self.graph.shapes[node.name]
        window = fit_window(before, after, op.kernel, op.stride, op.padding)
        scheme = "SAME" if window.same else "VALID"
        if op.kind == "max":
            x = self.pad(x, window.padding, float(np.finfo(np.float32).min))
            return self.tf.nn.max_pool2d(x, op.kernel, op.stride, scheme)
        average = self.tf.nn.avg_pool2d(self.pad(x, window.padding), op.kernel, op.stride, scheme)
        if not any(window.padding):
            return average  # SAME does not count what it adds, as our op
        return average * window_excess(before, after, op).transpose(_TO_NHWC)


def _hwio(weight: Weight) -> Weight:
    return weight.transpose(2, 3, 1, 0)
