"""int8 in ONNX: integers where they are meant, for the machine and with the types that were asked for."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff import parity, registry
from edgeeff.artifacts import read_manifest
from edgeeff.convert import convert
from edgeeff.converters import quantize, trace
from edgeeff.converters._execute import Executor
from edgeeff.devices.host import HostDevice
from edgeeff.errors import ConversionError
from edgeeff.int8.calibration import Calibration
from edgeeff.int8.integers import IntegerForm
from edgeeff.int8.machines import MACHINES, find_machine, machine_of, this_machine
from edgeeff.int8.quantization import (
    ValueScale,
    from_io,
    image_scale,
    io_scale,
    pairs,
    takes_bytes,
    to_io,
    weight_scales,
    weight_to_int8,
)
from edgeeff.measuring.cases import Wanted, build_cases
from edgeeff.networks import NOISE_LABEL, noise
from edgeeff.traced_network import Network
from edgeeff.values import Normalisation

onnx = importlib.import_module("onnx")
integers = importlib.import_module("edgeeff.benchmarks._onnx_integers")
ONNX, ONNXRUNTIME = registry.converter("onnx"), registry.runtime("onnxruntime")
TFLITE, LITERT = registry.converter("tflite"), registry.runtime("litert")
SIDE = 32


class Block(nn.Module):
    """Every op that both formats have an integer kernel for, as EfficientNet and EfficientNet-Lite use them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6())
        self.expand = nn.Sequential(nn.Conv2d(16, 32, 1), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(32, 32, 5, padding=2, groups=32), nn.SiLU())
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.SiLU(), nn.Conv2d(8, 32, 1))
        self.project = nn.Conv2d(32, 16, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        y = self.project(y * torch.sigmoid(self.excite(y)))
        return self.head(nn.functional.pad(x + y, (1, 1, 1, 1)))


CONVOLUTIONS = 6


def network_of(module: nn.Module, shape: tuple[int, ...] = (1, 3, SIDE, SIDE)) -> Network:
    inputs = noise([shape])
    traced = trace(module.eval(), [torch.from_numpy(inputs[0])], name="block")
    return Network("block", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", 1)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return network_of(Block())


@pytest.fixture(scope="module")
def images() -> Calibration:
    pixels = np.random.default_rng(0).standard_normal((16, 3, SIDE, SIDE)).astype(np.float32)
    return Calibration(pixels[:12], pixels[12:], "noise")


@pytest.fixture(scope="module")
def quantised(network: Network, images: Calibration) -> Network:
    return quantize(network, "int8", images)


def written(network: Network, path: Path, **changes: object) -> Path:
    quantization = replace(network.graph.quantization, **changes)
    ONNX.write(replace(network.graph, quantization=quantization), path, precision="int8", metadata={})
    return path


def optimised(path: Path) -> list[str]:
    """The operators that onnxruntime makes of a file."""
    import onnxruntime

    target = path.with_suffix(".optimised")
    integers._session(path, onnxruntime, target)
    return [node.op_type for node in onnx.load(str(target)).graph.node]


@pytest.mark.parametrize("unsigned", [True, False])
def test_onnxruntime_computes_all_of_it_in_integers_and_as_simulated(quantised, images, unsigned, tmp_path):
    path = written(quantised, tmp_path / "block.onnx", unsigned=unsigned)
    (expected,) = Executor(quantised.graph).run([torch.from_numpy(images.held_out)])
    outputs, defects = ONNXRUNTIME.check(path, [images.held_out])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 30
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
def hard(images: Calibration) -> Network:
    torch.manual_seed(0)
    return quantize(network_of(HardBlock()), "int8", images)


@pytest.mark.parametrize("unsigned", [True, False])
def test_hard_activations_are_sums_and_products_of_integers(hard, images, unsigned, tmp_path):
    path = written(hard, tmp_path / "hard.onnx", unsigned=unsigned)
    (expected,) = Executor(hard.graph).run([torch.from_numpy(images.held_out)])
    outputs, defects = ONNXRUNTIME.check(path, [images.held_out])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 30
    found = optimised(path)
    # Of hard swish a sum and a product, of hard sigmoid a sum; and the product of excitation.
    assert (found.count("QLinearAdd"), found.count("QLinearMul")) == (2, 2)
    assert not {"HardSwish", "HardSigmoid", "Add", "Mul", "Conv", "Clip"} & set(found)
    assert (found.count("QuantizeLinear"), found.count("DequantizeLinear")) == (1, 1)


def test_hard_activations_stand_in_tflite_where_xnnpack_makes_tables_of_them(hard, images, tmp_path):
    """A table look-up for each: XNNPACK has no integer kernel, and the delegate would be split (`check` sees that)."""
    path = tmp_path / "hard.tflite"
    TFLITE.write(hard.graph, path, precision="int8", metadata={})
    (expected,) = Executor(hard.graph).run([torch.from_numpy(images.held_out)])
    outputs, defects = LITERT.check(path, [TFLITE.layout(images.held_out)])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 30
    operators = TFLITE.operators(path)
    for kind, before in (("HARD_SWISH", "DEQUANTIZE"), ("ADD", "DEQUANTIZE")):
        (found,) = [op for op in operators if op.type == kind]
        assert [op.type for op in operators if op.outputs[0] == found.inputs[0]] == [before]
    counts = TFLITE.inspect(path).op_counts
    assert (counts["DEQUANTIZE"], counts["QUANTIZE"]) == (3, 3)  # one pair for each, one for the ends


def test_weights_are_int8_per_channel_and_biases_int32(quantised, tmp_path):
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


def test_nodes_that_stay_in_float_do(network, images, quantised, tmp_path):
    left = frozenset(name for name in quantised.graph.quantization.integer if name.startswith("depthwise"))
    assert left
    path = written(quantised, tmp_path / "mixed.onnx", integer=quantised.graph.quantization.integer - left)
    graph = replace(
        quantised.graph,
        quantization=replace(quantised.graph.quantization, integer=quantised.graph.quantization.integer - left),
    )
    (expected,) = Executor(graph).run([torch.from_numpy(images.held_out)])
    outputs, defects = ONNXRUNTIME.check(path, [images.held_out])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 30
    assert optimised(path).count("QLinearConv") == CONVOLUTIONS - 1


def test_a_dense_layer_over_rows_is_integer(tmp_path):
    torch.manual_seed(0)
    network = network_of(nn.Sequential(nn.Linear(SIDE, 16), nn.Linear(16, 8)), (1, 4, SIDE))
    pixels = np.random.default_rng(0).standard_normal((12, 4, SIDE)).astype(np.float32)
    made = quantize(network, "int8", Calibration(pixels[:8], pixels[8:], "noise"))
    outputs, defects = ONNXRUNTIME.check(written(made, tmp_path / "rows.onnx"), [pixels[8:9]])
    assert not defects
    (expected,) = Executor(made.graph).run([torch.from_numpy(pixels[8:9])])
    assert parity.sqnr_db([expected.numpy()], outputs) > 30


def test_what_onnxruntime_leaves_in_float_is_a_defect(quantised, images, tmp_path):
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
        list(convert(network, [(ONNX, ONNXRUNTIME, "int8")], tmp_path, quantize=lambda n, p: quantised))
    assert list(tmp_path.iterdir()) == []


def test_without_vnni_no_pair_of_products_passes_16_bits():
    rng = np.random.default_rng(0)
    for shape in ((8, 16, 1, 1), (8, 3, 3, 3), (8, 33)):
        weight = rng.standard_normal(shape).astype(np.float32)
        weight[0] = 1  # equal weights: every pair is at the limit
        stored = weight_to_int8(weight, weight_scales(weight, pairs_saturate=True))
        sums = 255 * pairs(stored).astype(np.int64)
        for side in (np.maximum(sums, 0), np.minimum(sums, 0)):
            assert np.abs(side.sum(axis=2)).max() <= 32767
        free = weight_to_int8(weight, weight_scales(weight))
        assert np.abs(free).max() == 127
        # More than the 7 bits of a range that is reduced for all alike.
        assert np.abs(stored[1:]).max() > 64


def test_pairs_lie_side_by_side_in_the_order_of_row_column_and_input_channel():
    weight = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    assert pairs(weight)[0].tolist() == [[0, 4], [8, 1], [5, 9], [2, 6], [10, 3], [7, 11]]
    assert pairs(np.arange(3).reshape(1, 3))[0].tolist() == [[0, 1], [2, 0]]


def test_depthwise_weights_keep_their_full_range_everywhere(network, images):
    machine = MACHINES["x86-avx2"]
    made = quantize(replace(network, machine=machine), "int8", images).graph.quantization
    free = quantize(network, "int8", images).graph.quantization
    assert (made.weights["depthwise.0"] == free.weights["depthwise.0"]).all()
    assert (made.weights["project"] > free.weights["project"]).any()


def test_machines_are_told_by_architecture_and_flags():
    assert machine_of("aarch64", set()).name == machine_of("arm64", set()).name == "arm"
    assert machine_of("x86_64", {"avx2"}).name == machine_of("AMD64", set()).name == "x86-avx2"
    assert (
        machine_of("x86_64", {"avx512f", "avx512_vnni"}).name == machine_of("x86_64", {"avx_vnni"}).name == "x86-vnni"
    )
    assert find_machine("host") == this_machine()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))
