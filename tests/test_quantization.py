"""int8: the integers are what the simulation says they are, and files with them compute what the network does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from edgeeff import parity, registry
from edgeeff.convert import convert
from edgeeff.converters import quantize, trace
from edgeeff.converters._execute import Executor
from edgeeff.errors import ConversionError
from edgeeff.int8.calibration import Calibration
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.quantization import stored_weight, to_int8, value_scale, weight_scales, weight_to_int8
from edgeeff.networks import NOISE_LABEL, noise
from edgeeff.traced_network import Network

FORMATS = ("onnx", "tflite")
SIDE = 32


class Block(nn.Module):
    """What an EfficientNet is made of: swish, depthwise, squeeze-and-excitation, a residual, asymmetric padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 48, 3, 2, 1), nn.BatchNorm2d(48), nn.SiLU())
        self.expand = nn.Sequential(nn.Conv2d(48, 96, 1), nn.SiLU())
        self.depthwise = nn.Conv2d(96, 96, 5, padding=2, groups=96)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(96, 24, 1), nn.SiLU())
        self.excite = nn.Sequential(nn.Conv2d(24, 96, 1), nn.Sigmoid())
        self.project = nn.Conv2d(96, 48, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 64), nn.ReLU6())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        y = y * self.excite(self.squeeze(y))
        return self.head(x + self.project(y))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    module = Block().eval()
    inputs = noise([(1, 3, SIDE, SIDE)])
    traced = trace(module, [torch.from_numpy(inputs[0])], name="block")
    return Network("block", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", False, 1)


@pytest.fixture(scope="module")
def images() -> Calibration:
    pixels = np.random.default_rng(0).standard_normal((12, 3, SIDE, SIDE)).astype(np.float32)
    return Calibration(pixels[:8], pixels[8:], "noise")


def targets(precision: str):
    found = [registry.converter(name) for name in FORMATS]
    return [(each, registry.runtime(each.runtime), precision) for each in found if precision in each.precisions]


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=40))
@example([0.0, 0.0, 0.0, 1.4e-45])
def test_rounding_a_weight_moves_it_by_half_a_step_at_most(numbers):
    weight = np.array(numbers, np.float32).reshape(1, -1, 1, 1)
    scales = weight_scales(weight)
    assert np.abs(stored_weight(weight, scales) - weight).max() <= 0.5001 * scales[0]
    assert weight_to_int8(weight, scales).min() >= -127


@given(st.floats(-1e3, 1e3, width=32), st.floats(0, 1e3, width=32))
def test_a_range_is_held_to_within_a_step_and_zero_exactly(low, span):
    scale = value_scale(low, low + span)
    assert to_int8(np.float32(0), scale.scale, scale.zero_point) == scale.zero_point
    for real in (low, low + span):
        integer = int(to_int8(np.float32(real), scale.scale, scale.zero_point))
        assert abs((integer - scale.zero_point) * scale.scale - real) <= 1.001 * scale.scale


def test_a_channel_of_zeros_gets_a_scale_that_every_kernel_takes():
    weight = np.zeros((3, 4, 1, 1), np.float32)
    weight[0] = 1e-3
    assert np.isfinite(weight_scales(weight)).all()
    assert np.ptp(weight_scales(weight)) == 0
    assert (weight_scales(np.zeros((2, 4), np.float32)) == 1).all()


def test_the_simulation_in_float_is_the_network(network):
    (output,) = Executor(network.graph).run([torch.from_numpy(network.inputs[0])])
    assert parity.sqnr_db(network.outputs, [output.numpy()]) > 100


def test_int8_weights_make_files_that_compute_what_the_simulation_says(network, images, tmp_path):
    made = quantize(network, "int8-weights", images)
    (expected,) = Executor(made.graph).run([torch.from_numpy(images.held_out)])
    for converter, runtime, precision in targets("int8-weights"):
        path = tmp_path / f"block.{converter.name}"
        converter.write(made.graph, path, precision=precision, metadata={})
        outputs, defects = runtime.check(path, [converter.layout(images.held_out)])
        assert not defects
        assert parity.sqnr_db([expected.numpy()], outputs) > 90


def test_techniques_are_kept_only_where_they_help(network, images):
    (note,) = quantize(network, "int8-weights", images).notes
    assert "bias correction" in note
    assert "4 held-out images" in note
    # Images that have nothing to do with those in use: what was fitted to them does harm.
    misleading = replace(images, images=images.images * 50 + 300)
    (note,) = quantize(network, "int8-weights", misleading).notes
    assert note.startswith("int8 weights, plain rounding")
    assert note.endswith("not kept")


def test_a_technique_that_is_switched_off_is_not_tried(network, images):
    options = IntegerOptions(without=frozenset({"adaptive-rounding"}), explain=True)
    tried = quantize(network, "int8-weights", images, options).explanation["tried"]
    assert [row["weights"] for row in tried] == ["plain rounding", "bias correction"]


def test_a_quarter_of_the_size_in_each_format(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 256, 3), nn.ReLU(), nn.Flatten(1))
    inputs = noise([(1, 3, 12, 12)])
    traced = trace(module, [torch.from_numpy(inputs[0])], name="wide")
    network = Network("wide", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", False, 1)
    sizes = {
        (artifact.format, artifact.precision): artifact.size_bytes
        for precision in ("fp32", "int8-weights")
        for artifact in convert(network, targets(precision), tmp_path, quantize=lambda n, p: [quantize(n, p, None)])
    }
    for name in FORMATS:
        assert sizes[name, "int8-weights"] < 0.28 * sizes[name, "fp32"]


def test_a_limit_that_is_missed_keeps_nothing(network, images, tmp_path):
    with pytest.raises(ConversionError, match=r"the limit is 90 dB") as caught:
        list(
            convert(
                network,
                targets("int8-weights"),
                tmp_path,
                quantize=lambda n, p: [quantize(n, p, images)],
                options=IntegerOptions(90),
            )
        )
    assert caught.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []
