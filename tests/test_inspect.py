"""What is read from files that edgeeff wrote, that others wrote, and that are no models at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.graph import Graph, Node
from edgeeff.ops import Conv2d, Dense, Mean, Unary
from edgeeff.values import FileSummary, TensorSpec

RANDOM = np.random.default_rng(0)
FLOAT = TensorProto.FLOAT


def values(*shape: int, dtype: Any = np.float32) -> Any:
    return RANDOM.integers(-9, 9, shape).astype(dtype)


# --- files of our own ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph(
        "small",
        {"image": (1, 3, 9, 9)},
        (
            Node("conv", Conv2d(values(4, 3, 3, 3), values(4), stride=(2, 2), padding=(1, 1, 1, 1)), ("image",)),
            Node("depthwise", Conv2d(values(4, 1, 3, 3), values(4), groups=4, activation="relu6"), ("conv",)),
            Node("silu", Unary("silu"), ("depthwise",)),
            Node("mean", Mean((2, 3), keepdims=False), ("silu",)),
            Node("classes", Dense(values(7, 4), values(7)), ("mean",)),
        ),
        ("classes",),
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_a_written_file_counts_as_its_graph(graph: Graph, format_name: str, precision: str, tmp_path: Path) -> None:
    converter = registry.converter(format_name)
    path = tmp_path / f"small.{format_name}"
    converter.write(graph, path, precision=precision, metadata={})
    summary = converter.inspect(path)
    assert summary.macs == graph.macs == 5 * 5 * 4 * 27 + 3 * 3 * 4 * 9 + 7 * 4
    assert summary.parameters == graph.stored_elements == 4 * 27 + 4 + 4 * 9 + 4 + 7 * 4 + 7
    assert summary.precision == precision
    assert summary.ops == sum(summary.op_counts.values())
    assert summary.outputs[0].shape[-1] == 7
    batch, image = (None, (3, 9, 9)) if format_name == "onnx" else (1, (9, 9, 3))
    assert summary.inputs == (TensorSpec("image", "float32", (batch, *image)),)


# --- ONNX files of others -----------------------------------------------------------------------------------


def onnx_file(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    x: tuple[Any, ...] = ("N", 3, 8, 8),
    **options: Any,
) -> FileSummary:
    """Writes a model from x to the last node's output, of which it states nothing, and inspects it."""
    inputs = [helper.make_tensor_value_info("x", FLOAT, x)]
    outputs = [onnx.ValueInfoProto(name=nodes[-1].output[0])]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, tensors), **options), path)
    return registry.converter("onnx").inspect(path)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(","), outputs.split(","), **attributes)


