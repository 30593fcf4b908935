"""What each op of the graph becomes in TFLite, but for the windows of `_tflite_windows`."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeeff.graph import Node
from edgeeff.ops import (
    Affine,
    Binary,
    Concat,
    Constant,
    Conv2d,
    Dense,
    Mean,
    Pad,
    Pool,
    Reshape,
    Shape,
    Slice,
    Softmax,
    Swish,
    Transpose,
    Unary,
    Weight,
)

from ._tflite_lowering import (
    ACTIVATIONS,
    NCHW_TO_NHWC,
    OPERATORS,
    Lowering,
    per_channel,
    same_memory,
    stored_axes,
    stored_shape,
    unsupported,
)
from ._tflite_windows import conv2d, pad, pool


def lower(low: Lowering, node: Node) -> int | None:
    """Adds the operators of a node; returns the tensor that holds its value, None for a constant not yet read."""
    match node.op:
        case Conv2d() as op:
            return conv2d(low, node, op)
        case Pool() as op:
            return pool(low, node, op)
        case Pad() as op:
            return pad(low, node, op)
        case Dense() as op:
            return _dense(low, node, op)
        case Affine() as op:
            return _affine(low, node, op)
        case Binary() as op:
            return _binary(low, node, op)
        case Unary() as op:
            return _unary(low, node, op)
        case Swish(beta):
            return _swish(low, node, beta)
        case Mean() as op:
            return _mean(low, node, op)
        case Reshape() as op:
            return _reshape(low, node, op)
        case Transpose() as op:
            return _transpose(low, node, op)
        case Slice() as op:
            return _slice(low, node, op)
        case Concat() as op:
            return _concat(low, node, op)
        case Softmax():
            return _softmax(low, node)
        case Constant():
            return None
    raise unsupported(node, "it is not known here")


def _shape(low: Lowering, node: Node) -> Shape:
    return stored_shape(low.graph.shapes[node.name])


def _on_last_axis(low: Lowering, node: Node, code: int, operands: list[int], options: Any) -> int:
    """An operator over the last axis of torch's order, which is not the last one as stored where the rank is 4."""
    x = low.torch_order(node.inputs[0], node)
    shape = low.graph.shapes[node.name]
    if len(shape) != 4:
        return low.emit(code, [x, *operands], node.name, shape, options)
    y = low.emit(code, [x, *operands], f"{node.name}/nchw", shape, options)
    return low.permute(y, NCHW_TO_NHWC, node.name)


def _dense(low: Lowering, node: Node, op: Dense) -> int:
    weight, outputs = op.weight, op.weight.shape[0]
    source = low.makers.get(node.inputs[0])
    if source is not None and low.flattens_for_dense(source.name):
        channels, height, width = low.graph.shapes[source.inputs[0]][1:]
        columns = weight.reshape(outputs, channels, height, width)
        weight = columns.transpose(0, 2, 3, 1).reshape(outputs, -1)
    bias = np.zeros(outputs, np.float32) if op.bias is None else op.bias
    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    options.keepNumDims = len(low.graph.shapes[node.name]) > 2
    operands = [
        low.storage.weight(low.file, f"{node.name}/weight", weight, 0),
        low.storage.bias(low.file, f"{node.name}/bias", bias),
    ]
    return _on_last_axis(low, node, OPERATORS.FULLY_CONNECTED, operands, options)


def _softmax(low: Lowering, node: Node) -> int:
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return _on_last_axis(low, node, OPERATORS.SOFTMAX, [], options)


def _affine(low: Lowering, node: Node, op: Affine) -> int:
    shape = _shape(low, node)
    scale = low.constant(f"{node.name}/scale", per_channel(op.scale, len(shape)))
    shift = low.constant(f"{node.name}/shift", per_channel(op.shift, len(shape)))
    x = low.read(node.inputs[0])
    scaled = low.emit(OPERATORS.MUL, [x, scale], f"{node.name}/scaled", shape, schema.MulOptionsT())
    return low.emit(OPERATORS.ADD, [scaled, shift], node.name, shape, schema.AddOptionsT())


_BINARY = {
    "add": (OPERATORS.ADD, schema.AddOptionsT),
    "sub": (OPERATORS.SUB, schema.SubOptionsT),
    "mul": (OPERATORS.MUL, schema.MulOptionsT),
    "div": (OPERATORS.DIV, schema.DivOptionsT),
}


def _binary(low: Lowering, node: Node, op: Binary) -> int:
    code, make_options = _BINARY[op.kind]
    options = make_options()
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    rank = len(low.graph.shapes[node.name])
    operands = [_operand(low, node, name, rank) for name in node.inputs]
    return low.emit(code, operands, node.name, _shape(low, node), options)


def _operand(low: Lowering, node: Node, name: str, rank: int) -> int:
    """A value that broadcasts as in torch, against the axes of a result of the given rank as it is stored."""
    shape = low.graph.shapes[name]
    if len(shape) == rank:
        return low.read(name)
    expanded = (*(1,) * (rank - len(shape)), *shape)
    value = low.constant_of(name)
    if value is not None:
        return low.constant(f"{node.name}/{name}", value.reshape(expanded))
    x = low.torch_order(name, node)
    if rank != 4:
        return x  # TFLite adds the axes in front by itself, as torch does
    if same_memory(expanded):
        return low.reshape(x, f"{node.name}/{name}/expanded", stored_shape(expanded))
    x = low.reshape(x, f"{node.name}/{name}/expanded", expanded)
    return low.permute(x, NCHW_TO_NHWC, f"{node.name}/{name}/nhwc")


