"""A quantised graph on its way into a TFLite file: integer nodes, float nodes, and what stands between them.

An integer node reads and makes int8 tensors, has int8 weights and int32 biases. A float node whose weights are
stored in int8 has them behind a DEQUANTIZE, which XNNPACK carries out once, when it loads the file. Where a node
reads what the other kind made, a QUANTIZE or DEQUANTIZE stands between, once for all such readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import (
    SIGMOID,
    SWISH_GATE,
    Quantization,
    ValueScale,
    beta_scale,
    bias_to_int32,
    io_scale,
    to_int8,
    weight_to_int8,
)
from edgeeff.ops import Shape, Unary, Weight, is_depthwise

from ._tflite_builder import FlatbufferBuilder, Quantized
from ._tflite_lowering import OPERATORS, Lowering, per_channel, stored_axes, stored_shape
from ._tflite_storage import Float32

HARD = (Unary("hard_swish"), Unary("hard_sigmoid"))
"""XNNPACK takes neither in integers; between a DEQUANTIZE and a QUANTIZE it makes a table of one: a look-up a byte."""

_SAME_SCALE = (OPERATORS.RESHAPE, OPERATORS.TRANSPOSE, OPERATORS.PAD)


class _Int8Weights(Float32):
    """Float values; weights in int8 behind a DEQUANTIZE."""

    def __init__(self, scales: Any) -> None:
        self.scales = scales

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        stored = self.integers(file, f"{name}/int8", value, axis)
        restored = file.tensor(name, value.shape)
        file.operator(schema.BuiltinOperator.DEQUANTIZE, schema.DequantizeOptionsT(), [stored], [restored])
        return restored

    def integers(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        quantized = Quantized(tuple(self.scales.tolist()), axis=axis)
        return file.constant(name, weight_to_int8(value, self.scales, axis), np.int8, quantized)


class _Int8(_Int8Weights):
    """int8 weights and int32 biases, whose scale is that of the products: input times weight."""

    def __init__(self, scales: Any, input_scale: float) -> None:
        super().__init__(scales)
        self.input_scale = input_scale

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        return self.integers(file, name, value, axis)

    def bias(self, file: FlatbufferBuilder, name: str, value: Weight) -> int:
        integers, scales = bias_to_int32(value, self.scales, self.input_scale)
        return file.constant(name, integers, np.int32, Quantized(tuple(scales.tolist())))


class _Dynamic(_Int8Weights):
    """int8 weights for kernels that round each image's float activations as they come (TensorFlow's dynamic range)."""

    def weight(self, file: FlatbufferBuilder, name: str, value: Weight, axis: int) -> int:
        return self.integers(file, name, value, axis)


class DynamicLowering(Lowering):
    """Lowers nodes whose weights are int8 and whose activations are float between them.

    XNNPACK has kernels that do so for convolutions and dense layers, not for depthwise convolutions: those compute in
    float, or each would leave the delegate.
    """

    def __init__(self, graph: Graph, quantization: Quantization) -> None:
        super().__init__(graph, Float32())
        self.quantization = quantization

    def begin(self, node: Node) -> None:
        scales = self.quantization.weights.get(node.name)
        if scales is None:
            self.storage = Float32()
        else:
            self.storage = _Int8Weights(scales) if is_depthwise(node.op) else _Dynamic(scales)


class QuantizedLowering(Lowering):
    """Lowers one node after the other, each in its own arithmetic."""

    def __init__(self, graph: Graph, quantization: Quantization) -> None:
        hard = {node.name for node in graph.nodes if node.op in HARD}
        self.quantization = replace(quantization, integer=quantization.integer - hard)
        super().__init__(graph, Float32())
        self.made: ValueScale | None = None
        """The int8 form of what the present node makes; None while it computes in float."""
        self._converted: dict[tuple[int, bool], int] = {}
        if quantization.io == "uint8":
            for name, tensor in self.taken.items():
                form = quantization.values[name]
                self.tensors[name] = self._requantize(tensor, f"{name}/int8", np.int8, form)

    def take(self, name: str) -> int:
        io = self.quantization.io
        if io == "float":
            return super().take(name)
        form = io_scale(self.quantization.values[name], io)
        dtype = np.uint8 if io == "uint8" else np.int8
        shape = stored_shape(self.graph.shapes[name])
        return self.file.tensor(name, shape, dtype, Quantized((form.scale,), form.zero_point))

    def begin(self, node: Node) -> None:
        self.made = self.quantization.values[node.name] if node.name in self.quantization.integer else None
        scales = self.quantization.weights.get(node.name)
        if scales is None:
            self.storage = Float32()
        elif self.made is None:
            self.storage = _Int8Weights(scales)
        else:
            self.storage = _Int8(scales, self.quantization.values[node.inputs[0]].scale)

    def read(self, name: str) -> int:
        """The tensor of a value in the arithmetic of the present node."""
        tensor = super().read(name)
        wanted = self.made is not None
        if (self.file.quantized(tensor) is not None) == wanted:
            return tensor
        key = (tensor, wanted)
        if key not in self._converted:
            self._converted[key] = self._convert(tensor, name)
        return self._converted[key]

    def output(self, name: str) -> int:
        if self.quantization.io == "float":
            self.made = None
            return self.read(name)
        self.made = self.quantization.values[name]
        tensor = self.read(name)
        if self.quantization.io == "int8":
            return tensor
        return self._requantize(tensor, f"{name}/uint8", np.uint8, io_scale(self.made, "uint8"))

    def _requantize(self, tensor: int, name: str, dtype: type[np.generic], form: ValueScale) -> int:
        """The same real numbers in another type of integers.

        By way of float, exactly: XNNPACK has no kernel from one type to the other, and the delegate would be split.
        """
        shape = self.file.shape_of(tensor)
        real = self.file.tensor(f"{name}/real", shape)
        self.file.operator(OPERATORS.DEQUANTIZE, schema.DequantizeOptionsT(), [tensor], [real])
        made = self.file.tensor(name, shape, dtype, Quantized((form.scale,), form.zero_point))
        self.file.operator(OPERATORS.QUANTIZE, schema.QuantizeOptionsT(), [real], [made])
        return made

    def emit(self, code: int, inputs: Sequence[int], name: str, shape: Shape, options: Any = None) -> int:
        if self.made is None:
            return super().emit(code, inputs, name, shape, options)
        scale = self.made
        if code == OPERATORS.LOGISTIC:
            scale = SIGMOID
        quantized = Quantized((scale.scale,), scale.zero_point)
        if code in _SAME_SCALE:
            quantized = self.file.quantized(inputs[0]) or quantized
        made = self.file.tensor(name, shape, np.int8, quantized)
        self.file.operator(code, options, inputs, [made])
        return made

    def scaled(self, node: Node, x: int, factors: Weight) -> int:
        if self.made is None:
            return super().scaled(node, x, factors)
        shape = stored_shape(self.graph.shapes[node.name])
        beta, gate = beta_scale(factors), Quantized((SWISH_GATE.scale,), SWISH_GATE.zero_point)
        integers = to_int8(per_channel(factors, len(shape)).transpose(stored_axes(len(shape))), beta.scale)
        stored = self.file.constant(f"{node.name}/beta", integers, np.int8, Quantized((beta.scale,), 0))
        made = self.file.tensor(f"{node.name}/scaled", shape, np.int8, gate)
        self.file.operator(OPERATORS.MUL, schema.MulOptionsT(), [x, stored], [made])
        return made

    def _convert(self, tensor: int, name: str) -> int:
        shape = self.file.shape_of(tensor)
        if self.made is None:
            made = self.file.tensor(f"{name}/float", shape)
            self.file.operator(OPERATORS.DEQUANTIZE, schema.DequantizeOptionsT(), [tensor], [made])
        else:
            scale = self.quantization.values[name]
            made = self.file.tensor(f"{name}/int8", shape, np.int8, Quantized((scale.scale,), scale.zero_point))
            self.file.operator(OPERATORS.QUANTIZE, schema.QuantizeOptionsT(), [tensor], [made])
        return made
