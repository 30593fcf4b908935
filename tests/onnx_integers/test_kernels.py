"""What onnxruntime makes of a file in int8: integer kernels, and what the simulation says of them."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff import parity, registry
from edgeeff.convert import convert
from edgeeff.converters import quantize
from edgeeff.converters._execute import Executor
from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.int8.calibration import Calibration
from edgeeff.protocols import Converter
from edgeeff.traced_network import Network

onnx = importlib.import_module("onnx")
integers = importlib.import_module("edgeeff.benchmarks._onnx_integers")
ONNX, ONNXRUNTIME = registry.converter("onnx"), registry.runtime("onnxruntime")
TFLITE = registry.converter("tflite")
SIDE = 32

CONVOLUTIONS = 6
"""Of the block."""


def optimised(path: Path) -> list[str]:
    """The operators that onnxruntime makes of a file."""
    import onnxruntime

    target = path.with_suffix(".optimised")
    integers._session(path, onnxruntime, target)
    return [node.op_type for node in onnx.load(str(target)).graph.node]


def assert_as_simulated(path: Path, graph: Graph, images: np.ndarray, converter: Converter = ONNX) -> None:
    """A file's outputs are those of its graph, but for a rounding here and there."""
    (expected,) = Executor(graph).run([torch.from_numpy(images)])
    outputs, defects = registry.runtime(converter.runtime).check(path, [converter.layout(images)])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 40


@pytest.mark.parametrize("unsigned", [True, False])
def test_onnxruntime_computes_all_of_it_in_integers_and_as_simulated(quantised, images, unsigned, written, tmp_path):
    path = written(quantised, tmp_path / "block.onnx", unsigned=unsigned)
    assert_as_simulated(path, quantised.graph, images.held_out)
    found = optimised(path)
    assert found.count("QLinearConv") == CONVOLUTIONS
    assert found.count("QGemm") == 1
    assert not {"Conv", "Gemm", "Add", "Mul", "Sigmoid", "GlobalAveragePool", "Clip"} & set(found)
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 1)
    assert ONNX.inspect(path).precision == "int8"


