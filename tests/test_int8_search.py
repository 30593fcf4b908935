"""What stays in float where a limit asks for it: further forms for a file that missed, weights as the last resort."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn

from edgeeff import parity, registry
from edgeeff.convert import convert
from edgeeff.converters import quantizations, trace
from edgeeff.converters._execute import outputs
from edgeeff.converters._op_cost import LITERT, ONNXRUNTIME, Kernels, latency_s
from edgeeff.converters._quantize import IntegerQuantizer
from edgeeff.converters._restored_weights import restorations, rounding_noise
from edgeeff.converters._spare_range import Room
from edgeeff.errors import ConversionError
from edgeeff.graph import Graph, Node
from edgeeff.int8.calibration import NO_PHOTOS, Calibration
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.integers import IntegerForm
from edgeeff.int8.machines import MACHINES
from edgeeff.int8.quantization import Quantization, weight_scales
from edgeeff.networks import NOISE_LABEL, noise
from edgeeff.ops import Conv2d, Unary
from edgeeff.traced_network import Network

SIDE = 24
TARGET = (registry.converter("tflite"), registry.runtime("litert"), "int8")


@pytest.fixture(scope="module")
def network() -> Network:
    """One layer's weights are of very different sizes in each channel, as a trained projection's may be."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 48, 3, 2, 1),
        nn.ReLU6(),
        nn.Conv2d(48, 48, 1),
        nn.ReLU6(),
        nn.Conv2d(48, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 40),
    )
    with torch.no_grad():
        module[2].weight[:, 0] *= 30
        module[0].weight[0] /= 30
        module[0].bias[0] /= 30
    inputs = noise([(1, 3, SIDE, SIDE)])
    traced = trace(module.eval(), [torch.from_numpy(inputs[0])], name="block")
    return Network("block", traced.graph, inputs, traced.outputs, NOISE_LABEL, "random(seed=0)", 1)


@pytest.fixture(scope="module")
def images() -> Calibration:
    pixels = np.random.default_rng(0).standard_normal((24, 3, SIDE, SIDE)).astype(np.float32)
    return Calibration(pixels[:16], pixels[16:], "noise")


def test_a_file_that_misses_what_its_simulation_kept_makes_way_for_a_further_form(network, images, tmp_path):
    tried: list[Network] = []

    def damaged_first(network: Network, precision: str) -> Iterator[Network]:
        for made in quantizations(network, precision, images, options):
            tried.append(made)
            # As if the first form's file computed something else than was simulated.
            yield replace(made, outputs=tuple(-y for y in made.outputs)) if len(tried) == 1 else made

    options = IntegerOptions(min_sqnr_db=15.0)
    (artifact,) = convert(network, [TARGET], tmp_path, quantize=damaged_first, options=options)
    assert len(tried) == 2
    assert artifact.parity.sqnr_db > 15
    assert artifact.notes == tried[1].notes
    (further,) = (made.graph.quantization.integer for made in tried[1:])
    assert further < tried[0].graph.quantization.integer


def test_where_no_file_keeps_the_limit_the_last_one_is_told_and_none_kept(network, images, tmp_path):
    options = IntegerOptions(min_sqnr_db=15.0)

    def damaged(network: Network, precision: str) -> Iterator[Network]:
        for made in quantizations(network, precision, images, options):
            yield replace(made, outputs=tuple(-y for y in made.outputs))

    with pytest.raises(ConversionError, match="the file's outputs are") as caught:
        list(convert(network, [TARGET], tmp_path, quantize=damaged, options=options))
    assert "no choice of its" in str(caught.value.__cause__)
    assert list(tmp_path.iterdir()) == []


def test_beyond_what_int8_weights_can_reach_the_noisiest_weights_are_float32(network, images, tmp_path):
    options = IntegerOptions(min_sqnr_db=52.0)
    quantise = lambda network, precision: quantizations(network, precision, images, options)  # noqa: E731
    (artifact,) = convert(network, [TARGET], tmp_path, quantize=quantise, options=options)
    assert artifact.parity.sqnr_db >= 52
    assert any("float32 weights for 2 (2,304 weights)" in note for note in artifact.notes), artifact.notes
    larger = "nothing is computed in int8, and the file is larger than that of --precision int8-weights, which misses"
    assert any(larger in note for note in artifact.notes), artifact.notes


def test_where_all_ops_are_in_float_and_no_weights_the_precision_that_does_so_is_named(network, images):
    made = next(quantizations(network, "int8", images, IntegerOptions(min_sqnr_db=50.0)))
    assert any("5 of 5 ops in float: " in note for note in made.notes)
    told = "nothing is computed in int8: --precision int8-weights writes such a file, too, at fp32's speed"
    assert made.notes[-1] == told


def test_the_estimated_noise_of_rounded_weights_is_what_they_make_alone(network, images):
    graph, pixels = network.graph, images.images
    scales = {node.name: weight_scales(node.op.weight) for node in graph.nodes if hasattr(node.op, "weight")}
    found = rounding_noise(graph, replace(graph, quantization=Quantization(scales)), scales, torch.from_numpy(pixels))
    expected = outputs(graph, pixels)
    power = float(np.square(expected[0], dtype=np.float64).sum())
    for name, noise_power in found.items():
        alone = outputs(replace(graph, quantization=Quantization({name: scales[name]})), pixels)
        assert 10 * np.log10(power / noise_power) == pytest.approx(parity.sqnr_db(expected, alone), abs=4), name


