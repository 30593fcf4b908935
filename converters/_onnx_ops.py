"""What each op of the graph becomes in ONNX. The layout is the same (NCHW), so that each is one node, two for silu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    Padding,
    Pool,
    Reshape,
    Slice,
    Softmax,
    Transpose,
    Unary,
)

from ._onnx_lowering import Lowering

BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}


def lower(low: Lowering, node: Node) -> None:
    """Adds the operators of a node."""
    _LOWER[type(node.op)](low, node, node.op)


def _conv2d(low: Lowering, node: Node, op: Conv2d) -> None:
    low.activated(
        node,
        op.activation,
        "Conv",
        [low.read(node.inputs[0]), *low.weights(node, weight=op.weight, bias=op.bias)],
        kernel_shape=op.weight.shape[2:],
        strides=op.stride,
        pads=op.padding,
        dilations=op.dilation,
        group=op.groups,
    )


def _dense(low: Lowering, node: Node, op: Dense) -> None:
    x = low.read(node.inputs[0])
    if len(low.graph.shapes[node.inputs[0]]) == 2:
        names = low.weights(node, weight=op.weight, bias=op.bias)
        low.activated(node, op.activation, "Gemm", [x, *names], transB=1)
        return
    # Gemm takes matrices only; more axes need MatMul, whose weight stands the other way round.
    names = low.weights(node, axis=1, weight=op.weight.T, bias=op.bias)
    if op.bias is None:
        low.activated(node, op.activation, "MatMul", [x, names[0]])
    else:
        product = low.file.add("MatMul", [x, names[0]], f"{node.name}.product")
        low.activated(node, op.activation, "Add", [product, names[1]])


def _affine(low: Lowering, node: Node, op: Affine) -> None:
    per_channel = (1, -1, *[1] * (len(low.graph.shapes[node.name]) - 2))
    names = low.weights(node, scale=op.scale.reshape(per_channel), shift=op.shift.reshape(per_channel))
    scaled = low.file.add("Mul", [low.read(node.inputs[0]), names[0]], f"{node.name}.scaled")
    low.file.add("Add", [scaled, names[1]], low.made(node))


def _constant(low: Lowering, node: Node, op: Constant) -> None:
    low.weight(node.name, op.value)


def _binary(low: Lowering, node: Node, op: Binary) -> None:
    low.activated(node, op.activation, BINARY[op.kind], [low.read(name) for name in node.inputs])


def _unary(low: Lowering, node: Node, op: Unary) -> None:
    low.activation(op.kind, low.read(node.inputs[0]), low.made(node))


def _mean(low: Lowering, node: Node, op: Mean) -> None:
    x = low.read(node.inputs[0])
    if op.axes != (2, 3) or len(low.graph.shapes[node.inputs[0]]) != 4:
        low.file.add("ReduceMean", [x, low.file.integers(*op.axes)], low.made(node), keepdims=int(op.keepdims))
        return
    # onnxruntime keeps its blocked layout through this op, not through ReduceMean.
    pooled = low.made(node) if op.keepdims else f"{node.name}.pooled"
    low.file.add("GlobalAveragePool", [x], pooled)
    if not op.keepdims:
        low.file.add("Flatten", [pooled], low.made(node), axis=1)


def _pool(low: Lowering, node: Node, op: Pool) -> None:
    op_type = "MaxPool" if op.kind == "max" else "AveragePool"
    pads = _pool_pads(low, node, op)
    x = low.read(node.inputs[0])
    low.file.add(op_type, [x], low.made(node), kernel_shape=op.kernel, strides=op.stride, pads=pads)


def _pool_pads(low: Lowering, node: Node, op: Pool) -> Padding:
    """The padding with which as many windows fit as the op has.

    ONNX's ceil_mode keeps a last window that lies in the padding alone, which torch drops; so what ceil mode
    adds is padding here.
    """
    if not op.ceil_mode:
        return op.padding
    x, y = low.graph.shapes[node.inputs[0]], low.graph.shapes[node.name]
    top, left = op.padding[:2]
    bottom, right = (max((y[2 + i] - 1) * op.stride[i] + op.kernel[i] - x[2 + i] - op.padding[i], 0) for i in (0, 1))
    return (top, left, bottom, right)


def _pad(low: Lowering, node: Node, op: Pad) -> None:
    top, left, bottom, right = op.padding
    pads = low.file.integers(0, 0, top, left, 0, 0, bottom, right)
    low.file.add("Pad", [low.read(node.inputs[0]), pads, *low.fill()], low.made(node))


def _reshape(low: Lowering, node: Node, op: Reshape) -> None:
    x = low.read(node.inputs[0])
    if len(op.to) == 2 and op.to[0] == 1 and low.graph.shapes[node.inputs[0]][0] == 1:
        low.file.add("Flatten", [x], low.made(node), axis=1)
    else:
        # The open batch is a factor of the first axis also where rows were folded into it.
        low.file.add("Reshape", [x, low.file.integers(-1, *op.to[1:])], low.made(node))


def _transpose(low: Lowering, node: Node, op: Transpose) -> None:
    low.file.add("Transpose", [low.read(node.inputs[0])], low.made(node), perm=op.order)


def _slice(low: Lowering, node: Node, op: Slice) -> None:
    limits = [low.file.integers(n) for n in (op.begin, op.end, op.axis)]
    low.file.add("Slice", [low.read(node.inputs[0]), *limits], low.made(node))


def _concat(low: Lowering, node: Node, op: Concat) -> None:
    low.file.add("Concat", [low.read(name) for name in node.inputs], low.made(node), axis=op.axis)


def _softmax(low: Lowering, node: Node, op: Softmax) -> None:
    low.file.add("Softmax", [low.read(node.inputs[0])], low.made(node), axis=-1)


_LOWER: dict[type, Callable[[Lowering, Node, Any], None]] = {
    Conv2d: _conv2d,
    Dense: _dense,
    Affine: _affine,
    Constant: _constant,
    Binary: _binary,
    Unary: _unary,
    Mean: _mean,
    Pool: _pool,
    Pad: _pad,
    Reshape: _reshape,
    Transpose: _transpose,
    Slice: _slice,
    Concat: _concat,
    Softmax: _softmax,
}
