"""What is read from .tflite files of others: built here by the schema's own object API, not by our writer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.values import FileSummary, TensorSpec

F32, F16, I8, I32 = (getattr(schema.TensorType, name) for name in ("FLOAT32", "FLOAT16", "INT8", "INT32"))
NUMPY = {F32: np.float32, F16: np.float16, I8: np.int8, I32: np.int32}


@dataclass
class T:
    """A tensor of a file; `buffer` may name that of another, and `open_` the dimensions that are open."""

    shape: tuple[int, ...]
    type: int = F32
    constant: bool = False
    open_: tuple[int, ...] = ()
    buffer: int | None = None


def build(tensors: list[T], ops: list[tuple[Any, ...]], *, outside: bool = False) -> bytes:
    """A model from tensor 0 to the last one. Each op: builtin name or custom code, inputs, outputs, options.

    Args:
        outside: puts the constants behind the flatbuffer, as files of more than 2 GB have them.
    """
    buffers, behind = [schema.BufferT()], b""
    for tensor in tensors:
        if tensor.constant:
            data = np.ones(tensor.shape, NUMPY[tensor.type]).view(np.uint8).ravel()
            buffers.append(schema.BufferT(offset=2 + len(behind), size=data.size) if outside else schema.BufferT(data))
            behind += data.tobytes()
            tensor.buffer = len(buffers) - 1
    graph = schema.SubGraphT(
        tensors=[
            schema.TensorT(
                shape=list(t.shape),
                type=t.type,
                buffer=t.buffer or 0,
                name=f"t{i}",
                shapeSignature=[-1 if axis in t.open_ else n for axis, n in enumerate(t.shape)] if t.open_ else None,
            )
            for i, t in enumerate(tensors)
        ],
        operators=[],
        inputs=[0],
        outputs=[len(tensors) - 1],
    )
    model = schema.ModelT(version=3, operatorCodes=[], subgraphs=[graph], buffers=buffers)
    for index, (name, inputs, outputs, *options) in enumerate(ops):
        number = getattr(schema.BuiltinOperator, name, schema.BuiltinOperator.CUSTOM)
        custom = None if hasattr(schema.BuiltinOperator, name) else name
        model.operatorCodes.append(schema.OperatorCodeT(min(number, 127), custom, 1, number))
        kind, value = options if options else (0, None)
        graph.operators.append(schema.OperatorT(index, inputs, outputs, kind, value))
    packed = _pack(model)
    for buffer in buffers[1:] if outside else []:
        buffer.offset += len(packed) - 2
    return _pack(model) + (behind if outside else b"")


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def inspect(path: Path, data: bytes) -> FileSummary:
    path.write_bytes(data)
    return registry.converter("tflite").inspect(path)


IMAGE, W, BIAS = T((1, 8, 8, 3)), T((4, 3, 3, 3), constant=True), T((4,), constant=True)
CONV_MACS = 6 * 6 * 4 * 27
TRANSPOSED = (schema.BuiltinOptions.BatchMatMulOptions, schema.BatchMatMulOptionsT(adjX=True))
COUNTED = [
    ("convolution", [IMAGE, W, BIAS, T((1, 6, 6, 4))], [("CONV_2D", [0, 1, 2], [3])], CONV_MACS, 112, "fp32"),
    ("no bias", [IMAGE, W, T((1, 6, 6, 4))], [("CONV_2D", [0, 1, -1], [2])], CONV_MACS, 108, "fp32"),
    ("depthwise", [IMAGE, T((1, 3, 3, 6), constant=True), T((1, 6, 6, 6))], [("DEPTHWISE_CONV_2D", [0, 1], [2])],
     6 * 6 * 6 * 9, 54, "fp32"),
    ("dense", [T((2, 5)), T((7, 5), constant=True), T((2, 7))], [("FULLY_CONNECTED", [0, 1, -1], [2])],
     2 * 7 * 5, 35, "fp32"),
    ("transposed", [IMAGE, T((4,), I32, True), T((5, 2, 2, 3), constant=True), T((1, 16, 16, 5))],
     [("TRANSPOSE_CONV", [1, 2, 0], [3])], 8 * 8 * 3 * 5 * 4, 60, "fp32"),
    ("product", [T((2, 3, 4)), T((2, 4, 5), constant=True), T((2, 3, 5))], [("BATCH_MATMUL", [0, 1], [2])],
     2 * 3 * 5 * 4, 40, "fp32"),
    ("transposed product", [T((2, 4, 3)), T((2, 4, 5), constant=True), T((2, 3, 5))],
     [("BATCH_MATMUL", [0, 1], [2], *TRANSPOSED)], 2 * 3 * 5 * 4, 40, "fp32"),
    ("int8", [T((1, 8, 8, 3), I8), T((4, 3, 3, 3), I8, True), T((4,), I32, True), T((1, 6, 6, 4), I8)],
     [("CONV_2D", [0, 1, 2], [3])], CONV_MACS, 112, "int8"),
    ("dynamic range", [IMAGE, T((4, 3, 3, 3), I8, True), BIAS, T((1, 6, 6, 4))], [("CONV_2D", [0, 1, 2], [3])],
     CONV_MACS, 112, "dynamic"),
    ("half", [IMAGE, T((4, 3, 3, 3), F16, True), T((4, 3, 3, 3)), T((1, 6, 6, 4))],
     [("DEQUANTIZE", [1], [2]), ("CONV_2D", [0, 2, -1], [3])], CONV_MACS, 108, "fp16"),
    ("one buffer, two tensors", [IMAGE, W, T((4, 3, 3, 3), buffer=1), T((1, 6, 6, 4)), T((1, 6, 6, 4))],
     [("CONV_2D", [0, 1, -1], [3]), ("CONV_2D", [0, 2, -1], [4])], 2 * CONV_MACS, 108, "fp32"),
    ("open batch", [T((1, 8, 8, 3), open_=(0,)), W, T((1, 6, 6, 4), open_=(0,))], [("CONV_2D", [0, 1, -1], [2])],
     CONV_MACS, 108, "fp32"),
    ("open image", [T((1, 1, 1, 3), open_=(1, 2)), W, T((1, 1, 1, 4), open_=(1, 2))], [("CONV_2D", [0, 1, -1], [2])],
     None, 108, "fp32"),
    ("vendor's operator", [IMAGE, W, T((1, 6, 6, 4)), T((1,))], [("CONV_2D", [0, 1, -1], [2]), ("Secret", [2], [3])],
     None, 108, "fp32"),
    ("detections", [IMAGE, W, T((1, 6, 6, 4)), T((1,))],
     [("CONV_2D", [0, 1, -1], [2]), ("TFLite_Detection_PostProcess", [2], [3])], CONV_MACS, 108, "fp32"),
    ("no weights", [T((1, 4), I8), T((1, 4), I8)], [("RELU", [0], [1])], 0, 0, "int8"),
]  # fmt: skip


@pytest.mark.parametrize("outside", [False, True], ids=["inside", "outside"])
@pytest.mark.parametrize(
    ("tensors", "ops", "macs", "parameters", "precision"), [c[1:] for c in COUNTED], ids=[c[0] for c in COUNTED]
)
def test_forms(
    tensors: Any, ops: Any, macs: int | None, parameters: int, precision: str, outside: bool, tmp_path: Path
) -> None:
    summary = inspect(tmp_path / "m.tflite", build(tensors, ops, outside=outside))
    assert (summary.macs, summary.parameters, summary.precision) == (macs, parameters, precision)
    assert summary.ops == len(ops)
    assert set(summary.op_counts) == {op[0] for op in ops}
    first = tensors[0]
    shape = tuple(None if axis in first.open_ else n for axis, n in enumerate(first.shape))
    assert summary.inputs == (TensorSpec("t0", np.dtype(NUMPY[first.type]).name, shape),)


def conv(**changes: Any) -> bytes:
    weights = T((4, 3, 3, 3), constant=True)
    return build([T((1, 8, 8, 3)), weights, T((1, 6, 6, 4))], [("CONV_2D", changes.get("inputs", [0, 1, -1]), [2])])


def test_a_tensor_that_does_not_exist(tmp_path: Path) -> None:
    for inputs in ([0, 99, -1], [0, -2, -1], [0, -1, -1]):
        with pytest.raises(UsageError, match="CONV_2D uses a tensor that does not exist"):
            inspect(tmp_path / "m.tflite", conv(inputs=inputs))


def test_a_constant_that_is_larger_than_its_data(tmp_path: Path) -> None:
    shape = np.array([4, 3, 3, 3], np.int32).tobytes()
    assert conv().count(shape) == 1
    with pytest.raises(UsageError, match="only 432 bytes"):
        inspect(tmp_path / "m.tflite", conv().replace(shape, np.array([4, 3, 3, 9], np.int32).tobytes()))
    with pytest.raises(UsageError, match="impossible shape"):
        inspect(tmp_path / "m.tflite", conv().replace(shape, np.array([4, 3, 3, -3], np.int32).tobytes()))


def test_weights_behind_the_end(tmp_path: Path) -> None:
    whole = build([T((1, 8, 8, 3)), T((4, 3, 3, 3), constant=True), T((1, 6, 6, 4))],
                  [("CONV_2D", [0, 1, -1], [2])], outside=True)  # fmt: skip
    with pytest.raises(UsageError, match="truncated"):
        inspect(tmp_path / "m.tflite", whole[:-1])


def test_lists_that_are_named_over_and_over(tmp_path: Path) -> None:
    """A few kilobytes that stand for a million operators' inputs: each operator is the same table."""
    data = build([T((1,)), T((1,))], [("RELU", [0] * 4000, [1])])
    model = schema.ModelT.InitFromPackedBuf(data)
    operator = model.subgraphs[0].operators[0]
    builder = flatbuffers.Builder(1024)
    shared = operator.Pack(builder)
    operator.Pack = lambda _: shared
    model.subgraphs[0].operators = [operator] * 4000
    builder.Finish(model.Pack(builder), b"TFL3")
    assert len(builder.Output()) < 50_000
    with pytest.raises(UsageError, match="more entries than a network can"):
        inspect(tmp_path / "m.tflite", bytes(builder.Output()))