_UNARY = {
    "sigmoid": OPERATORS.LOGISTIC,
    "relu": OPERATORS.RELU,
    "relu6": OPERATORS.RELU6,
    "hard_swish": OPERATORS.HARD_SWISH,
    "tanh": OPERATORS.TANH,
}


def _unary(low: Lowering, node: Node, op: Unary) -> int:
    x, shape = low.read(node.inputs[0]), _shape(low, node)
    if op.kind == "silu":
        return _gated(low, node, x, x)
    if op.kind == "hard_sigmoid":  # relu6(x + 3) / 6
        options = schema.AddOptionsT()
        options.fusedActivationFunction = ACTIVATIONS["relu6"]
        three = low.constant(f"{node.name}/three", np.array(3, np.float32))
        sixth = low.constant(f"{node.name}/sixth", np.array(1 / 6, np.float32))
        clipped = low.emit(OPERATORS.ADD, [x, three], f"{node.name}/relu6", shape, options)
        return low.emit(OPERATORS.MUL, [clipped, sixth], node.name, shape, schema.MulOptionsT())
    options = schema.HardSwishOptionsT() if op.kind == "hard_swish" else None
    return low.emit(_UNARY[op.kind], [x], node.name, shape, options)


def _swish(low: Lowering, node: Node, beta: Weight) -> int:
    x = low.read(node.inputs[0])
    return _gated(low, node, x, low.scaled(node, x, beta))


def _gated(low: Lowering, node: Node, x: int, gate: int) -> int:
    """x times the sigmoid of the gate."""
    shape = _shape(low, node)
    opened = low.emit(OPERATORS.LOGISTIC, [gate], f"{node.name}/sigmoid", shape)
    return low.emit(OPERATORS.MUL, [x, opened], node.name, shape, schema.MulOptionsT())


_PIXELS_AT_ONCE = 128 * 128
"""LiteRT's MEAN adds up one pixel after the other in float32: 107 dB over 300x300 pixels, 114 dB over 112x112. Over the
columns first and then over the rows it is 132 dB, and takes 0.7 of the time at 300x300."""


def _mean(low: Lowering, node: Node, op: Mean) -> int:
    shape, order = low.graph.shapes[node.inputs[0]], stored_axes(len(low.graph.shapes[node.inputs[0]]))
    x = low.read(node.inputs[0])
    if len(shape) == 4 and {2, 3} <= set(op.axes) and shape[2] * shape[3] > _PIXELS_AT_ONCE:
        x = _emit_mean(low, x, [2], f"{node.name}/columns", (shape[0], shape[2], 1, shape[1]), keepdims=True)
    axes = sorted(order.index(axis) for axis in op.axes)
    if op.keepdims:
        return _emit_mean(low, x, axes, node.name, _shape(low, node), keepdims=True)
    left = [axis for axis in order if axis not in op.axes]
    wanted = [sorted(left)[axis] for axis in stored_axes(len(left))]
    reduced = tuple(shape[axis] for axis in left)
    if left == wanted:
        return _emit_mean(low, x, axes, node.name, reduced, keepdims=False)
    made = _emit_mean(low, x, axes, f"{node.name}/mean", reduced, keepdims=False)
    return low.permute(made, [left.index(axis) for axis in wanted], node.name)


def _emit_mean(low: Lowering, x: int, axes: list[int], name: str, shape: Shape, *, keepdims: bool) -> int:
    options = schema.ReducerOptionsT()
    options.keepDims = keepdims
    return low.emit(OPERATORS.MEAN, [x, low.integers(f"{name}/axes", axes)], name, shape, options)


def _reshape(low: Lowering, node: Node, op: Reshape) -> int:
    source = node.inputs[0]
    shape = low.graph.shapes[source]
    in_place = same_memory(shape) or low.flattens_for_dense(node.name)
    x = low.read(source) if in_place else low.torch_order(source, node)
    if same_memory(op.to):
        return low.reshape(x, node.name, _shape(low, node))
    return low.permute(low.reshape(x, f"{node.name}/nchw", op.to), NCHW_TO_NHWC, node.name)


def _transpose(low: Lowering, node: Node, op: Transpose) -> int:
    axes = stored_axes(len(op.order))
    return low.permute(low.read(node.inputs[0]), [axes.index(op.order[axis]) for axis in axes], node.name)


def _slice(low: Lowering, node: Node, op: Slice) -> int:
    shape = _shape(low, node)
    begin = [0] * len(shape)
    begin[stored_axes(len(shape)).index(op.axis)] = op.begin
    operands = [
        low.read(node.inputs[0]),
        low.integers(f"{node.name}/begin", begin),
        low.integers(f"{node.name}/size", shape),
    ]
    return low.emit(OPERATORS.SLICE, operands, node.name, shape, schema.SliceOptionsT())


def _concat(low: Lowering, node: Node, op: Concat) -> int:
    shape = _shape(low, node)
    options = schema.ConcatenationOptionsT()
    options.axis = stored_axes(len(shape)).index(op.axis)
    return low.emit(OPERATORS.CONCATENATION, [low.read(x) for x in node.inputs], node.name, shape, options)