class HardBlock(nn.Module):
    """Hard activations as MobileNetV3 has them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.Hardswish())
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Hardsigmoid())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 24))
        self.stem[0].weight.data *= 6  # so that both ends are clipped, and all between is met

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(x * self.excite(x))


@pytest.fixture(scope="module")
def hard(images: Calibration, network_of) -> Network:
    torch.manual_seed(0)
    return quantize(network_of(HardBlock()), "int8", images)


@pytest.mark.parametrize("unsigned", [True, False])
def test_hard_activations_are_sums_and_products_of_integers(hard, images, unsigned, written, tmp_path):
    path = written(hard, tmp_path / "hard.onnx", unsigned=unsigned)
    assert_as_simulated(path, hard.graph, images.held_out)
    found = optimised(path)
    # Of hard swish a sum and a product, of hard sigmoid a sum; and the product of excitation.
    assert (found.count("QLinearAdd"), found.count("QLinearMul")) == (2, 2)
    assert not {"HardSwish", "HardSigmoid", "Add", "Mul", "Conv", "Clip"} & set(found)
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 1)


def test_hard_activations_stand_in_tflite_where_xnnpack_makes_tables_of_them(hard, images, tmp_path):
    """A table look-up for each: XNNPACK has no integer kernel, and the delegate would be split (`check` sees that)."""
    path = tmp_path / "hard.tflite"
    TFLITE.write(hard.graph, path, precision="int8", metadata={})
    assert_as_simulated(path, hard.graph, images.held_out, TFLITE)
    operators = TFLITE.operators(path)
    for kind, before in (("HARD_SWISH", "DEQUANTIZE"), ("ADD", "DEQUANTIZE")):
        (found,) = [op for op in operators if op.type == kind]
        assert [op.type for op in operators if op.outputs[0] == found.inputs[0]] == [before]
    counts = TFLITE.inspect(path).op_counts
    assert (counts["DEQUANTIZE"], counts["QUANTIZE"]) == (3, 3)  # one pair for each, one for the ends


def test_weights_are_int8_per_channel_and_biases_int32(quantised, written, tmp_path):
    graph = onnx.load(str(written(quantised, tmp_path / "block.onnx"))).graph
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == CONVOLUTIONS
    for node in convolutions:
        weight, bias = (makers[name] for name in node.input[1:])
        assert stored[weight.input[0]].dtype == np.int8
        assert stored[weight.input[0]].min() >= -127
        assert stored[weight.input[1]].shape == stored[weight.input[0]].shape[:1]
        assert stored[bias.input[0]].dtype == np.int32


def test_nodes_that_stay_in_float_do(network, images, quantised, written, tmp_path):
    left = frozenset(name for name in quantised.graph.quantization.integer if name.startswith("depthwise"))
    assert left
    integer = quantised.graph.quantization.integer - left
    path = written(quantised, tmp_path / "mixed.onnx", integer=integer)
    graph = replace(quantised.graph, quantization=replace(quantised.graph.quantization, integer=integer))
    assert_as_simulated(path, graph, images.held_out)
    assert optimised(path).count("QLinearConv") == CONVOLUTIONS - 1


def test_a_dense_layer_over_rows_is_integer(network_of, written, tmp_path):
    torch.manual_seed(0)
    network = network_of(nn.Sequential(nn.Linear(SIDE, 16), nn.Linear(16, 8)), (1, 4, SIDE))
    pixels = np.random.default_rng(0).standard_normal((12, 4, SIDE)).astype(np.float32)
    made = quantize(network, "int8", Calibration(pixels[:8], pixels[8:], "noise"))
    assert_as_simulated(written(made, tmp_path / "rows.onnx"), made.graph, pixels[8:9])


def test_what_onnxruntime_leaves_in_float_is_a_defect(quantised, images, written, tmp_path):
    path = written(quantised, tmp_path / "block.onnx", unsigned=True)
    model = onnx.load(str(path))
    stem = next(node for node in model.graph.node if node.op_type == "Conv")
    weight = next(node for node in model.graph.node if node.output[0] == stem.input[1])
    zeros = next(tensor for tensor in model.graph.initializer if tensor.name == weight.input[2])
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == weight.input[1])
    # A weight with a scale along its input channels says something, and no integer kernel can compute it.
    for tensor in (zeros, scale):
        values = onnx.numpy_helper.to_array(tensor)[:3].copy()
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, tensor.name + ".three"))
    weight.input[1], weight.input[2] = scale.name + ".three", zeros.name + ".three"
    weight.attribute[0].i = 1
    onnx.save(model, str(path))
    _, defects = ONNXRUNTIME.check(path, [images.held_out])
    assert defects == ["onnxruntime computes 1 of 6 Conv in float that are meant to be integer"]


def test_a_defect_keeps_no_file(network, quantised, tmp_path, monkeypatch):
    monkeypatch.setitem(integers.INTEGER_OPERATORS, "Conv", "NoSuchOperator")
    with pytest.raises(ConversionError, match="6 of 6 Conv in float"):
        list(convert(network, [(ONNX, ONNXRUNTIME, "int8")], tmp_path, quantize=lambda n, p: [quantised]))
    assert list(tmp_path.iterdir()) == []


def test_kernels_that_compute_something_else_are_a_defect(quantised, images, monkeypatch, written, tmp_path):
    monkeypatch.setattr(integers, "_AGREEMENT_DB", parity.EQUAL_DB + 1)
    _, (defect,) = ONNXRUNTIME.check(written(quantised, tmp_path / "block.onnx", unsigned=True), [images.held_out])
    assert "onnxruntime's integer kernels and the same arithmetic in float differ" in defect
