"""The state of one graph on its way into a TFLite file: which tensor holds which value, with its axes in which order.

TFLite's image operators want channels last. So a value of rank 4, NCHW in torch's order, is stored as NHWC; a value
of any other rank keeps torch's order. `_tflite_ops` and `_tflite_windows` hold what each op becomes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.ops import Activation, Constant, Dense, Reshape, Shape, Weight, op_kind

from ._tflite_builder import FlatbufferBuilder
from ._tflite_storage import Storage

OPERATORS = schema.BuiltinOperator

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)

ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def stored_axes(rank: int) -> tuple[int, ...]:
    """For each axis of the stored tensor, its number in torch's order."""
    return NCHW_TO_NHWC if rank == 4 else tuple(range(rank))


def stored_shape(shape: Shape) -> Shape:
    return tuple(shape[axis] for axis in stored_axes(len(shape)))


def per_channel(values: Weight, rank: int) -> Weight:
    """Values for the channels (axis 1), in a shape that broadcasts against a value of that rank."""
    return values.reshape(1, -1, *(1,) * (rank - 2))


def same_memory(shape: Shape) -> bool:
    """Whether the elements lie in the same sequence in torch's order and as stored."""
    return len(shape) != 4 or shape[1] == 1 or shape[2] * shape[3] == 1


def unsupported(node: Node, why: str) -> ConversionError:
    return ConversionError(f"{node.name}: {op_kind(node.op)} has no form in TFLite: {why}")


class Lowering:
    """Reads values of the graph as tensors of the file, and adds operators that make new ones."""

    def __init__(self, graph: Graph, storage: Storage) -> None:
        self.graph = graph
        self.storage = storage
        self.file = FlatbufferBuilder()
        self.taken: dict[str, int] = {name: self.take(name) for name in graph.inputs}
        """The tensors of the file's inputs."""
        self.tensors: dict[str, int] = dict(self.taken)
        self.makers = {node.name: node for node in graph.nodes}
        self._uses = graph.uses()

    def take(self, name: str) -> int:
        """The tensor of an input of the file."""
        return self.storage.value(self.file, name, stored_shape(self.graph.shapes[name]))

    def begin(self, node: Node) -> None:
        """Told before the operators of a node are added."""

    def read(self, name: str) -> int:
        """The tensor of a value, as stored. A constant enters the file when it is read first."""
        if name not in self.tensors:
            value = self.constant_of(name)
            assert value is not None, name
            self.tensors[name] = self.constant(name, value)
        return self.tensors[name]

    def output(self, name: str) -> int:
        """The tensor of a value that the network returns."""
        return self.read(name)

    def constant_of(self, name: str) -> Weight | None:
        """The value of a Constant node; None for any other value."""
        maker = self.makers.get(name)
        return maker.op.value if maker is not None and isinstance(maker.op, Constant) else None

    def constant(self, name: str, value: Weight) -> int:
        """A constant operand, given in torch's order."""
        return self.storage.constant(self.file, name, value.transpose(stored_axes(value.ndim)))

    def integers(self, name: str, values: Sequence[Any]) -> int:
        """A constant of axes, a shape or a padding."""
        return self.file.constant(name, np.array(values, np.int32), np.int32)

    def emit(self, code: int, inputs: Sequence[int], name: str, shape: Shape, options: Any = None) -> int:
        """Adds an operator and the tensor that it makes, of the given stored shape."""
        made = self.storage.value(self.file, name, shape)
        self.file.operator(code, options, inputs, [made])
        return made

    def scaled(self, node: Node, x: int, factors: Weight) -> int:
        """What a swish gives its sigmoid: its input times a factor for each channel."""
        shape = stored_shape(self.graph.shapes[node.name])
        stored = self.constant(f"{node.name}/beta", per_channel(factors, len(shape)))
        return self.emit(OPERATORS.MUL, [x, stored], f"{node.name}/scaled", shape, schema.MulOptionsT())

    def reshape(self, tensor: int, name: str, shape: Shape) -> int:
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        return self.emit(OPERATORS.RESHAPE, [tensor, self.integers(f"{name}/shape", shape)], name, shape, options)

    def permute(self, tensor: int, order: Sequence[int], name: str) -> int:
        """Brings axes into another order: by a RESHAPE where no element moves."""
        before = self.file.shape_of(tensor)
        shape = tuple(before[axis] for axis in order)
        moving = [axis for axis in order if before[axis] > 1]
        if moving == sorted(moving):
            return self.reshape(tensor, name, shape)
        options = schema.TransposeOptionsT()
        return self.emit(OPERATORS.TRANSPOSE, [tensor, self.integers(f"{name}/order", order)], name, shape, options)

    def torch_order(self, name: str, reader: Node) -> int:
        """The tensor of a value with its axes in torch's order."""
        tensor = self.read(name)
        if len(self.graph.shapes[name]) != 4:
            return tensor
        return self.permute(tensor, NHWC_TO_NCHW, f"{reader.name}/{name}/nchw")

    def flattens_for_dense(self, name: str) -> bool:
        """Whether a value is an image flattened only for dense layers.

        These take the elements in the stored sequence, with the columns of their weights permuted to match,
        which saves a TRANSPOSE.
        """
        maker = self.makers.get(name)
        if maker is None or not isinstance(maker.op, Reshape) or name in self.graph.outputs:
            return False
        shape, source = self.graph.shapes[name], self.graph.shapes[maker.inputs[0]]
        whole = len(source) == 4 and shape == (source[0], math.prod(source[1:]))
        return whole and all(isinstance(user.op, Dense) for user in self._uses[name])
