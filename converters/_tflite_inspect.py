"""What a .tflite file says of itself, read through the schema's accessors without unpacking its weights.

The flatbuffer is read lazily from a mapped file, so that memory does not grow with the weights. Nothing in the file
is trusted: every index and length is checked here, or fails in the accessors, and the number of entries is limited.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from edgeeff.errors import MissingExtraError
from edgeeff.values import FileSummary, TensorSpec

from ._foreign import map_file, not_a
from ._summary import (
    MAX_ENTRIES,
    WEIGHT_TYPES,
    DamagedError,
    Shape,
    Weighted,
    checked_shape,
    judge_precision,
    total_macs,
)

T = TypeVar("T")

_KIND = "a TFLite model"
_TYPES_OF_BITS = {
    64: "float64 int64 uint64 complex64",
    32: "float32 int32 uint32",
    16: "float16 bfloat16 int16 uint16",
    8: "int8 uint8 bool",
    4: "int4 uint4",
    2: "int2",
}
_BITS = {name: bits for bits, names in _TYPES_OF_BITS.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operator has its weights, its bias and what the weights are applied to, among its inputs."""

    weights: int
    bias: int | None
    x: int


WEIGHTED = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D", "FULLY_CONNECTED"), _Place(1, 2, 0)),
    "TRANSPOSE_CONV": _Place(1, 3, 2),
    "BATCH_MATMUL": _Place(1, None, 0),
}
_HIDDEN = (
    {"IF", "WHILE", "CALL", "CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CONV_3D_TRANSPOSE", "SVDF"}
    | {"LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"}
    | {"RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"}
    | {f"STABLEHLO_{name}" for name in ("CASE", "COMPOSITE", "CONVOLUTION", "CUSTOM_CALL", "DOT_GENERAL", "WHILE")}
)
"""Operators with multiply-adds that this reader does not count: a file that has one has no total."""
_FREE_CUSTOM = {"TFLite_Detection_PostProcess"}
"""Custom operators without a convolution or dense layer in them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the graph. `storage` tells the buffer its constant data is in; None for activations."""

    name: bytes
    dtype: str
    shape: Shape
    storage: tuple[str, int] | None
    elements: int
    """Elements that are stored: fewer than the shape has in a sparse tensor, none in an activation."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operator; `inputs` and `outputs` are indices of tensors, -1 for one left out."""

    name: str
    builtin: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any


def inspect(path: Path) -> FileSummary:
    """Reads the main subgraph of any .tflite file.

    `parameters` are the stored elements of float and 8-bit (or smaller) constants that are not scalars, and of the
    biases, each buffer once; index lists (shapes, axes, paddings) do not count. Multiply-adds are those of
    convolutions, dense layers and matrix products.

    Raises:
        UsageError: the file is missing, truncated, foreign or damaged.
        MissingExtraError: the schema's package is not installed.
    """
    return read(path, _summarise)


def read(path: Path, take: Callable[[Reader], T]) -> T:
    """What is taken from a file; whatever is wrong with it is an error that names it."""
    data = map_file(path)
    if data[4:8] != b"TFL3":
        raise not_a(path, _KIND, "it does not bear the format's mark TFL3")
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", "tflite", "reading TFLite files") from error
    try:
        return take(Reader(schema, data))
    except DamagedError as error:
        raise not_a(path, _KIND, str(error)) from error
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise not_a(path, _KIND, "it points outside itself; it may be truncated") from error