def test_a_file_says_for_which_machine_it_is(network, images, machine, tmp_path):
    targets = [(ONNX, ONNXRUNTIME, "int8"), (TFLITE, LITERT, "int8")]
    calls = []

    def counted(network: Network, precision: str) -> Network:
        calls.append(precision)
        return quantize(network, precision, images)

    made, portable = convert(network, targets, tmp_path, quantize=counted, form=IntegerForm(machine))
    assert made.machine == machine.name
    assert machine.name in made.path.name
    assert read_manifest(made.path) == made
    metadata = {entry.key: entry.value for entry in onnx.load(str(made.path)).metadata_props}
    assert metadata["machine"] == machine.name
    assert any("checked on" in note for note in made.notes) == (machine != this_machine())
    assert portable.machine is None
    cases = build_cases([made.path, portable.path], HostDevice(), Wanted("0a"))
    contexts = [case.measurement.context for case in cases]
    assert (contexts[0]["made_for"], contexts[0]["kernels"]) == (machine.name, this_machine().name)
    assert "made_for" not in contexts[1]
    # Both formats come of one quantisation, unless one of them must leave room for sums of pairs.
    assert len(calls) == (2 if machine.pairs_saturate else 1)


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize("machine", ["arm", "x86-vnni"])
def test_integers_in_and_out(network, quantised, images, io, machine, tmp_path):
    targets = [(ONNX, ONNXRUNTIME, "int8"), (TFLITE, LITERT, "int8")]
    form = IntegerForm(MACHINES[machine], io)
    in_float = replace(form, io="float")
    plain = convert(network, targets, tmp_path / "float", quantize=lambda n, p: quantised, form=in_float)
    expected = {artifact.format: artifact.parity.sqnr_db for artifact in plain}
    for made in convert(network, targets, tmp_path, quantize=lambda n, p: quantised, form=form):
        assert {spec.dtype for spec in (*made.inputs, *made.outputs)} == {io}
        assert f"{io}-io" in made.path.name
        session = registry.runtime(registry.converter(made.format).runtime).open(made.path)
        for spec, port in zip((*made.inputs, *made.outputs), (*session.inputs, *session.outputs), strict=True):
            assert (port.scale, port.zero_point) == (pytest.approx(spec.scale), spec.zero_point)
        assert made.parity.sqnr_db == pytest.approx(expected[made.format], abs=0.5)
        taken, *_ = session.inputs
        assert taken.dtype == io


def test_numbers_become_integers_of_the_type_that_is_taken():
    scale = ValueScale(0.5, 10)
    real = np.array([-100.0, 0.0, 1.0, 100.0], np.float32)
    assert to_io(real, scale, "int8").tolist() == [-128, 10, 12, 127]
    assert to_io(real, scale, "uint8").tolist() == [0, 138, 140, 255]
    assert io_scale(scale, "uint8").zero_point == 138
    assert from_io(np.array([140], np.uint8), scale, "uint8").tolist() == [1.0]
    assert to_io(real, scale, "float") is real


def test_dynamic_files_multiply_integers_but_for_depthwise_convolutions(images, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 48, 3, 2, 1), nn.SiLU(), nn.Conv2d(48, 64, 1), nn.Conv2d(64, 64, 7, groups=64), nn.ReLU()]
    network = network_of(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 48)))
    targets = [(ONNX, ONNXRUNTIME, "dynamic"), (TFLITE, LITERT, "dynamic")]
    in_onnx, in_tflite = convert(network, targets, tmp_path, quantize=lambda n, p: quantize(n, p, images))
    assert min(made.parity.sqnr_db for made in (in_onnx, in_tflite)) > 25
    assert "no fast kernels" in in_onnx.notes[0]
    assert "VNNI" in in_tflite.notes[0]
    found = ONNX.inspect(in_onnx.path).op_counts
    # The stem's weights are so few that they stay in float.
    assert (found["ConvInteger"], found["MatMulInteger"], found["Conv"]) == (1, 1, 2)
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(in_tflite.path))
    types = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    weighted = [op for op in interpreter._get_ops_details() if op["op_name"].endswith(("CONV_2D", "CONNECTED"))]
    kinds = [(op["op_name"], types[op["inputs"][0]], types[op["inputs"][1]]) for op in weighted]
    assert kinds == [
        ("CONV_2D", np.float32, np.float32),
        ("CONV_2D", np.float32, np.int8),
        ("DEPTHWISE_CONV_2D", np.float32, np.float32),
        ("FULLY_CONNECTED", np.float32, np.int8),
    ]


