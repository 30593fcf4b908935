"""A quantised graph on its way into an ONNX file: QuantizeLinear and DequantizeLinear around what is integer.

Each integer node reads DequantizeLinear outputs and is followed by a QuantizeLinear, its weights are int8 and its bias
int32, both behind a DequantizeLinear: the form in which onnxruntime finds what it has integer kernels for
(onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "QDQ"). A relu is left out where the int8 form
holds nothing that it would change. A float node's int8 weights are made float when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import (
    GIVEN_FORMS,
    HARD_SIGMOID,
    HIGHEST,
    LOWEST,
    Quantization,
    ValueScale,
    bias_to_int32,
    io_scale,
    weight_to_int8,
)
from edgeeff.ops import Activation, Binary, Dense, Mean, Reshape, Unary

from ._integer_plan import MOVES
from ._onnx_lowering import Lowering

if TYPE_CHECKING:
    import onnx

    from edgeeff.protocols import Array


class QuantizedLowering(Lowering):
    """Lowers one node after the other, each in its own arithmetic."""

    def __init__(self, graph: Graph, quantization: Quantization) -> None:
        super().__init__(graph)
        self.quantization = quantization
        self.node: Node | None = None
        self._stored: dict[str, str] = {}
        """Value -> the name of its integers, once they are there."""
        self._restored: dict[str, str] = {}
        """Value -> the name of what its integers stand for."""

    @property
    def _is_integer(self) -> bool:
        return self.node is not None and self.node.name in self.quantization.integer

    @property
    def _moves_integers(self) -> bool:
        """Whether the present node only moves numbers, which integers are as good for."""
        return self._is_integer and self.node is not None and isinstance(self.node.op, MOVES)

    def begin(self, node: Node) -> None:
        self.node = node

    def end(self, node: Node) -> None:
        if self._moves_integers:
            self._stored[node.name] = self.made(node)
        elif self._is_integer and node.name not in self._stored:
            self._stored[node.name] = self._quantize(node.name, self.made(node))

    def read(self, name: str) -> str:
        if self._moves_integers:
            return self._integers(name)
        if self._is_integer or name in self.quantization.integer or self._is_taken(name):
            return self._real(name)
        return self._real_name(name)

    def _is_taken(self, name: str) -> bool:
        """Whether the value is an input of integers."""
        return self.quantization.io != "float" and name in self.graph.inputs

    def made(self, node: Node) -> str:
        if self._moves_integers:
            return f"{node.name}.moved"
        return f"{node.name}.exact" if self._is_integer else self._real_name(node.name)

    def fill(self) -> list[str]:
        if self.node is None or not self._moves_integers:
            return []
        return [self._scale_names(self.node.name)[1]]

    def activated(self, node: Node, activation: Activation, op_type: str, inputs: list[str], **attributes: Any) -> None:
        if self._is_integer and _holds(self.quantization.values[node.name], activation):
            activation = "none"
        super().activated(node, activation, op_type, inputs, **attributes)

    def activation(self, kind: str, x: str, output: str) -> None:
        if self.node is not None and self._is_integer and kind == "hard_sigmoid":
            self._stored[self.node.name] = self._hard_sigmoid(x, self.node.name)
        else:
            super().activation(kind, x, output)

    def _hard_sigmoid(self, x: str, name: str) -> str:
        """relu6(x + 3) / 6 in integers: the sum's form clips it to [0, 6], and its integers are those of the sixth."""
        add, constant = self.file.add, self.file.constant
        three, form = ValueScale(3 / HIGHEST, 0), io_scale(HARD_SIGMOID, self._type)
        stored = [
            constant(f"three.{self._type}", np.array(HIGHEST + io_scale(three, self._type).zero_point, self._type)),
            constant("three.scale", np.array(three.scale, np.float32)),
            constant(f"three.zero_point.{self._type}", np.array(io_scale(three, self._type).zero_point, self._type)),
        ]
        total = add("Add", [x, add("DequantizeLinear", stored, f"{name}.three")], f"{name}.sum")
        scale = constant("six_hard_sigmoids.scale", np.array(6 * form.scale, np.float32))
        zero = constant(f"hard_sigmoid.zero_point.{self._type}", np.array(form.zero_point, self._type))
        return add("QuantizeLinear", [total, scale, zero], f"{name}.integers")

    def weights(self, node: Node, *, axis: int = 0, **arrays: Any) -> list[str]:
        if not self._is_integer:
            return super().weights(node, axis=axis, **arrays)
        scales = self.quantization.weights[node.name]
        weight, bias = arrays["weight"], arrays["bias"]
        names = [self._constant(f"{node.name}.weight", weight_to_int8(weight, scales, axis), scales, axis)]
        if bias is not None:
            stored, products = bias_to_int32(bias, scales, self.quantization.values[node.inputs[0]].scale)
            names.append(self._constant(f"{node.name}.bias", stored, products, 0))
        return names

    def model(self, metadata: Mapping[str, str]) -> onnx.ModelProto:
        self.node = None
        for name in self.graph.outputs:
            self._return(name)
        return super().model(metadata)

    def value(self, name: str) -> onnx.ValueInfoProto:
        is_border = name in self.graph.inputs or name in self.graph.outputs
        dtype = _TYPES[self.quantization.io] if is_border else np.float32
        return self.file.value(name, self.graph.shapes[name], dtype)

    def _real_name(self, name: str) -> str:
        """What a value is called as real numbers. The value's own name is that of what the network returns."""
        taken = self.quantization.io != "float" and name in self.graph.outputs
        return f"{name}.real" if taken else name

    def _return(self, name: str) -> None:
        """Makes a value what the network returns."""
        if self.quantization.io == "float":
            self.read(name)
        else:
            real = self._real(name) if name in self.quantization.integer else self._real_name(name)
            self.file.add("QuantizeLinear", [real, *self._scale_names(name, self.quantization.io)], name)

    def _constant(self, name: str, integers: Array, scales: Array, axis: int) -> str:
        stored = self.file.constant(f"{name}.integers", integers)
        zeros = self.file.constant(f"zeros.{integers.dtype}.{len(scales)}", np.zeros(len(scales), integers.dtype))
        return self.file.add(
            "DequantizeLinear", [stored, self.file.constant(f"{name}.scale", scales), zeros], name, axis=axis
        )

    def _integers(self, name: str) -> str:
        if name not in self._stored:
            real = self._real_name(name)
            if self._is_taken(name):
                if self.quantization.io == self._type:
                    return name
                real = self.file.add(
                    "DequantizeLinear", [name, *self._scale_names(name, self.quantization.io)], f"{name}.taken"
                )
            self._stored[name] = self._quantize(name, real)
        return self._stored[name]

    def _real(self, name: str) -> str:
        """The value that the integers stand for. That of an integer node bears the value's own name."""
        if name not in self._restored:
            output = self._real_name(name) if name in self.quantization.integer else f"{name}.rounded"
            operands = [self._integers(name), *self._scale_names(name)]
            self._restored[name] = self.file.add("DequantizeLinear", operands, output)
        return self._restored[name]

    def _quantize(self, name: str, real: str) -> str:
        return self.file.add("QuantizeLinear", [real, *self._scale_names(name)], f"{name}.integers")

    @property
    def _type(self) -> str:
        return "uint8" if self.quantization.unsigned else "int8"

    def _scale_names(self, name: str, dtype: str = "") -> tuple[str, str]:
        """The constants with a value's scale and zero point; the zero point's type is that of the integers."""
        dtype = dtype or self._type
        form = io_scale(self.quantization.values[name], dtype)
        return (
            self.file.constant(f"{name}.value_scale", np.array(form.scale, np.float32)),
            self.file.constant(f"{name}.zero_point.{dtype}", np.array(form.zero_point, dtype)),
        )