def test_weights_go_back_to_float_by_noise_for_bytes_and_never_all():
    taken = list(restorations({"few": 5.0, "many": 6.0, "quiet": 0.1}, {"few": 10, "many": 1000, "quiet": 10}))
    assert taken == [{"few"}, {"few", "quiet"}]


@pytest.mark.parametrize("none", [0.0, float("nan")])
def test_weights_whose_rounding_makes_no_noise_stay_in_int8(none):
    noise = {"loud": 1.0, "exact": none, "exact too": none}
    assert list(islice(restorations(noise, dict.fromkeys(noise, 10)), 3)) == [{"loud"}]


@pytest.mark.parametrize(("share", "source", "cures"), [
    (0.01, "noise", ["; --calibration with 400 photos holds out enough to allow one"]),
    (0.01, f"dead leaves ({NO_PHOTOS})", [""]),
    (0.2, "noise", []),
    (0.0, "noise", []),
])  # fmt: skip
def test_a_share_that_is_less_than_one_image_is_told(network, images, share, source, cures):
    made = next(quantizations(network, "int8", replace(images, source=source), IntegerOptions(max_drop=share)))
    said = "1 % of 8 held-out images is less than one: none may change its class"
    assert [note for note in made.notes if "less than one" in note] == [said + cure for cure in cures]


@pytest.mark.parametrize(("without", "said"), [
    ((), "least-noise, values up to 2 times as far out as seen"),
    (("other-photos",), "least-noise"),
    (("least-noise",), "percentile"),
])  # fmt: skip
def test_ranges_are_told_and_allow_for_other_photos_unless_switched_off(network, images, without, said):
    options = IntegerOptions(min_sqnr_db=46.0, without=frozenset(without))
    notes = next(quantizations(network, "int8", images, options)).notes
    assert any(f"ops in float (ranges: {said}" in note for note in notes), notes
    assert any("as far out" in note for note in notes) == (not without)


@pytest.mark.parametrize("without", [(), ("spare-range",)])
def test_what_was_tried_is_told_apart(network, images, without):
    options = IntegerOptions(without=frozenset(without), explain=True)
    tried = next(quantizations(network, "int8", images, options)).explanation["tried"]
    names = [(row["ranges"], row["weights"]) for row in tried]
    assert len(names) == len(set(names))
    assert {"percentile 99.9 %", "percentile 99.99 %", "least-noise"} < {ranges for ranges, _ in names}


def test_room_is_told_where_ranges_are(network, images):
    quantizer = IntegerQuantizer(network.graph, images.images, without=frozenset({"spare-range"}))
    quantizer._prefer_least_noise(Room(width=1.2))
    assert "least-noise, 1.2 times as wide" in {trial.ranges for trial in quantizer.trials}


def test_what_swish_costs_in_float_depends_on_the_runtime_and_convolutions_on_the_machine():
    weight = np.ones((64, 64, 1, 1), np.float32)
    layers = [Conv2d(weight, None), Unary("silu"), Conv2d(weight, None)]
    names = ("image", "conv", "swish", "last")
    nodes = tuple(Node(name, op, (read,)) for read, name, op in zip(names[:-1], names[1:], layers, strict=True))
    graph, vnni = Graph("swish", {"image": (1, 64, 56, 56)}, nodes, ("last",)), MACHINES["x86-vnni"]

    def longer(kernels: Kernels) -> float:
        """Swish in float, over all in int8."""
        return latency_s(graph, {"conv", "last"}, kernels, vnni) / latency_s(graph, set(names), kernels, vnni)

    assert longer(LITERT) > longer(ONNXRUNTIME) > 1
    for kernels in (LITERT, ONNXRUNTIME):
        of_int8 = latency_s(graph, set(names), kernels, vnni)
        assert of_int8 < latency_s(graph, set(), kernels, vnni)
        assert of_int8 < latency_s(graph, set(names), kernels, MACHINES["x86-avx2"])


def test_each_runtime_gets_a_choice_of_its_own_only_where_a_limit_asks_for_one(network, images, tmp_path):
    in_onnx = (registry.converter("onnx"), registry.runtime("onnxruntime"), "int8")
    for options, calls in (
        (IntegerOptions(without=frozenset({"swish-equalisation"})), 1),
        (IntegerOptions(min_sqnr_db=9.0), 2),
    ):
        asked: list[object] = []
        known: dict[bool, object] = {}

        def quantise(network: Network, precision: str) -> Iterator[Network]:
            asked.append(network.machine)  # noqa: B023 - called within the loop
            return quantizations(network, precision, images, options, known)  # noqa: B023

        form = IntegerForm(MACHINES["x86-vnni"])
        list(convert(network, [TARGET, in_onnx], tmp_path, quantize=quantise, options=options, form=form))
        assert len(asked) == calls
        assert len(known) == 1  # what was worked out for one serves the other
