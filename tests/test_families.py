"""Every family: counts against its authors', names against torchvision's and timm's, files against torch."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgeeff import registry
from edgeeff.convert import INTEGER_PRECISIONS, convert
from edgeeff.converters import quantize, trace
from edgeeff.converters._integer_plan import integer_nodes, plan
from edgeeff.errors import UsageError
from edgeeff.int8.calibration import Calibration
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.quantization import value_scale
from edgeeff.networks import from_variant
from edgeeff.ops import Concat, Pool, op_kind
from edgeeff.protocols import Converter, ModelFamily, Runtime
from edgeeff.traced_network import Network
from edgeeff.values import Variant
from edgeeff.weights.sources import load, random

FAMILIES = registry.families()
MEMBERS = {variant.name: (variant, family) for family in FAMILIES.values() for variant in family.variants.values()}
FOREIGN = json.loads(Path(__file__).with_name("golden").joinpath("foreign_tensors.json").read_text())
ARCHITECTURES = sorted({variant.architecture for variant, _ in MEMBERS.values()})
SMALL = [
    # architecture, width, depth: every kind of block, few of each
    ("b0", 0.25, 0.3),
    ("efficientnetv2-b0", 0.25, 0.3),
    ("mnasnet-a1", 0.25, 0.3),
    ("mobilenetv1", 0.25, 0.3),
    ("mobilenetv2", 0.25, 0.3),
    ("mobilenetv3-large", 0.25, 1.0),
    ("mobilenetv3-small", 0.25, 1.0),
    ("resnet18", 0.25, 0.5),
    ("resnet50", 0.25, 0.3),
    ("shufflenetv2", 0.5, 0.5),
    ("squeezenet", 0.5, 1.0),
]


def scaled(name: str, width: float, depth: float, resolution: int) -> tuple[Variant, ModelFamily]:
    variant, family = MEMBERS[name]
    return family.scaled(variant, width=width, depth=depth, resolution=resolution), family


@cache
def network(name: str, width: float, depth: float) -> Network:
    """A small relative with random weights, traced at 64 px."""
    variant, family = scaled(name, width, depth, 64)
    return from_variant(variant, family, random(variant, family, classes=10, padding=None), trace)


def target(format_name: str, precision: str) -> tuple[Converter, Runtime, str]:
    converter = registry.converter(format_name)
    return converter, registry.runtime(converter.runtime), precision


# Parameters in millions and multiply-adds in millions as their authors print them.
PUBLISHED = {
    "mobilenetv1": (4.2, 569),  # arXiv 1704.04861, Table 8
    "mobilenetv3-large": (5.4, 217),  # github.com/tensorflow/models, research/slim/nets/mobilenet; the paper: 219
    "mnasnet-a1": (3.9, 312),  # arXiv 1807.11626, Table 1
    "mnasnet-small": (2.0, 68),  # github.com/tensorflow/tpu, models/official/mnasnet
    "resnet18": (11.7, 1814),  # torchvision's documentation
    "resnet34": (21.8, 3664),
    "resnet50": (25.6, 4089),
    "resnet101": (44.5, 7801),
    "resnet152": (60.2, 11514),
    "squeezenet": (1.24, 349),  # torchvision's documentation
    "efficientnetv2-s": (21.5, 8366),  # torchvision's documentation; github.com/google/automl: 8.4B
    "efficientnetv2-m": (54.1, 24582),
    "efficientnetv2-l": (118.5, 56080),
    "efficientnetv2-b0": (7.1, 720),  # github.com/google/automl, efficientnetv2
    "efficientnetv2-b1": (8.1, 1200),
    "efficientnetv2-b2": (10.1, 1700),
    "efficientnetv2-b3": (14.4, 3000),
    "shufflenetv2": (2.3, 146),  # github.com/megvii-model/ShuffleNet-Series
    "shufflenetv2-x0.5": (1.4, 41),
    "shufflenetv2-x1.5": (3.5, 299),
    "shufflenetv2-x2.0": (7.4, 591),
    "mobilenetv2": (3.5, 300),  # arXiv 1801.04381, Table 4 (3.4M there, 3.47M in the repository)
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_counts_are_the_authors(name: str) -> None:
    parameters, macs = PUBLISHED[name]
    variant, _ = MEMBERS[name]
    assert variant.parameters == pytest.approx(parameters * 1e6, rel=0.025)  # printed with two digits
    assert variant.macs == pytest.approx(macs * 1e6, rel=0.015)


@pytest.mark.parametrize(
    ("name", "width", "depth", "resolution", "macs", "tolerance"),
    [
        # EfficientNet's Table 3 and 7 (arXiv 1905.11946), in millions; printed with two digits.
        ("mobilenetv1", 2, 1, 224, 2200, 0.04),
        ("mobilenetv1", 1, 1, 448, 2200, 0.04),
        ("mobilenetv2", 1, 4, 224, 1200, 0.04),
        ("mobilenetv2", 2, 1, 224, 1100, 0.04),
        ("mobilenetv2", 1, 1, 448, 1200, 0.04),
        ("resnet50", 1, 1, 448, 16400, 0.01),
        # Of d = 4 it says 16.2 and of w = 2 it says 14.7: the other way round it would be this network.
        ("resnet50", 1, 4, 224, 14700, 0.01),
        ("resnet50", 2, 1, 224, 16200, 0.01),
        # Their own papers and repositories.
        ("mobilenetv1", 0.5, 1, 224, 149, 0.01),
        ("mobilenetv1", 0.25, 1, 224, 41, 0.01),
        ("mobilenetv2", 1.4, 1, 224, 582, 0.01),
        ("mobilenetv2", 0.5, 1, 224, 97, 0.01),
        ("mobilenetv3-large", 0.75, 1, 224, 155, 0.01),
        ("mobilenetv3-large", 1.25, 1, 224, 356, 0.01),
        ("mobilenetv3-small", 0.75, 1, 224, 44, 0.02),
        ("mnasnet-a1", 1.4, 1, 224, 591.5, 0.025),
        ("mnasnet-a1", 0.5, 1, 224, 105.2, 0.025),
        ("mnasnet-a1", 0.35, 1, 224, 63.2, 0.025),
    ],
)
def test_the_scalings_cost_what_the_papers_say(
    name: str, width: float, depth: float, resolution: int, macs: float, tolerance: float
) -> None:
    variant, _ = scaled(name, width, depth, resolution)
    assert variant.macs == pytest.approx(macs * 1e6, rel=tolerance)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_costs_are_those_of_the_graph(architecture: str) -> None:
    """Op by op, without weights and without torch, what tracing the network gives."""
    variant, family = MEMBERS[architecture]
    if variant.parameters and variant.parameters > 30e6:  # no other kinds of blocks, only more of them
        variant, family = scaled(architecture, 1, 0.2, 64)
    variant = family.scaled(variant, width=variant.width, depth=variant.depth, resolution=64)
    graph = from_variant(variant, family, random(variant, family, classes=10, padding=None), trace).graph
    costs = family.costs(variant, classes=10)
    assert [(op.kind, op.shape) for op in costs.ops] == [
        (op_kind(node.op), graph.shapes[node.name][1:]) for node in graph.nodes
    ]
    assert [op.macs for op in costs.ops] == [graph.node_macs(node) for node in graph.nodes]
    assert costs.peak_activations == graph.peak_activation_elements()
    assert sum(op.weights + op.bias for op in costs.ops) == graph.stored_elements


@pytest.mark.parametrize(
    ("layout", "name"), [(layout, name) for layout, networks in FOREIGN.items() for name in networks]
)
def test_the_names_are_the_other_projects(layout: str, name: str) -> None:
    """Names and shapes of all tensors, by the digest that benchmarks/against/weights.py took of the real ones.

    That the values then give the same outputs was seen there as well.
    """
    variant, family = MEMBERS[name]
    module = family.build(variant, classes=1000, padding="symmetric", bn_eps=1e-3)
    state = module.state_dict()
    names = family.layouts(variant)[layout]
    assert set(names.values()) == {key for key in state if not key.endswith("num_batches_tracked")}
    lines = sorted(
        f"{theirs} {[n for i, n in enumerate(state[ours].shape) if i < 2 or n != 1]}" for theirs, ours in names.items()
    )
    assert len(lines) == FOREIGN[layout][name]["tensors"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == FOREIGN[layout][name]["digest"]


def test_what_the_digests_do_not_hold_is_known() -> None:
    """Members without a counterpart in either project."""
    assert set(MEMBERS) - {name for networks in FOREIGN.values() for name in networks} == set()


@pytest.mark.parametrize(
    ("name", "layout", "padding", "bn_eps", "mean"),
    [
        ("mobilenetv2", "torchvision", "symmetric", 1e-5, 0.485),
        ("mobilenetv3-small", "torchvision", "symmetric", 1e-3, 0.485),
        ("mobilenetv2", "edgeeff", "same", 1e-3, 0.5),
        ("resnet18", "torchvision", "symmetric", 1e-5, 0.485),
        ("shufflenetv2-x0.5", "torchvision", "symmetric", 1e-5, 0.485),
        ("squeezenet", "torchvision", "symmetric", 1e-5, 0.485),
        ("mnasnet-small", "timm", "symmetric", 1e-5, 0.485),
        ("mobilenetv1", "timm", "symmetric", 1e-5, 0.485),
    ],
)
def test_weights_of_a_layout_are_built_and_fed_as_theirs(
    tmp_path: Path, name: str, layout: str, padding: str, bn_eps: float, mean: float
) -> None:
    import torch

    variant, family = MEMBERS[name]
    state = random(variant, family, classes=1000, padding=None).state_dict
    path = tmp_path / "w.pth"
    torch.save({theirs: state[ours] for theirs, ours in family.layouts(variant)[layout].items()}, path)
    loaded = load(variant, family, str(path), classes=None, padding=None)
    assert (loaded.padding, loaded.bn_eps, loaded.classes) == (padding, bn_eps, 1000)
    assert (loaded.normalisation or variant.normalisation).mean[0] == pytest.approx(mean)
    assert all(torch.equal(loaded.state_dict[key], state[key]) for key in state)


@pytest.mark.parametrize(
    ("file", "padding", "mean"),
    [("tf_mobilenetv3_large_100", "same", 0.5), ("mobilenetv3_large_100", "symmetric", 0.485)],
)
def test_timms_name_of_a_mobilenetv3_says_how_it_was_trained(
    tmp_path: Path, file: str, padding: str, mean: float
) -> None:
    """timm keeps the dense layer before the classifier as a 1x1 convolution."""
    import torch

    variant, family = scaled("mobilenetv3-large", 0.25, 1, 64)
    state = random(variant, family, classes=10, padding=None).state_dict
    stored = {theirs: state[ours] for theirs, ours in family.layouts(variant)["timm"].items()}
    stored["conv_head.weight"] = stored["conv_head.weight"][..., None, None]
    path = tmp_path / f"{file}-a1b2.pth"
    torch.save(stored, path)
    loaded = load(variant, family, str(path), classes=None, padding=None)
    assert loaded.padding == padding
    assert (loaded.normalisation or variant.normalisation).mean[0] == pytest.approx(mean)
    assert torch.equal(loaded.state_dict["hidden.weight"], state["hidden.weight"])


def test_a_padding_that_nobody_gives_a_network_is_refused() -> None:
    variant, family = MEMBERS["resnet18"]
    with pytest.raises(UsageError, match="resnet18 is padded symmetric by all who made it, not same"):
        family.build(variant, classes=10, padding="same", bn_eps=1e-3)


@pytest.mark.parametrize(("name", "width", "depth"), SMALL)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8-weights"])
def test_every_kind_of_block_converts_to_both_formats(
    tmp_path: Path, name: str, width: float, depth: float, precision: str
) -> None:
    """`convert` itself refuses a file that misses its parity limit, or that is not in one delegate."""
    made = network(name, width, depth)
    targets = [target(format_name, precision) for format_name in ("onnx", "tflite")]
    quantizer = (lambda net, how: [quantize(net, how, None)]) if precision in INTEGER_PRECISIONS else None
    artifacts = list(convert(made, targets, tmp_path, quantize=quantizer))
    assert len(artifacts) == 2
    for artifact in artifacts:
        assert artifact.parity is not None
        assert artifact.macs == made.graph.macs
        if precision == "fp32":
            assert artifact.parity.sqnr_db >= 100
        # What `edgeeff scale` counts as the weights' memory is what the file stores, but for names and operators.
        variant, family = scaled(name, width, depth, 64)
        costs = family.costs(variant, classes=10)
        overhead = artifact.size_bytes - costs.weight_bytes(precision)
        assert 0 < overhead < 1500 * len(costs.ops)


def images(count: int) -> np.ndarray:
    """Blurred noise, which has edges and areas as photos have."""
    rng = np.random.default_rng(1)
    coarse = rng.standard_normal((count, 3, 8, 8)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 8, 2), 8, 3) + 0.3 * rng.standard_normal((count, 3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize(("name", "width", "depth"), SMALL)
def test_all_computes_in_integers(name: str, width: float, depth: float) -> None:
    graph = network(name, width, depth).graph
    assert {op_kind(node.op) for node in graph.nodes if node.name not in integer_nodes(graph)} == set()


@pytest.mark.parametrize(
    ("format_name", "name", "width", "depth"),
    [
        ("tflite", "mobilenetv3-small", 0.25, 0.3),
        ("tflite", "shufflenetv2", 0.3, 0.2),
        ("onnx", "shufflenetv2", 0.3, 0.2),
    ],
)
def test_what_other_families_bring_converts_to_int8(
    tmp_path: Path, format_name: str, name: str, width: float, depth: float
) -> None:
    """Shuffled and concatenated channels, pools, adds that end in a ReLU; hard activations."""
    found = Calibration(images(6), images(8)[6:], "noise")
    (artifact,) = convert(
        network(name, width, depth),
        [target(format_name, "int8")],
        tmp_path,
        quantize=lambda net, how: [quantize(net, how, found)],
        options=IntegerOptions(min_sqnr_db=5.0),  # random weights and noise
    )
    assert artifact.parity is not None
    assert artifact.precision == "int8"


def test_values_that_moves_connect_share_a_scale() -> None:
    """Integers move as they are: a pool, a concatenation or a shuffle cannot give them another meaning."""
    graph = network("squeezenet", 0.5, 1.0).graph
    wide = {name: value_scale(0.0, 1.0 + index) for index, name in enumerate(graph.shapes)}
    made = plan(graph, wide)
    for node in graph.nodes:
        if isinstance(node.op, Concat | Pool):
            assert {made.values[name] for name in node.inputs} == {made.values[node.name]}
            assert made.values[node.name].scale >= max(wide[name].scale for name in (node.name, *node.inputs))
