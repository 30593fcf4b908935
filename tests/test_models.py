"""The networks against torch's own counting, TensorFlow's padding and the published tables."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # as everybody calls it
from torch.utils.flop_counter import FlopCounterMode

from edgeeff import registry
from edgeeff.models._network import ConvNorm, same_padding
from edgeeff.models._spec import Conv
from edgeeff.protocols import ModelFamily
from edgeeff.values import BuildConvention, Variant
from edgeeff.weights.sources import random

LAST = torch.channels_last
"""Torch convolves small images several times as fast with the channels last."""

FAMILIES = registry.families()
MEMBERS = [(name, family.name) for family in FAMILIES.values() for name in family.variants]

# Tan & Le's networks as every reimplementation counts them.
PARAMETERS = {
    "b0": 5_288_548,
    "b1": 7_794_184,
    "b2": 9_109_994,
    "b3": 12_233_232,
    "b4": 19_341_616,
    "b5": 30_389_784,
    "b6": 43_040_704,
    "b7": 66_347_960,
}
# The reference implementation's README, in millions, for Lite0 to Lite4.
LITE_PARAMETERS_M = {"lite0": 4.7, "lite1": 5.4, "lite2": 6.1, "lite3": 8.2, "lite4": 13.0}
LITE_MACS_M = {"lite0": 407, "lite1": 631, "lite2": 899, "lite3": 1440, "lite4": 2640}


def member(name: str) -> tuple[Variant, ModelFamily]:
    family = next(family for family in FAMILIES.values() if name in family.variants)
    return family.variants[name], family


def noise(size: int) -> torch.Tensor:
    return torch.randn(1, 3, size, size).contiguous(memory_format=LAST)


def network(name: str, *, padding: str = "same", classes: int = 1000, resolution: int | None = None) -> nn.Module:
    """A member with random weights."""
    variant, family = member(name)
    if resolution is not None:
        variant = family.scaled(variant, width=variant.width, depth=variant.depth, resolution=resolution)
    weights = random(variant, family, classes=classes, padding=padding)
    module: nn.Module = family.build(variant, classes=classes, padding=padding, bn_eps=1e-3)
    state = {n: t.contiguous(memory_format=LAST) if t.dim() == 4 else t for n, t in weights.state_dict.items()}
    module.load_state_dict(state, assign=True)
    return module


@pytest.mark.parametrize(("name", "family_name"), MEMBERS)
def test_the_table_counts_as_torch_does(name: str, family_name: str) -> None:
    family = FAMILIES[family_name]
    variant = family.variants[name]
    module = family.build(variant, classes=1000, padding="symmetric", bn_eps=1e-3)
    image = torch.empty(1, 3, variant.resolution, variant.resolution, device="meta")
    with FlopCounterMode(display=False) as counter:
        output = module(image)
    assert output.shape == (1, 1000)
    assert sum(parameter.numel() for parameter in module.parameters()) == variant.parameters
    assert counter.get_total_flops() / 2 == variant.macs


def test_the_parameters_are_the_published_ones() -> None:
    assert {name: v.parameters for name, v in FAMILIES["efficientnet"].variants.items()} == PARAMETERS
    for name, variant in FAMILIES["efficientnet_lite"].variants.items():
        assert variant.parameters is not None
        assert variant.macs is not None
        assert round(variant.parameters / 1e6, 1) == LITE_PARAMETERS_M[name]
        # The README counts more than convolutions and dense layers, by 3 to 6 %.
        assert 0.93 < variant.macs / 1e6 / LITE_MACS_M[name] < 1.0


def test_scaled_members_count_as_torch_does() -> None:
    for base in ("b0", "lite0"):
        variant, family = member(base)
        made = family.scaled(variant, width=0.6, depth=1.3, resolution=117)
        module = family.build(made, classes=1000, padding="symmetric", bn_eps=1e-5)
        with FlopCounterMode(display=False) as counter:
            module(torch.empty(1, 3, 117, 117, device="meta"))
        assert sum(parameter.numel() for parameter in module.parameters()) == made.parameters
        assert counter.get_total_flops() / 2 == made.macs


def test_every_member_says_where_its_numbers_come_from() -> None:
    for family in FAMILIES.values():
        for name, variant in family.variants.items():
            assert (variant.name, variant.family) == (name, family.name)
            assert variant.source
            assert variant.published is not None
            assert variant.published.provenance == "published"
            assert 0.55 < variant.published.top1 < 0.9
            assert family.costs(variant).parameters == variant.parameters
            assert family.costs(variant).macs == variant.macs
    b0 = FAMILIES["efficientnet"].variants["b0"].published
    assert b0 is not None
    assert b0.top1 == 0.763
    assert "v5 says 77.1 %" in b0.source


def test_the_table_is_read_without_torch_or_numpy() -> None:
    code = (
        "import sys, json; from edgeeff import registry; f = registry.families();"
        "v = f['efficientnet'].variants['b0']; f['efficientnet'].scaled(v, width=1.3, depth=1, resolution=224);"
        "print(json.dumps([sorted(f), [m for m in ('torch', 'numpy') if m in sys.modules]]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, heavy = json.loads(result.stdout)
    assert {"efficientnet", "efficientnet_lite", "resnet"} <= set(names)
    assert not heavy


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8, 13, 14, 15])
def test_same_padding_is_tensorflows(size: int, stride: int, kernel: int) -> None:
    """https://www.tensorflow.org/api_docs/python/tf/nn: SAME gives ceil(size / stride), the odd row behind."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    layer = ConvNorm(Conv(4, 4, kernel, stride, groups=4), size, BuildConvention("same", 1e-3)).eval()
    image = torch.randn(1, 4, size, size)
    before, behind = total // 2, total - total // 2
    padded = F.pad(image, (before, behind, before, behind))
    expected = layer.bn(F.conv2d(padded, layer.conv.weight, stride=stride, groups=4))
    torch.testing.assert_close(layer(image), expected, rtol=0, atol=0)
    assert layer(image).shape[-1] == out
    assert same_padding(size, kernel, stride) == (before, behind)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [13, 14])
