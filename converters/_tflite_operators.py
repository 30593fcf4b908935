"""The operators of a .tflite file, one by one."""

from __future__ import annotations

from pathlib import Path

from edgeeff.values import Operator

from ._summary import Shape, operator_kind
from ._tflite_inspect import WEIGHTED, Op, Reader, Tensor, macs_of, read


def operators(path: Path) -> list[Operator]:
    """The operators of the main subgraph of any .tflite file, each by the name of its first output.

    Raises: as `inspect`.
    """
    return read(path, _operators)


def _operators(reader: Reader) -> list[Operator]:
    ops, tensors, schema = reader.ops, reader.tensors, reader.schema
    reader.entries(sum(len(tensors[i].name) for op in ops for i in op.inputs + op.outputs))

    def name(index: int) -> str:
        return tensors[index].name.decode("utf-8", "replace")

    return [
        Operator(
            name=name(op.outputs[0]) if op.outputs else "",
            type=op.name,
            kind=operator_kind(op.name, _kernel(op, tensors), depthwise=op.builtin == "DEPTHWISE_CONV_2D"),
            macs=macs_of(op, tensors, schema),
            inputs=tuple(name(i) for i in op.inputs if i >= 0 and not tensors[i].storage),
            outputs=tuple(map(name, op.outputs)),
            output_shape=tensors[op.outputs[0]].shape if op.outputs else None,
        )
        for op in ops
    ]


def _kernel(op: Op, tensors: list[Tensor]) -> Shape | None:
    """Height and width of a convolution's kernel."""
    if op.builtin not in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"):
        return None
    shape = tensors[op.inputs[WEIGHTED[op.builtin].weights]].shape
    return shape[1:3] if len(shape) == 4 else None