SCALE, ZERO_U8, ZERO_I8 = np.float32(0.1), np.uint8(3), np.int8(0)
QUANTIZED = {"s": SCALE, "zx": ZERO_U8, "zw": ZERO_I8, "w": values(4, 3, 3, 3, dtype=np.int8)}
COUNTED = [
    ("groups", [node("Conv", "x,w,b", "y", group=3, strides=[2, 2])], {"w": values(6, 1, 3, 3), "b": values(6)},
     3 * 3 * 6 * 9, 6 * 9 + 6, "fp32"),
    ("transposed", [node("ConvTranspose", "x,w", "y", strides=[2, 2])], {"w": values(3, 5, 2, 2)},
     8 * 8 * 3 * 5 * 4, 60, "fp32"),
    ("computed shape", [node("Shape", "x", "s", end=1), node("Concat", "s,n", "t", axis=0),
                        node("Reshape", "x,t", "r"), node("Gemm", "r,w", "y", transB=1)],
     {"n": np.array([-1]), "w": values(5, 192)}, 192 * 5, 192 * 5, "fp32"),
    ("product", [node("MatMul", "x,w", "y")], {"w": values(8, 2)}, 3 * 8 * 8 * 2, 16, "fp32"),
    ("half behind Cast", [node("Cast", "h", "w", to=FLOAT), node("Conv", "x,w", "y")],
     {"h": values(4, 3, 1, 1, dtype=np.float16)}, 8 * 8 * 12, 12, "fp16"),
    ("QDQ", [node("QuantizeLinear", "x,s,zx", "q"), node("DequantizeLinear", "q,s,zx", "d"),
             node("DequantizeLinear", "w,s,zw", "v"), node("DequantizeLinear", "b,s", "c"),
             node("Conv", "d,v,c", "y")],
     {**QUANTIZED, "b": values(4, dtype=np.int32)}, 6 * 6 * 4 * 27, 4 * 27 + 4, "int8"),
    ("QLinearConv", [node("QuantizeLinear", "x,s,zx", "q"), node("QLinearConv", "q,s,zx,w,s,zw,s,zx,b", "r"),
                     node("QLinearAdd", "r,s,zx,r,s,zx,s,zx", "a", domain="com.microsoft"),
                     node("QLinearConv", "a,s,zx,v,s,zw,s,zx", "y")],
     {**QUANTIZED, "b": values(4, dtype=np.int32), "v": values(2, 4, 1, 1, dtype=np.int8)},
     6 * 6 * (4 * 27 + 8), 4 * 27 + 4 + 8, "int8"),
    ("dynamic", [node("DynamicQuantizeLinear", "x", "q,t,u"), node("ConvInteger", "q,w,u,zw", "y")],
     QUANTIZED, 6 * 6 * 4 * 27, 4 * 27, "dynamic"),
    ("fused", [node("FusedConv", "x,w", "y", domain="com.microsoft", activation="Relu")],
     {"w": values(4, 3, 1, 1)}, 8 * 8 * 12, 12, "fp32"),
    ("two precisions", [node("DequantizeLinear", "w,s,zw", "v"), node("Conv", "x,v", "d"), node("Conv", "d,f", "y")],
     {**QUANTIZED, "f": values(64, 4, 1, 1)}, 6 * 6 * (4 * 27 + 256), 4 * 27 + 256, "mixed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "constants", "macs", "parameters", "precision"), [c[1:] for c in COUNTED], ids=[c[0] for c in COUNTED]
)
def test_onnx_forms(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], macs: int, parameters: int, precision: str, tmp_path: Path
) -> None:
    summary = onnx_file(tmp_path / "m.onnx", nodes, constants)
    assert (summary.macs, summary.parameters, summary.precision) == (macs, parameters, precision)
    assert summary.ops == len(nodes)
    assert summary.inputs == (TensorSpec("x", "float32", (None, 3, 8, 8)),)


def test_onnx_names_an_operator_with_its_domain(tmp_path: Path) -> None:
    nodes = [node("FusedConv", "x,w", "c", domain="com.microsoft"), node("Relu", "c", "y")]
    summary = onnx_file(tmp_path / "m.onnx", nodes, {"w": values(4, 3, 1, 1)})
    assert summary.op_counts == {"com.microsoft.FusedConv": 1, "Relu": 1}


CONV = node("Conv", "x,w", "y")
BRANCH = helper.make_graph([node("Relu", "y", "z")], "b", [], [helper.make_tensor_value_info("z", FLOAT, None)])


@pytest.mark.parametrize(
    ("nodes", "x"),
    [
        pytest.param([CONV], ("N", 3, "H", "W"), id="open image"),
        pytest.param([CONV, helper.make_node("If", ["c"], ["q"], then_branch=BRANCH, else_branch=BRANCH)],
                     (1, 3, 8, 8), id="control flow"),
        pytest.param([CONV, node("Secret", "y", "z", domain="vendor")], (1, 3, 8, 8), id="vendor's operator"),
        # onnx's inference allocates an entry for each part; it must not do so in our memory.
        pytest.param([node("Split", "x", "s", num_outputs=2**40, axis=1), node("Conv", "s,w", "y")],
                     (1, 3, 8, 8), id="inference that fails"),
    ],
)  # fmt: skip
def test_onnx_says_when_multiply_adds_cannot_be_told(nodes: Any, x: tuple[Any, ...], tmp_path: Path) -> None:
    summary = onnx_file(tmp_path / "m.onnx", nodes, {"w": values(4, 3, 1, 1), "c": np.array(True)}, x)
    assert (summary.macs, summary.parameters) == (None, 12)


def test_onnx_functions_that_call_each_other_do_no_harm(tmp_path: Path) -> None:
    """Thirty functions that each call the next one twice: inlined, they are 2^30 nodes."""
    functions = [
        helper.make_function(
            "d", f"F{i}", ["x"], ["y"],
            [node(f"F{i + 1}", "x", "t", domain="d"), node(f"F{i + 1}", "t", "y", domain="d")],
            [helper.make_opsetid("d", 1)],
        )
        for i in range(30)
    ]  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("d", 1)]
    call = [node("F0", "x", "y", domain="d")]
    assert onnx_file(tmp_path / "m.onnx", call, {}, functions=functions, opset_imports=opsets).macs is None


def test_onnx_constants_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    """As files before version 4 of the format have them."""
    onnx_file(tmp_path / "m.onnx", [CONV], {"w": values(4, 3, 1, 1)}, ir_version=3)
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.input.append(helper.make_tensor_value_info("w", FLOAT, (4, 3, 1, 1)))
    onnx.save(model, tmp_path / "m.onnx")
    summary = registry.converter("onnx").inspect(tmp_path / "m.onnx")
    assert [spec.name for spec in summary.inputs] == ["x"]
    assert (summary.macs, summary.parameters) == (8 * 8 * 12, 12)


def test_onnx_weights_in_another_file_are_not_looked_for(tmp_path: Path) -> None:
    onnx_file(tmp_path / "m.onnx", [CONV], {"w": values(4, 3, 1, 1)})
    model = onnx.load(tmp_path / "m.onnx")
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../../etc/passwd")
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    summary = registry.converter("onnx").inspect(tmp_path / "m.onnx")
    assert (summary.macs, summary.parameters, summary.precision) == (8 * 8 * 12, 12, "fp32")


# --- files that are no models -------------------------------------------------------------------------------


FOREIGN = [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer", "git lfs pull"),
    (b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), "a PyTorch checkpoint", "--weights"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch checkpoint", "--weights"),
    (b"PK\x03\x04" + bytes(26) + b"model.txt" + bytes(99), "a zip archive", "unpack"),
    (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML page", "again"),
    (b"\x40\0\0\0\0\0\0\0" + b'{"w":{"dtype":"F32","shape":[1]}}', "a safetensors file", "--weights"),
    (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file", "again"),
    (bytes(4096), "nothing but zeros", "again"),
    (b"hello, world\n", "a text file", "again"),
]


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
@pytest.mark.parametrize(("content", "kind", "cure"), FOREIGN, ids=[kind for _, kind, _ in FOREIGN])
def test_a_foreign_file_is_called_what_it_is(
    content: bytes, kind: str, cure: str, format_name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"model.{format_name}"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        registry.converter(format_name).inspect(path)
    assert str(path) in caught.value.message
    assert kind in caught.value.message
    assert cure in caught.value.hint


def test_a_file_of_the_other_format_is_called_that(graph: Graph, tmp_path: Path) -> None:
    for written, read in (("onnx", "tflite"), ("tflite", "onnx")):
        path = tmp_path / f"model.{read}"
        registry.converter(written).write(graph, path, precision="fp32", metadata={})
        with pytest.raises(UsageError) as caught:
            registry.converter(read).inspect(path)
        assert f"suffix .{written}" in caught.value.hint


@pytest.mark.parametrize("format_name", ["onnx", "tflite"])
def test_what_is_not_a_file(format_name: str, tmp_path: Path) -> None:
    inspect = registry.converter(format_name).inspect
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    expected = {"missing": "no such file", ".": "is not a file", "pipe": "is not a file", "empty": "is empty"}
    for name, words in expected.items():
        with pytest.raises(UsageError, match=words):
            inspect(tmp_path / name)


def test_a_model_without_operators_is_none(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString())
    with pytest.raises(UsageError, match="holds no graph"):
        registry.converter("onnx").inspect(path)


def test_more_multiply_adds_than_a_results_file_can_hold_are_refused(tmp_path: Path) -> None:
    image = [helper.make_tensor_value_info(name, FLOAT, [1, 1, 2**30, 2**30]) for name in ("x", "y")]
    weights = numpy_helper.from_array(values(1, 1, 3, 3), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "g", image[:1], image[1:], [weights])), path)
    with pytest.raises(UsageError, match=r"asks for 1\.0e\+19 multiply-adds"):
        registry.converter("onnx").inspect(path)