def test_symmetric_padding_is_torchs(size: int, kernel: int) -> None:
    layer = ConvNorm(Conv(4, 4, kernel, 2, groups=4), size, BuildConvention("symmetric", 1e-5)).eval()
    image = torch.randn(1, 4, size, size)
    expected = layer.bn(F.conv2d(image, layer.conv.weight, stride=2, padding=kernel // 2, groups=4))
    torch.testing.assert_close(layer(image), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("padding", "pads"), [("same", 5), ("symmetric", 0)])
def test_only_strided_layers_of_b0_pad_apart(padding: str, pads: int) -> None:
    variant, family = member("b0")
    module = family.build(variant, classes=1000, padding=padding, bn_eps=1e-3)
    assert sum(isinstance(part, nn.ZeroPad2d) for part in module.modules()) == pads


def test_the_paddings_give_different_networks_on_even_sizes() -> None:
    image = noise(64)
    same, symmetric = (network("b0", padding=p, resolution=64)(image) for p in ("same", "symmetric"))
    assert same.shape == symmetric.shape
    assert not torch.allclose(same, symmetric, rtol=1e-3)


def test_the_excitation_is_a_quarter_of_the_blocks_input() -> None:
    variant, family = member("b0")
    state = family.build(variant, classes=1000, padding="same", bn_eps=1e-3).state_dict()
    assert state["blocks.1.0.se.reduce.weight"].shape == (4, 96, 1, 1)  # 16 inputs, expanded to 96
    assert not any(".se." in name for name in member_state("lite4"))


def member_state(name: str) -> dict[str, torch.Tensor]:
    variant, family = member(name)
    state: dict[str, torch.Tensor] = family.build(variant, classes=1000, padding="same", bn_eps=1e-3).state_dict()
    return state


def test_lite_keeps_stem_head_and_the_outer_repeats() -> None:
    state = member_state("lite4")
    assert state["stem.conv.weight"].shape[0] == 32
    assert state["head.conv.weight"].shape[0] == 1280
    depths = [sum(f"blocks.{stage}.{i}.project.conv.weight" in state for i in range(20)) for stage in range(7)]
    assert depths == [1, 4, 4, 6, 6, 8, 1]  # B4's are 2, 4, 4, 6, 6, 8, 2


def test_without_classes_the_output_is_the_pooled_features() -> None:
    image = noise(64)
    module = network("lite0", classes=0, resolution=64)
    assert module(image).shape == (1, 1280)
    assert not any(name.startswith("classifier") for name in module.state_dict())


def test_a_network_takes_no_memory_before_it_has_weights() -> None:
    variant, family = member("b7")
    module = family.build(variant, classes=1000, padding="same", bn_eps=1e-3)
    assert {parameter.device.type for parameter in module.parameters()} == {"meta"}
    assert not module.training


@pytest.mark.parametrize(("name", "resolution"), [("b0", 64), ("b7", 32), ("lite4", 32)])
def test_random_weights_keep_activations_sane(name: str, resolution: int) -> None:
    """Neither dying nor exploding, and the output depends on the input: a wrong layer must show in parity."""
    module = network(name, resolution=resolution)
    deviations: list[float] = []
    for part in module.modules():
        if isinstance(part, ConvNorm):
            part.register_forward_hook(lambda _m, _i, out: deviations.append(float(out.std())))
    with torch.no_grad():
        first, second = (module(noise(resolution)) for _ in range(2))
    assert 0.02 < min(deviations) < max(deviations) < 50
    assert float((first - second).std() / first.std()) > 0.01