_TYPES: dict[str, type[np.generic]] = {"float": np.float32, "int8": np.int8, "uint8": np.uint8}

_ROUNDING = 1e-4
"""By so much of a step a limit may be passed that rounding the scale to float32 has moved."""


def _holds(form: ValueScale, activation: Activation) -> bool:
    """Whether everything that the form can hold passes the activation unchanged."""
    low, high = ((q - form.zero_point) * form.scale for q in (LOWEST, HIGHEST))
    slack = _ROUNDING * form.scale * (HIGHEST - LOWEST)
    return activation == "none" or (low >= 0 and (activation == "relu" or high <= 6 + slack))


def unfold(graph: Graph) -> Graph:
    """Ops that onnxruntime has no integer kernel for, where they are integer, as several that it has one for."""
    quantization = graph.quantization
    assert quantization is not None
    values, weights = dict(quantization.values), dict(quantization.weights)
    integer = set(quantization.integer)
    nodes: list[Node] = []
    for node in graph.nodes:
        parts = list(_parts(graph, node)) if node.name in integer else [node]
        for part in parts[:-1]:
            integer.add(part.name)
            values[part.name] = _form_of(node, part, quantization)
        if isinstance(node.op, Dense) and len(parts) > 1:
            weights[parts[1].name] = weights.pop(node.name)
        nodes += parts
    made = replace(quantization, weights=weights, values=values, integer=frozenset(integer))
    return replace(graph, nodes=tuple(nodes), quantization=made)


def _parts(graph: Graph, node: Node) -> Iterator[Node]:
    shape, name = graph.shapes[node.name], node.name
    match node.op:
        case Unary("silu"):
            yield Node(f"{name}.sigmoid", Unary("sigmoid"), node.inputs)
            yield Node(name, Binary("mul"), (*node.inputs, f"{name}.sigmoid"))
        case Unary("hard_swish"):
            yield Node(f"{name}.hard_sigmoid", Unary("hard_sigmoid"), node.inputs)
            yield Node(name, Binary("mul"), (*node.inputs, f"{name}.hard_sigmoid"))
        case Mean(axes, False):
            yield Node(f"{name}.pooled", Mean(axes, True), node.inputs)
            yield Node(name, Reshape(shape), (f"{name}.pooled",))
        case Dense() as op if len(shape) != 2:
            x = graph.shapes[node.inputs[0]]
            rows = int(np.prod(x[:-1]))
            yield Node(f"{name}.rows", Reshape((rows, x[-1])), node.inputs)
            yield Node(f"{name}.product", op, (f"{name}.rows",))
            yield Node(name, Reshape(shape), (f"{name}.product",))
        case _:
            yield node


def _form_of(node: Node, part: Node, quantization: Quantization) -> ValueScale:
    """The int8 form of what a node makes on the way to its own value."""
    if isinstance(part.op, Unary):
        return GIVEN_FORMS[part.op.kind]
    return quantization.values[node.inputs[0] if part.name.endswith(".rows") else node.name]
