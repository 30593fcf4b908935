"""Arithmetic in int8: the file is what was simulated, all that can be is integer, and limits decide what is not."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff import parity, registry
from edgeeff.convert import convert
from edgeeff.converters import quantizations, quantize, trace
from edgeeff.converters._execute import Executor
from edgeeff.converters._integer_plan import integer_nodes
from edgeeff.converters._ranges import METHODS, limits
from edgeeff.converters._slopes import Profile, Profiler
from edgeeff.errors import ConversionError, UsageError
from edgeeff.graph import Graph
from edgeeff.int8.calibration import Calibration
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.quantization import SIGMOID, Quantization
from edgeeff.networks import NOISE_LABEL, noise
from edgeeff.traced_network import Network

SCHEMA = importlib.import_module("ai_edge_litert.schema_py_generated")
TFLITE = registry.converter("tflite")
LITERT = registry.runtime("litert")
SIDE = 32


class Block(nn.Module):
    """What an EfficientNet is made of, with one value of wide range, as a trained one has them."""

    def __init__(self, outlier: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.SiLU())
        self.depthwise = nn.Sequential(nn.Conv2d(32, 32, 5, padding=2, groups=32), nn.SiLU())
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.SiLU(), nn.Conv2d(8, 32, 1))
        self.project = nn.Conv2d(32, 32, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 64))
        with torch.no_grad():  # one channel far above the others, taken back by what reads it
            self.stem[0].weight[0] *= outlier
            self.depthwise[0].weight[0] /= outlier
            self.project.weight[:, 0] /= outlier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(x)
        y = self.project(y * torch.sigmoid(self.excite(y)))
        return self.head(y + y * torch.sigmoid(y))


class Dead(nn.Module):
    """A branch whose ReLU lets nothing through, and one that gives next to nothing, as pruned networks have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.squeeze, self.excite, self.faint = (nn.Conv2d(3 if i == 0 else 8, 8, 1) for i in range(4))
        with torch.no_grad():
            self.squeeze.bias.fill_(-1000.0)
            self.faint.weight.mul_(1e-9)
            self.faint.bias.fill_(0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        return (x + self.faint(x) + self.excite(torch.relu(self.squeeze(x)))).mean((2, 3))


def made(outlier: float, module: type[nn.Module] | None = None) -> Network:
    torch.manual_seed(0)
    inputs = noise([(1, 3, SIDE, SIDE)])
    module = (module() if module else Block(outlier)).eval()
    traced = trace(module, [torch.from_numpy(inputs[0])], name="block")
    return Network("block", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", False, 1)


@pytest.fixture(scope="module")
def network() -> Network:
    return made(1)


@pytest.fixture(scope="module")
def images() -> Calibration:
    pixels = np.random.default_rng(0).standard_normal((16, 3, SIDE, SIDE)).astype(np.float32)
    return Calibration(pixels[:12], pixels[12:], "noise")


def operators(path: Path) -> list[tuple[str, set[int]]]:
    """Each operator's name and the types of its inputs and outputs."""
    names = {code: name for name, code in vars(SCHEMA.BuiltinOperator).items() if isinstance(code, int)}
    model = SCHEMA.ModelT.InitFromPackedBuf(path.read_bytes())
    graph = model.subgraphs[0]
    return [
        (
            names[model.operatorCodes[op.opcodeIndex].builtinCode],
            {graph.tensors[i].type for i in [op.inputs[0], *op.outputs]},
        )
        for op in graph.operators
    ]


def test_everything_between_the_ends_is_integer_and_as_simulated(network, images, tmp_path):
    quantised = quantize(network, "int8", images)
    (expected,) = Executor(quantised.graph).run([torch.from_numpy(images.held_out)])
    path = tmp_path / "block.tflite"
    TFLITE.write(quantised.graph, path, precision="int8", metadata={})
    outputs, defects = LITERT.check(path, [TFLITE.layout(images.held_out)])
    assert not defects
    assert parity.sqnr_db([expected.numpy()], outputs) > 40
    assert parity.sqnr_db(quantised.outputs, outputs) > 20
    (first, _), *middle, (last, _) = operators(path)
    assert (first, last) == ("QUANTIZE", "DEQUANTIZE")
    assert all(types == {SCHEMA.TensorType.INT8} for _, types in middle)
    assert TFLITE.inspect(path).precision == "int8"


def test_values_that_no_image_moves_keep_a_range_that_kernels_can_compute_with(images, tmp_path):
    (artifact,) = convert(
        made(1, Dead),
        [(TFLITE, LITERT, "int8")],
        tmp_path,
        quantize=lambda network, how: [quantize(network, how, images)],
    )
    assert artifact.parity.sqnr_db > 25
    _, *middle, _ = operators(artifact.path)
    assert all(types == {SCHEMA.TensorType.INT8} for _, types in middle)


def test_a_limit_keeps_what_does_the_damage_in_float(images, tmp_path):
    network = made(300)
    plain = quantize(network, "int8", images)
    assert plain.graph.quantization.integer == integer_nodes(network.graph)
    before = parity.sqnr_db(
        plain.outputs, [x.numpy() for x in Executor(plain.graph).run([torch.from_numpy(images.held_out)])]
    )
    limit = before + 6

    def mixed(network: Network, precision: str) -> list[Network]:
        found = quantize(network, precision, images, IntegerOptions(limit, explain=True))
        assert found.explanation["held_out"]["expected_db"]["low"] >= limit  # other images are to keep it as well
        return [found]

    target = (TFLITE, LITERT, "int8")
    (artifact,) = convert(network, [target], tmp_path, quantize=mixed, options=IntegerOptions(limit))
    assert artifact.parity.sqnr_db >= limit
    assert any("in float: range" in note for note in artifact.notes)
    kinds = [types for _, types in operators(artifact.path)]
    assert {SCHEMA.TensorType.INT8} in kinds
    assert {SCHEMA.TensorType.FLOAT32} in kinds


def test_a_limit_that_nothing_reaches_keeps_no_file(network, images, tmp_path):
    def mixed(network: Network, precision: str) -> Iterator[Network]:
        return quantizations(network, precision, images, IntegerOptions(200))

    with pytest.raises(ConversionError, match="the limit is 200 dB") as caught:
        list(convert(network, [(TFLITE, LITERT, "int8")], tmp_path, quantize=mixed, options=IntegerOptions(200)))
    assert caught.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []


def test_int8_without_images_says_what_it_needs(network):
    with pytest.raises(UsageError, match="needs --calibration DIR"):
        quantize(network, "int8", None)


def test_ranges_follow_their_method():
    points = np.linspace(0, 10, 2001)[:, None]
    counts = np.where(points[:, 0] < 5, 1000.0, 0.0)  # 0 .. 5, even
    counts[-1] = 1  # and one at 10
    flat = np.ones(len(points))
    slopes = np.where(points[:, 0] < 2, 1.0, 1e-12)  # the outputs hardly depend on what is above 2
    profile = Profile(0.0, 10.0, points, counts, flat * 0, slopes, False, 1.0)
    steep = replace(profile, sums=slopes)
    spans = {name: [255 * choose(steep).scale for choose in METHODS[name].values()] for name in METHODS}
    assert spans["min-max"] == [pytest.approx(10, rel=1e-3)]
    assert spans["percentile"][0] == pytest.approx(5, rel=0.01)
    assert 4.9 < spans["least-error"][0] < 6
    assert spans["least-noise"][0] < 4


def test_a_value_without_slopes_or_of_one_size_keeps_a_sound_range(network):
    images = np.zeros((2, 3, SIDE, SIDE), np.float32)
    profiler = Profiler(network.graph, limits(network.graph, images))
    profiler.add(torch.from_numpy(images))
    for profile in profiler.profiles().values():
        for choices in METHODS.values():
            for choose in choices.values():
                form = choose(profile)
                assert np.isfinite(form.scale)
                assert form.scale > 0


def test_values_that_are_no_numbers_are_named(network):
    with pytest.raises(ConversionError, match="not finite"):
        limits(network.graph, np.full((2, 3, SIDE, SIDE), np.nan, np.float32))


def test_estimated_noise_is_the_noise_that_a_value_makes_alone(network, images):
    full = quantize(network, "int8", images).graph.quantization
    pixels = np.concatenate([images.images, images.held_out])
    (expected,) = Executor(network.graph).run([torch.from_numpy(pixels)])
    profiler = Profiler(network.graph, limits(network.graph, pixels))
    profiler.add(torch.from_numpy(pixels))
    found = profiler.profiles()
    for node in network.graph.nodes:
        if full.values[node.name] == SIGMOID:
            continue
        given = _with_one_rounded(network.graph, full, node.name, torch.from_numpy(pixels))
        exact = 10 ** (-parity.sqnr_db([expected.numpy()], [given]) / 10)
        apart_db = 10 * np.log10(found[node.name].noise(full.values[node.name]) / exact)
        assert abs(apart_db) < 7, node.name


def _with_one_rounded(graph: Graph, quantization: Quantization, name: str, images: torch.Tensor) -> np.ndarray:
    from edgeeff.converters._execute import as_int8

    executor = Executor(graph)
    values = {next(iter(graph.inputs)): images}
    with torch.no_grad():
        for node in graph.nodes:
            value = executor.step(node, values)
            values[node.name] = as_int8(value, quantization.values[name]) if node.name == name else value
    return values[graph.outputs[0]].numpy()
