"""What an .onnx file says of itself, read without its weights (`_onnx_skeleton`).

Where the file does not state the shapes that the multiply-adds need, they are inferred in a process of its own
(`_onnx_infer`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edgeeff.errors import MissingExtraError
from edgeeff.values import FileSummary, Operator, TensorSpec

from ._foreign import map_file, not_a
from ._onnx_infer import infer_shapes
from ._onnx_plain import FUSED, INTEGER, STANDARD_DOMAINS, all_graphs, fix_batch, full_name, simplify, sizes
from ._onnx_skeleton import skeleton
from ._summary import (
    WEIGHT_TYPES,
    DamagedError,
    Shape,
    Weighted,
    checked_shape,
    judge_precision,
    operator_kind,
    total_macs,
)

T = TypeVar("T")

_KIND = "an ONNX model"
_DTYPES = {"float": "float32", "double": "float64", "undefined": "unknown"}

_HIDDEN = {"If", "Loop", "Scan", "LSTM", "GRU", "RNN", "Einsum", "DeformConv", "Attention"}
"""Operators with multiply-adds that this reader does not count: a file that has one has no total."""

_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_SETTINGS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Resize", "Upsample", "Clip", "Pad"}
"""Operators whose inputs behind the first are settings (scales, limits), not parameters."""

_SAME_WEIGHTS = {"Cast", "DequantizeLinear", "QuantizeLinear", "Identity", "Reshape", "Transpose", "Unsqueeze"}
"""Operators through which constant weights reach the one that applies them."""


@dataclass(slots=True)
class _Values:
    """What is known of the values of a graph, by name."""

    types: Any
    shapes: dict[str, Shape] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    """Elements of the stored constants."""
    producers: dict[str, Any] = field(default_factory=dict)

    def read(self, graph: Any) -> None:
        """Takes up what a graph and those inside it declare and store."""
        for inner in all_graphs(graph):
            for value in (*inner.input, *inner.output, *inner.value_info):
                self.declare(value)
            for tensor in inner.initializer:
                self.store(tensor.name, tensor)
            for node in inner.node:
                self.producers.update(dict.fromkeys(node.output, node))
                if node.op_type == "Constant" and node.output:
                    for attribute in node.attribute:
                        if attribute.HasField("t"):
                            self.store(node.output[0], attribute.t)

    def declare(self, value: Any) -> TensorSpec:
        tensor = value.type.tensor_type
        spec = TensorSpec(value.name, self.dtype(tensor.elem_type), checked_shape(sizes(value)))
        self.dtypes[spec.name] = spec.dtype
        if tensor.HasField("shape"):
            self.shapes[spec.name] = spec.shape
        return spec

    def store(self, name: str, tensor: Any) -> None:
        shape = checked_shape(tensor.dims)
        self.shapes[name] = shape
        self.dtypes[name] = self.dtype(tensor.data_type)
        self.constants[name] = math.prod(n or 0 for n in shape)

    def dtype(self, number: int) -> str:
        name = self.types.Name(number).lower() if number in self.types.values() else "unknown"
        return _DTYPES.get(name, name)

    def known(self, *names: str) -> list[tuple[int, ...]] | None:
        """The shapes of values, or None where one of them is open or unknown."""
        found = [self.shapes.get(name, (None,)) for name in names]
        closed = [tuple(n for n in shape if n is not None) for shape in found]
        return closed if closed == found else None

    def weights(self, name: str) -> str | None:
        """The constant that a value comes from, through operators that do not change what it means."""
        for _ in range(8):
            if name in self.constants:
                return name
            node = self.producers.get(name)
            if node is None or not node.input or not (node.op_type in _SAME_WEIGHTS or self.is_scaled(node)):
                return None
            name = node.input[0]
        return None

    def is_scaled(self, node: Any) -> bool:
        """Whether a node multiplies by a constant: stored integers by their scale, where the rest is stored, too."""
        return node.op_type == "Mul" and len(node.input) == 2 and node.input[1] in self.constants

    def activation_type(self, name: str) -> str:
        """The type in which an activation is computed: that of the integers where it comes from some."""
        node = self.producers.get(name)
        if node is None or not node.input:
            return self.dtypes.get(name, "unknown")
        if node.op_type == "DynamicQuantizeLinear":
            return "float32"
        if node.op_type == "QuantizeLinear":
            return self.dtypes.get(node.input[2], "unknown") if len(node.input) > 2 else "uint8"
        if node.op_type == "DequantizeLinear":
            source = self.producers.get(node.input[0])
            is_quantized = source is not None and source.op_type == "QuantizeLinear"
            return self.activation_type(node.input[0]) if is_quantized else self.dtypes.get(node.input[0], "unknown")
        return self.dtypes.get(name, "unknown")


def inspect(path: Path) -> FileSummary:
    """Reads any .onnx file; weights in other files are neither needed nor looked for.

    `parameters` are the elements of the float and 8-bit (or smaller) constants that operators use, and of quantised
    biases; not scalars, scales, zero points, limits or index lists. Multiply-adds are those of convolutions, dense
    layers and matrix products; None where a control flow, recurrent or vendor's operator hides some.

    Raises:
        UsageError: the file is missing, truncated, foreign or damaged.
        MissingExtraError: onnx is not installed.
    """
    return _read(path, _summarise)


def operators(path: Path) -> list[Operator]:
    """The nodes of the main graph of any .onnx file, each by its own name or else that of its first output.

    Raises: as `inspect`.
    """
    return _read(path, _operators)


def _read(path: Path, take: Callable[[Any, Any], T]) -> T:
    """What is taken from a file; whatever is wrong with it is an error that names it."""
    data = map_file(path)
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("onnx", "onnx", "reading ONNX files") from error
    try:
        model = onnx.ModelProto.FromString(skeleton(data))
        if not model.graph.node:
            raise DamagedError("it holds no graph")
        return take(model, onnx.TensorProto.DataType)
    except DamagedError as error:
        raise not_a(path, _KIND, str(error)) from error
    except (DecodeError, UnicodeDecodeError) as error:
        raise not_a(path, _KIND, "it is not in protobuf's format") from error


def _summarise(model: Any, types: Any) -> FileSummary:
    graph = model.graph
    counts = Counter(full_name(node) for node in graph.node)
    stored = {tensor.name for tensor in graph.initializer}
    # Before version 4 of the format, constants were listed among the inputs.
    inputs = tuple(_Values(types).declare(value) for value in graph.input if value.name not in stored)
    outputs = tuple(_Values(types).declare(value) for value in graph.output)
    values, quantised = _plain_values(model, types)
    return FileSummary(
        format="onnx",
        inputs=inputs,
        outputs=outputs,
        ops=sum(counts.values()),
        op_counts=counts,
        macs=_total_macs(graph, values),
        parameters=_parameters(graph, values, quantised),
        precision=judge_precision(list(_weighted(graph, values, quantised)), {s.dtype for s in inputs + outputs}),
    )


def _plain_values(model: Any, types: Any) -> tuple[_Values, set[str]]:
    """Brings the graph to plain operators; what is known of its values, and the outputs of quantised operators."""
    graph = model.graph
    quantised = simplify(graph, FUSED)
    fix_batch(graph)
    serialised = model.SerializeToString()
    quantised |= simplify(graph, INTEGER)
    values = _Values(types)
    values.read(graph)
    if _total_macs(graph, values) is None and (inferred := infer_shapes(serialised)) is not None:
        values.read(type(model).FromString(inferred).graph)
    return values, quantised


def _operators(model: Any, types: Any) -> list[Operator]:
    named = [full_name(node) for node in model.graph.node]
    values, _ = _plain_values(model, types)
    return [
        Operator(
            name=node.name or (node.output[0] if node.output else ""),
            type=name,
            kind=_operator_kind(node, name, values),
            macs=_macs(node, values),
            inputs=tuple(x for x in node.input if x and x not in values.constants),
            outputs=tuple(node.output),
            output_shape=values.shapes.get(node.output[0]) if node.output else None,
        )
        for node, name in zip(model.graph.node, named, strict=True)
    ]


def _operator_kind(node: Any, name: str, values: _Values) -> str:
    if node.op_type not in ("Conv", "ConvTranspose"):
        return operator_kind(name)
    kernel = values.shapes.get(node.input[1], ())[2:]
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    # A depthwise kernel has one input channel.
    depthwise = groups > 1 and values.shapes.get(node.input[1], (0, 0))[1] == 1
    return operator_kind(node.op_type, kernel or None, depthwise=depthwise)


def _total_macs(graph: Any, values: _Values) -> int | None:
    return total_macs(_macs(node, values) for node in graph.node)


def _macs(node: Any, values: _Values) -> int | None:
    """Multiply-adds of one node; None where they cannot be told."""
    if node.domain not in STANDARD_DOMAINS or node.op_type in _HIDDEN:
        return None
    if node.op_type not in _WEIGHTED:
        return 0
    if len(node.input) < 2 or not node.output:
        raise DamagedError(f"a node {node.op_type} has no weights or no output")
    shapes = values.known(node.input[0], node.input[1], node.output[0])
    if shapes is None:
        return None
    x, weights, y = shapes
    match node.op_type:
        case "Conv":  # weights: output channels, input channels of a group, kernel
            return math.prod(y) * math.prod(weights[1:])
        case "ConvTranspose":  # weights: input channels, output channels of a group, kernel
            return math.prod(x) * math.prod(weights[1:])
        case _:
            is_transposed = any(a.name == "transA" and a.i for a in node.attribute)
            return math.prod(y) * (x[0] if is_transposed else x[-1]) if x else None


def _parameters(graph: Any, values: _Values, quantised: set[str]) -> int:
    counted: dict[str, int] = {}
    for inner in all_graphs(graph):
        for node in inner.node:
            is_scale = values.is_scaled(node) and values.weights(node.input[0]) is not None
            for position, name in enumerate(node.input[:1] if is_scale or node.op_type in _SETTINGS else node.input):
                # A quantised bias: behind a DequantizeLinear, or third of an operator on integers.
                is_bias = node.op_type == "DequantizeLinear" or (
                    position == 2 and not quantised.isdisjoint(node.output)
                )
                dtype = values.dtypes.get(name)
                if values.shapes.get(name) and (dtype in WEIGHT_TYPES or (dtype == "int32" and is_bias)):
                    counted[name] = values.constants.get(name, 0)
    return sum(counted.values())


def _weighted(graph: Any, values: _Values, quantised: set[str]) -> Iterator[Weighted]:
    """The convolutions, dense layers and products with stored weights."""
    for node in graph.node:
        if node.op_type in _WEIGHTED and (name := values.weights(node.input[1])) is not None:
            dtype = values.dtypes[name]
            is_quantised = not quantised.isdisjoint(node.output)
            yield Weighted(
                dtype, dtype if is_quantised else values.activation_type(node.input[0]), values.constants[name]
            )