def test_an_input_of_uint8_takes_the_bytes_of_an_image_whose_channels_are_alike():
    lite = Normalisation((127 / 255,) * 3, (128 / 255,) * 3)
    form = image_scale(lite)
    pixels = np.arange(256)
    normalised = (pixels / 255 - lite.mean[0]) / lite.std[0]
    assert (to_io(normalised, form, "uint8") == pixels).all()
    assert takes_bytes(form, lite)
    imagenet = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert not takes_bytes(image_scale(imagenet), imagenet)
    for channel in range(3):
        ends = np.array([0 - imagenet.mean[channel], 1 - imagenet.mean[channel]]) / imagenet.std[channel]
        held = from_io(to_io(ends, image_scale(imagenet), "uint8"), image_scale(imagenet), "uint8")
        assert np.abs(held - ends).max() <= image_scale(imagenet).scale


def test_the_file_says_that_it_takes_bytes(network, images, tmp_path):
    lite = replace(network, normalisation=Normalisation((127 / 255,) * 3, (128 / 255,) * 3))
    form = IntegerForm(this_machine(), "uint8")
    target = (ONNX, ONNXRUNTIME, "int8")
    (made,) = convert(lite, [target], tmp_path, quantize=lambda n, p: quantize(n, p, images), form=form)
    metadata = {entry.key: entry.value for entry in onnx.load(str(made.path)).metadata_props}
    assert metadata["input"] == "RGB image in [0, 255], its bytes as they are"
    assert (made.inputs[0].scale, made.inputs[0].zero_point) == (1 / 128, 127)


@pytest.mark.parametrize(("made_for", "runs"), [("arm", False), ("x86-vnni", False), ("x86-avx2", True)])
def test_integer_kernels_that_cut_sums_off_judge_only_files_made_for_them(
    made_for, runs, quantised, images, monkeypatch, tmp_path
):
    open_session, ran = integers._session, []

    class Watched:
        def __init__(self, session: object) -> None:
            self.get_inputs, self.get_modelmeta, self.session = session.get_inputs, session.get_modelmeta, session

        def run(self, *arguments: object) -> object:
            ran.append(arguments)
            return self.session.run(*arguments)

    def watched(path: Path, runtime: object, optimised: Path | None) -> object:
        session = open_session(path, runtime, optimised)
        return session if optimised is None else Watched(session)

    monkeypatch.setattr(integers, "_session", watched)
    monkeypatch.setattr(integers, "this_machine", lambda: MACHINES["x86-avx2"])
    path = tmp_path / "block.onnx"
    ONNX.write(quantised.graph, path, precision="int8", metadata={"machine": made_for})
    outputs, defects = ONNXRUNTIME.check(path, [images.held_out])
    (expected,) = Executor(quantised.graph).run([torch.from_numpy(images.held_out)])
    assert not defects
    assert bool(ran) == runs
    assert parity.sqnr_db([expected.numpy()], outputs) > 30


def test_kernels_that_compute_something_else_are_a_defect(quantised, images, monkeypatch, tmp_path):
    monkeypatch.setattr(integers, "_AGREEMENT_DB", parity.EQUAL_DB + 1)
    _, (defect,) = ONNXRUNTIME.check(written(quantised, tmp_path / "block.onnx", unsigned=True), [images.held_out])
    assert "onnxruntime's integer kernels and the same arithmetic in float differ" in defect


def test_stored_integers_are_read_as_such_in_both_formats(images, tmp_path):
    torch.manual_seed(0)
    network = network_of(nn.Sequential(nn.Conv2d(3, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 40)))
    made = quantize(network, "int8-weights", images).graph
    for converter in (ONNX, TFLITE):
        path = tmp_path / f"weights.{converter.name}"
        converter.write(made, path, precision="int8-weights", metadata={})
        summary = converter.inspect(path)
        assert summary.precision == "dynamic"
        assert summary.parameters == network.graph.stored_elements