class Reader:
    """The main subgraph's tensors and operators, checked."""

    def __init__(self, schema: Any, data: Any) -> None:
        self.schema = schema
        self.size = len(data)
        self.allowance = MAX_ENTRIES
        self.type_names = {value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()}
        self.op_names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
        self.model = schema.Model.GetRootAs(data)
        if not self.model.SubgraphsLength():
            raise DamagedError("it holds no graph")
        self.graph = self.model.Subgraphs(0)

    def entries(self, length: int) -> range:
        """The indices of a list; each list that is looked at is paid for from what the file may have."""
        self.allowance -= length
        if self.allowance < 0:
            raise DamagedError("its lists have more entries than a network can")
        return range(length)

    def integers(self, length: int, get: Callable[[int], int]) -> tuple[int, ...]:
        return tuple(get(i) for i in self.entries(length))

    @cached_property
    def buffers(self) -> list[int]:
        """Bytes that each buffer stores."""
        return [self.buffer_bytes(self.model.Buffers(i)) for i in self.entries(self.model.BuffersLength())]

    def buffer_bytes(self, buffer: Any) -> int:
        # Behind the flatbuffer where a file exceeds 2 GB; 1 is a placeholder.
        if buffer.Offset() > 1:
            length, end = buffer.Size(), buffer.Offset() + buffer.Size()
        else:
            length = end = buffer.DataLength()
            if length and length <= self.size:
                buffer.Data(length - 1)  # fails where that is outside the file
        if end > self.size:
            raise DamagedError("weights lie behind its end; it is truncated")
        return int(length)

    @cached_property
    def tensors(self) -> list[Tensor]:
        return [self.tensor(self.graph.Tensors(i)) for i in self.entries(self.graph.TensorsLength())]

    def tensor(self, table: Any) -> Tensor:
        dimensions = self.integers(table.ShapeLength(), table.Shape)
        signature = self.integers(table.ShapeSignatureLength(), table.ShapeSignature)
        if len(signature) != len(dimensions):
            signature = dimensions
        shape = checked_shape(None if -1 in pair else pair[0] for pair in zip(dimensions, signature, strict=True))
        name = table.Name() or b""
        self.entries(len(name))
        dtype = self.type_names.get(table.Type(), "unknown")
        return Tensor(name, dtype, shape, *self.storage(table, dtype, shape))

    def storage(self, table: Any, dtype: str, shape: Shape) -> tuple[tuple[str, int] | None, int]:
        """Which buffer a constant is in, and how many elements are stored there."""
        elements = math.prod(n or 0 for n in shape)
        if table.ExternalBuffer():
            return ("external", table.ExternalBuffer()), elements
        if table.Buffer() == 0 or self.buffers[table.Buffer()] == 0:
            return None, 0
        stored, bits = self.buffers[table.Buffer()] * 8, _BITS.get(dtype, 0)
        if bits and table.Sparsity():
            elements = min(elements, stored // bits)
        if elements * bits > stored:
            raise DamagedError(f"a constant of shape {list(shape)} has only {stored // 8} bytes of data")
        return ("buffer", table.Buffer()), elements

    @cached_property
    def ops(self) -> list[Op]:
        codes = [self.code(self.model.OperatorCodes(i)) for i in self.entries(self.model.OperatorCodesLength())]
        return [self.op(self.graph.Operators(i), codes) for i in self.entries(self.graph.OperatorsLength())]

    def code(self, table: Any) -> tuple[str, str]:
        """Name and builtin name; two fields hold the code since there are more than 127."""
        number = max(table.BuiltinCode(), table.DeprecatedBuiltinCode())
        builtin = self.op_names.get(number, f"BUILTIN_{number}")
        custom = (table.CustomCode() or b"") if builtin == "CUSTOM" else b""
        self.entries(len(custom))
        return custom.decode("utf-8", "replace") or builtin, builtin

    def op(self, table: Any, codes: list[tuple[str, str]]) -> Op:
        name, builtin = codes[table.OpcodeIndex()]
        inputs = self.integers(table.InputsLength(), table.Inputs)
        outputs = self.integers(table.OutputsLength(), table.Outputs)
        # -1 stands for an input that is left out, which these cannot be.
        place = WEIGHTED.get(builtin)
        needed = (*outputs, *inputs[:1], *((inputs[place.weights], inputs[place.x]) if place else ()))
        if min(needed, default=0) < 0 or not all(-1 <= i < len(self.tensors) for i in inputs + outputs):
            raise DamagedError(f"an operator {builtin} uses a tensor that does not exist")
        return Op(name, builtin, inputs, outputs, table)

    def specs(self, length: int, get: Callable[[int], int]) -> tuple[TensorSpec, ...]:
        """The inputs or outputs of the graph."""
        tensors = [self.tensors[i] for i in self.integers(length, get)]
        self.entries(sum(len(tensor.name) for tensor in tensors))
        return tuple(TensorSpec(t.name.decode("utf-8", "replace"), t.dtype, t.shape) for t in tensors)


def _summarise(reader: Reader) -> FileSummary:
    graph, ops, tensors = reader.graph, reader.ops, reader.tensors
    if not ops:
        raise DamagedError("its graph holds no operator")
    return FileSummary(
        format="tflite",
        inputs=reader.specs(graph.InputsLength(), graph.Inputs),
        outputs=reader.specs(graph.OutputsLength(), graph.Outputs),
        ops=len(ops),
        op_counts=Counter(op.name for op in ops),
        macs=total_macs(macs_of(op, tensors, reader.schema) for op in ops),
        parameters=_parameters(ops, tensors),
        precision=judge_precision(list(_weighted(ops, tensors)), {t.dtype for t in tensors if not t.storage}),
    )


def macs_of(op: Op, tensors: list[Tensor], schema: Any) -> int | None:
    """Multiply-adds of one operator; None where they cannot be told."""
    if op.builtin in _HIDDEN or op.builtin.startswith("BUILTIN_"):
        return 0 if op.name in _FREE_CUSTOM else None
    if op.builtin not in WEIGHTED:
        return 0
    place = WEIGHTED[op.builtin]
    shapes = [_with_batch_1(tensors[i].shape) for i in (op.inputs[place.x], op.inputs[place.weights], op.outputs[0])]
    x, weights, y = (tuple(n for n in shape if n is not None) for shape in shapes)
    if any(None in shape for shape in shapes):
        return None
    match op.builtin:
        case "CONV_2D":  # weights: output channels, kernel, input channels
            return math.prod(y) * math.prod(weights[1:])
        case "DEPTHWISE_CONV_2D":  # weights: 1, kernel, channels
            return math.prod(y) * math.prod(weights[1:-1])
        case "CONV_3D":  # weights: kernel, input channels, output channels
            return math.prod(y) * math.prod(weights[:-1])
        case "TRANSPOSE_CONV":  # weights: output channels, kernel, input channels
            return math.prod(x) * math.prod(weights[:-1])
        case "FULLY_CONNECTED":  # weights: outputs, inputs
            return math.prod(y) * weights[-1]
        case _:
            depth = x[-2 if _transposed(op, schema) else -1]
            return math.prod(y) * depth


def _with_batch_1(shape: Shape) -> Shape:
    return (1, *shape[1:]) if shape and shape[0] is None else shape


def _transposed(op: Op, schema: Any) -> bool:
    """Whether the first factor of a BATCH_MATMUL is transposed."""
    union = op.table.BuiltinOptions()
    if union is None:
        return False
    options = schema.BatchMatMulOptions()
    options.Init(union.Bytes, union.Pos)
    return bool(options.AdjX())


def _parameters(ops: list[Op], tensors: list[Tensor]) -> int:
    stored: dict[tuple[str, int], int] = {}
    for op in ops:
        bias = WEIGHTED[op.builtin].bias if op.builtin in WEIGHTED else None
        for position, index in enumerate(op.inputs):
            tensor = tensors[index]
            counts = tensor.dtype in WEIGHT_TYPES or (position == bias and tensor.dtype in ("int32", "int64"))
            if index >= 0 and tensor.storage and tensor.shape and counts:
                stored[tensor.storage] = max(stored.get(tensor.storage, 0), tensor.elements)
    return sum(stored.values())


def _weighted(ops: list[Op], tensors: list[Tensor]) -> Iterator[Weighted]:
    """The operators with constant weights, seen through the DEQUANTIZE or DENSIFY that a file puts behind them."""
    origin = dict(enumerate(tensors))
    for op in ops:
        if op.builtin in ("DEQUANTIZE", "DENSIFY"):
            origin[op.outputs[0]] = origin[op.inputs[0]]
        if place := WEIGHTED.get(op.builtin):
            weights = origin[op.inputs[place.weights]]
            if weights.storage:
                yield Weighted(weights.dtype, tensors[op.inputs[place.x]].dtype, weights.elements)
