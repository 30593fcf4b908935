"""Convolutions, pools and pads: what slides a window over an image.

TFLite knows no numbers for the padding of a window, only SAME and VALID; all else is a PAD of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeeff.graph import Node
from edgeeff.ops import Conv2d, Pad, Padding, Pool, Weight

from ._tflite_lowering import ACTIVATIONS, OPERATORS, Lowering, stored_shape
from ._windows import fit_window, never_negative, window_excess

_SAME, _VALID = schema.Padding.SAME, schema.Padding.VALID


def conv2d(low: Lowering, node: Node, op: Conv2d) -> int:
    x, y = low.graph.shapes[node.inputs[0]], low.graph.shapes[node.name]
    kernel = op.weight.shape[2:]
    extent = (op.dilation[0] * (kernel[0] - 1) + 1, op.dilation[1] * (kernel[1] - 1) + 1)
    window = fit_window(x, y, extent, op.stride, op.padding)
    image = _padded(low, low.read(node.inputs[0]), f"{node.name}/pad", window.padding)
    code, options, weight, axis = _kernel(op, x[1])
    options.padding = _SAME if window.same else _VALID
    options.strideH, options.strideW = op.stride
    options.dilationHFactor, options.dilationWFactor = op.dilation
    options.fusedActivationFunction = ACTIVATIONS[op.activation]
    # Old delegates and accelerators want a bias, so one is always there.
    bias = np.zeros(y[1], np.float32) if op.bias is None else op.bias
    inputs = [
        image,
        low.storage.weight(low.file, f"{node.name}/weight", weight, axis),
        low.storage.bias(low.file, f"{node.name}/bias", bias),
    ]
    return low.emit(code, inputs, node.name, stored_shape(y), options)


def _kernel(op: Conv2d, channels: int) -> tuple[int, Any, Weight, int]:
    """The operator, its options, the weights in its layout and their axis of output channels."""
    if op.groups > 1 and op.groups == channels:
        depthwise = schema.DepthwiseConv2DOptionsT()
        depthwise.depthMultiplier = op.weight.shape[0] // channels
        return OPERATORS.DEPTHWISE_CONV_2D, depthwise, op.weight.transpose(1, 2, 3, 0), 3  # 1HWO
    return OPERATORS.CONV_2D, schema.Conv2DOptionsT(), op.weight.transpose(0, 2, 3, 1), 0  # OHWI


def pad(low: Lowering, node: Node, op: Pad) -> int:
    return _padded(low, low.read(node.inputs[0]), node.name, op.padding)


def pool(low: Lowering, node: Node, op: Pool) -> int:
    x, y = low.graph.shapes[node.inputs[0]], low.graph.shapes[node.name]
    window = fit_window(x, y, op.kernel, op.stride, op.padding)
    image, name = low.read(node.inputs[0]), f"{node.name}/pad"
    options = schema.Pool2DOptionsT()
    options.padding = _SAME if window.same else _VALID
    options.filterHeight, options.filterWidth = op.kernel
    options.strideH, options.strideW = op.stride
    if op.kind == "max":
        fill = 0.0 if never_negative(node.inputs[0], low.makers) else float(np.finfo(np.float32).min)
        image = _padded(low, image, name, window.padding, fill)
        return low.emit(OPERATORS.MAX_POOL_2D, [image], node.name, stored_shape(y), options)
    image = _padded(low, image, name, window.padding)
    if not any(window.padding):
        return low.emit(OPERATORS.AVERAGE_POOL_2D, [image], node.name, stored_shape(y), options)
    # After a PAD the average counts its zeros, which our op does not: scale it up by what it counts too much.
    average = low.emit(OPERATORS.AVERAGE_POOL_2D, [image], f"{node.name}/average", stored_shape(y), options)
    scale = low.constant(f"{node.name}/scale", window_excess(x, y, op))
    return low.emit(OPERATORS.MUL, [average, scale], node.name, stored_shape(y), schema.MulOptionsT())


def _padded(low: Lowering, image: int, name: str, padding: Padding, fill: float = 0.0) -> int:
    """The image with rows and columns of `fill` around it; the image itself where there are none."""
    if not any(padding):
        return image
    top, left, bottom, right = padding
    batch, height, width, channels = low.file.shape_of(image)
    shape = (batch, height + top + bottom, width + left + right, channels)
    amounts = low.integers(f"{name}/amounts", [[0, 0], [top, bottom], [left, right], [0, 0]])
    if fill == 0.0:
        return low.emit(OPERATORS.PAD, [image, amounts], name, shape, schema.PadOptionsT())
    value = low.constant(f"{name}/fill", np.array(fill, np.float32))
    return low.emit(OPERATORS.PADV2, [image, amounts, value], name, shape, schema.PadV2OptionsT())
