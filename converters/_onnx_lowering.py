"""The state of one graph on its way into an ONNX file: which value bears which name, and how weights are stored.

`_onnx_ops` holds what each op becomes. Weights in fp16 stand behind a Cast that every runtime folds when it loads:
half the size, float arithmetic, and it runs where no fp16 kernels are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import channelwise, weight_to_int8
from edgeeff.ops import Activation

from ._half import require_half
from ._onnx_builder import OnnxBuilder

if TYPE_CHECKING:
    import onnx

    from edgeeff.protocols import Array

UNARY = {"sigmoid": "Sigmoid", "relu": "Relu", "hard_swish": "HardSwish", "tanh": "Tanh"}


class Lowering:
    """Reads values of the graph by their names in the file, and adds operators that make new ones, in float."""

    def __init__(self, graph: Graph, *, half: bool = False) -> None:
        self.graph = graph
        self.file = OnnxBuilder(graph.name)
        self.half = half

    def begin(self, node: Node) -> None:
        """Told before the operators of a node are added."""

    def end(self, node: Node) -> None:
        """Told behind them."""

    def read(self, name: str) -> str:
        """What the present node reads of a value."""
        return name

    def made(self, node: Node) -> str:
        """What the present node's own operators call its value."""
        return node.name

    def fill(self) -> list[str]:
        """What the present node pads with, where it is not 0.0."""
        return []

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The whole file, checked."""
        hidden = [node.name for node in self.graph.nodes if node.inputs and node.name not in self.graph.outputs]
        inputs, outputs, inner = (
            [self.value(name) for name in names] for names in (self.graph.inputs, self.graph.outputs, hidden)
        )
        return self.file.model(inputs, outputs, inner, metadata)

    def value(self, name: str) -> onnx.ValueInfoProto:
        """The declaration of a value."""
        return self.file.value(name, self.graph.shapes[name])

    def weight(self, name: str, values: Array) -> str:
        """A float constant, stored at the file's precision."""
        if not self.half:
            return self.file.constant(name, values)
        require_half(name, values)
        stored = self.file.constant(f"{name}.fp16", values.astype(np.float16))
        return self.file.add("Cast", [stored], name, to=self.file.onnx.TensorProto.FLOAT)

    def weights(self, node: Node, *, axis: int = 0, **arrays: Array | None) -> list[str]:
        """The constants of a node; the one called "weight" in int8 where the graph has scales for it.

        Args:
            axis: of the weight, that which counts the output channels.
        """
        scales = self.graph.quantization.weights.get(node.name) if self.graph.quantization else None
        names = []
        for key, array in arrays.items():
            name = f"{node.name}.{key}"
            if key == "weight" and scales is not None:
                names.append(self.int8_weight(name, array, scales, axis))
            elif array is not None:
                names.append(self.weight(name, array))
        return names

    def int8_weight(self, name: str, values: Any, scales: Any, axis: int) -> str:
        """A weight in int8, made float by operators that every runtime folds when it loads.

        DequantizeLinear would say the same, but onnxruntime takes it for a part of integer arithmetic and does not
        fold it: it would run for every image.
        """
        stored = self.file.constant(f"{name}.int8", weight_to_int8(values, scales, axis))
        integers = self.file.add("Cast", [stored], f"{name}.integers", to=self.file.onnx.TensorProto.FLOAT)
        spread = self.file.constant(f"{name}.scale", channelwise(scales, values.ndim, axis))
        return self.file.add("Mul", [integers, spread], name)

    def activated(self, node: Node, activation: Activation, op_type: str, inputs: list[str], **attributes: Any) -> None:
        """An op and the activation that it carries, which is a node of its own in ONNX."""
        if activation == "none":
            self.file.add(op_type, inputs, self.made(node), **attributes)
            return
        before = self.file.add(op_type, inputs, f"{node.name}.linear", **attributes)
        self.activation(activation, before, self.made(node))

    def activation(self, kind: str, x: str, output: str) -> None:
        """An elementwise function."""
        add = self.file.add
        if kind == "relu6":
            limits = [self.file.constant(f"clip.{limit}", np.array(limit, np.float32)) for limit in (0, 6)]
            add("Clip", [x, *limits], output)
        elif kind == "silu":
            add("Mul", [x, add("Sigmoid", [x], f"{output}.sigmoid")], output)
        elif kind == "hard_sigmoid":
            add("HardSigmoid", [x], output, alpha=1 / 6, beta=0.5)
        else:
            add(UNARY[kind], [x], output)
