"""int8 weights and activations that are rounded as they come, image by image: ONNX's dynamic quantisation.

DynamicQuantizeLinear measures a value's range and rounds it to uint8; ConvInteger and MatMulInteger sum products in
int32, which a Mul makes real numbers again. Depthwise convolutions compute in float, as in TFLite's form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import Quantization, channelwise, weight_to_int8
from edgeeff.ops import Activation, Conv2d, Dense, is_depthwise

from ._onnx_lowering import Lowering

_INTEGER = {"Conv": "ConvInteger", "Gemm": "MatMulInteger", "MatMul": "MatMulInteger"}


class DynamicLowering(Lowering):
    """Lowers one node after the other; values are float between them."""

    def __init__(self, graph: Graph, quantization: Quantization) -> None:
        super().__init__(graph)
        self.quantization = quantization
        self._made: set[str] = set()

    def _is_dynamic(self, node: Node) -> bool:
        return node.name in self.quantization.weights and not is_depthwise(node.op)

    def weights(self, node: Node, *, axis: int = 0, **arrays: Any) -> list[str]:
        if not self._is_dynamic(node):
            return super().weights(node, axis=axis, **arrays)
        weight, scales = arrays["weight"], self.quantization.weights[node.name]
        integers = weight_to_int8(weight, scales, axis)
        if isinstance(node.op, Dense) and axis == 0:
            integers = integers.T  # MatMulInteger has no transB
        stored = self.file.constant(f"{node.name}.weight.int8", np.ascontiguousarray(integers))
        return [stored] if arrays["bias"] is None else [stored, self._spread(node, "bias", arrays["bias"])]

    def activated(self, node: Node, activation: Activation, op_type: str, inputs: list[str], **attributes: Any) -> None:
        if not self._is_dynamic(node) or op_type not in _INTEGER:
            super().activated(node, activation, op_type, inputs, **attributes)
            return
        attributes.pop("transB", None)
        (x, weight), bias, name = inputs[:2], inputs[2:], node.name
        rounded, scale, zero_point = self._rounded(x)
        summed = self.file.add(_INTEGER[op_type], [rounded, weight, zero_point], f"{name}.sums", **attributes)
        real = self.file.add("Cast", [summed], f"{name}.float", to=self.file.onnx.TensorProto.FLOAT)
        spread = self._spread(node, "scale", self.quantization.weights[name])
        step = self.file.add("Mul", [scale, spread], f"{name}.step")
        self._finish(node, activation, [real, step], bias)

    def _finish(self, node: Node, activation: Activation, product: list[str], bias: list[str]) -> None:
        if not bias:
            super().activated(node, activation, "Mul", product)
            return
        scaled = self.file.add("Mul", product, f"{node.name}.scaled")
        super().activated(node, activation, "Add", [scaled, *bias])

    def _rounded(self, x: str) -> tuple[str, str, str]:
        """A value as uint8, with its scale and zero point: once for all that read it."""
        names = (f"{x}.uint8", f"{x}.uint8_scale", f"{x}.uint8_zero_point")
        if names[0] not in self._made:
            self._made.add(names[0])
            self.file.add("DynamicQuantizeLinear", [x], *names)
        return names

    def _spread(self, node: Node, key: str, values: Any) -> str:
        """A constant for each output channel, in a shape that broadcasts against the node's value."""
        rank = len(self.graph.shapes[node.name])
        spread = channelwise(values, rank - 1) if isinstance(node.op, Conv2d) else values
        return self.file.constant(f"{node.name}.{key}", spread)
