"""A file that stays loaded: what it says of its inputs and outputs, and that it gives what a single run gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.values import Port


@pytest.mark.parametrize("fixture", ["small_onnx", "small_tflite"])
def test_a_session_gives_what_single_runs_give(fixture: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(fixture)
    runtime = registry.runtime({".onnx": "onnxruntime", ".tflite": "litert"}[path.suffix])
    layout = registry.converter(path.suffix[1:]).layout
    session = runtime.open(path, threads=1)
    images = [layout(image) for image in np.random.default_rng(0).standard_normal((3, 1, 3, 32, 32), np.float32)]
    for image in images:
        (kept,), (single,) = session([image]), runtime.infer(path, [image])
        np.testing.assert_allclose(kept, single, atol=1e-6)
    assert not np.allclose(session([images[0]])[0], session([images[1]])[0])
    (port,), (output,) = session.inputs, session.outputs
    assert (port.dtype, output.dtype, output.shape[-1]) == ("float32", "float32", 10)
    assert sorted(n for n in port.shape[1:] if n) == [3, 32, 32]


def test_a_tflite_session_takes_another_batch(small_tflite: Path) -> None:
    session = registry.runtime("litert").open(small_tflite)
    images = np.random.default_rng(0).standard_normal((4, 32, 32, 3), np.float32)
    (one,) = session([images[:1]])
    (four,) = session([images])
    np.testing.assert_allclose(four[:1], one, atol=1e-6)


def test_onnx_integers_have_the_scales_of_the_ops_at_the_border(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["image", "in_scale", "in_zero"], ["real"]),
        helper.make_node("QuantizeLinear", ["real", "out_scale"], ["logits"]),
    ]
    constants = [
        helper.make_tensor("in_scale", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("in_zero", TensorProto.INT8, [], [-3]),
        helper.make_tensor("out_scale", TensorProto.FLOAT, [], [0.25]),
    ]
    graph = helper.make_graph(
        nodes,
        "border",
        [helper.make_tensor_value_info("image", TensorProto.INT8, ["batch", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.UINT8, ["batch", 4])],
        constants,
    )
    path = tmp_path / "border.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    session = registry.runtime("onnxruntime").open(path)
    assert session.inputs == (Port("image", "int8", (None, 4), 0.5, -3),)
    assert session.outputs == (Port("logits", "uint8", (None, 4), 0.25, 0),)
    (found,) = session([np.array([[-3, -1, 1, 3]], np.int8)])
    assert found.tolist() == [[0, 4, 8, 12]]


@pytest.mark.parametrize("fixture", ["small_onnx", "small_tflite"])
def test_what_cannot_run_is_a_sentence(fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    good: Path = request.getfixturevalue(fixture)
    runtime = registry.runtime({".onnx": "onnxruntime", ".tflite": "litert"}[good.suffix])
    bad = tmp_path / good.name
    bad.write_bytes(good.read_bytes()[:100])
    with pytest.raises(UsageError, match="cannot run it"):
        runtime.open(bad)
    with pytest.raises(UsageError, match="cannot run it"):
        runtime.open(good)([np.zeros((1, 7), np.float32)])
