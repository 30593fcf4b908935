"""Weights in every layout, with the padding and epsilon that go with it; trained and random ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.protocols import ModelFamily
from edgeeff.values import Variant
from edgeeff.weights.sources import IMAGENET_LABELS, LoadedWeights, load, random

FAMILIES = registry.families()
LAYOUTS = [
    (name, layout)
    for name in ("b0", "lite0")
    for family in FAMILIES.values()
    if name in family.variants
    for layout in family.layouts(family.variants[name])
]


def member(name: str) -> tuple[Variant, ModelFamily]:
    family = next(family for family in FAMILIES.values() if name in family.variants)
    return family.variants[name], family


@cache
def made_once(name: str, classes: int) -> Mapping[str, Tensor]:
    return random(*member(name), classes=classes, padding=None).state_dict


def made(name: str, classes: int = 1000) -> dict[str, Tensor]:
    """Our own random weights, in our names."""
    return dict(made_once(name, classes))


def foreign(name: str, layout: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as another project would store them."""
    variant, family = member(name)
    stored = {theirs: state[ours] for theirs, ours in family.layouts(variant)[layout].items() if ours in state}
    counters = {n.replace("running_mean", "num_batches_tracked"): torch.tensor(7) for n in stored if "mean" in n}
    return stored | counters


def loaded(name: str, path: Path, *, classes: int | None = None, padding: str | None = None) -> LoadedWeights:
    return load(*member(name), str(path), classes=classes, padding=padding)


def save(state: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def assert_equal(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(("name", "layout"), LAYOUTS)
def test_every_layout_gives_the_same_network(tmp_path: Path, name: str, layout: str) -> None:
    state = made(name)
    found = loaded(name, save(foreign(name, layout, state), tmp_path / "w.pth"), padding="same")
    assert_equal(found.state_dict, state)
    assert (found.classes, found.labels) == (1000, IMAGENET_LABELS)
    assert found.label == "file(w.pth)"
    variant, family = member(name)
    module = family.build(variant, classes=found.classes, padding=found.padding, bn_eps=found.bn_eps)
    module.load_state_dict(found.state_dict, assign=True)


@pytest.mark.parametrize(
    ("name", "layout", "theirs", "ours"),
    # Read off the projects' own sources and files.
    [
        ("b0", "timm", "blocks.0.0.conv_pw.weight", "blocks.0.0.project.conv.weight"),
        ("b0", "timm", "blocks.0.0.bn2.bias", "blocks.0.0.project.bn.bias"),
        ("b0", "timm", "blocks.2.1.conv_pw.weight", "blocks.2.1.expand.conv.weight"),
        ("b0", "timm", "blocks.2.1.conv_pwl.weight", "blocks.2.1.project.conv.weight"),
        ("b0", "timm", "blocks.2.1.bn2.weight", "blocks.2.1.depthwise.bn.weight"),
        ("b0", "timm", "blocks.2.1.se.conv_reduce.bias", "blocks.2.1.se.reduce.bias"),
        ("b0", "timm", "bn2.running_var", "head.bn.running_var"),
        ("b0", "torchvision", "features.1.0.block.1.fc1.weight", "blocks.0.0.se.reduce.weight"),
        ("b0", "torchvision", "features.1.0.block.2.0.weight", "blocks.0.0.project.conv.weight"),
        ("b0", "torchvision", "features.7.0.block.2.fc2.bias", "blocks.6.0.se.expand.bias"),
        ("b0", "torchvision", "features.7.0.block.3.1.weight", "blocks.6.0.project.bn.weight"),
        ("b0", "torchvision", "features.8.1.running_mean", "head.bn.running_mean"),
        ("b0", "torchvision", "classifier.1.weight", "classifier.weight"),
        ("b0", "efficientnet-pytorch", "_blocks.15._project_conv.weight", "blocks.6.0.project.conv.weight"),
        ("b0", "efficientnet-pytorch", "_blocks.3._bn0.bias", "blocks.2.0.expand.bn.bias"),
        ("lite0", "efficientnet-pytorch", "_blocks.0._bn1.weight", "blocks.0.0.depthwise.bn.weight"),
        ("lite0", "efficientnet-pytorch", "_bn1.bias", "head.bn.bias"),
        ("lite0", "efficientnet-pytorch", "_fc.bias", "classifier.bias"),
    ],
)
def test_names_are_those_of_the_projects(name: str, layout: str, theirs: str, ours: str) -> None:
    variant, family = member(name)
    assert family.layouts(variant)[layout][theirs] == ours


@pytest.mark.parametrize(
    ("name", "layout", "path", "padding", "bn_eps"),
    [
        ("b0", "torchvision", "w.pth", "symmetric", 1e-5),
        ("b5", "torchvision", "w.pth", "symmetric", 1e-3),
        ("b0", "efficientnet-pytorch", "w.pth", "same", 1e-3),
        ("lite0", "efficientnet-pytorch", "efficientnet_lite0.pth", "same", 1e-3),
        ("b0", "timm", "tf_efficientnet_b0_aa-827b6e33.pth", "same", 1e-3),
        ("b0", "timm", "efficientnet_b0_ra-3dd342df.pth", "symmetric", 1e-5),
        ("b0", "timm", "models--timm--tf_efficientnet_b0.in1k/w.pth", "same", 1e-3),
        ("b0", "timm", "models--timm--efficientnet_b0.ra_in1k/w.pth", "symmetric", 1e-5),
        ("b0", "edgeeff", "efficientnet_b0.pth", "same", 1e-3),
    ],
)
def test_a_layout_says_how_it_pads(
    tmp_path: Path, name: str, layout: str, path: str, padding: str, bn_eps: float
) -> None:
    file = save(foreign(name, layout, made(name)), tmp_path / path)
    found = loaded(name, file)
    assert (found.padding, found.bn_eps, found.notes) == (padding, bn_eps, ())
    other = {"same": "symmetric", "symmetric": "same"}[padding]
    assert loaded(name, file, padding=other).padding == other


def test_timm_weights_that_do_not_say_how_they_pad_are_noted(tmp_path: Path) -> None:
    file = save(foreign("b0", "timm", made("b0")), tmp_path / "best.pth")
    found = loaded("b0", file)
    assert (found.padding, found.bn_eps) == ("same", 1e-3)
    assert "--padding symmetric" in found.notes[0]
    asked = loaded("b0", file, padding="symmetric")
    assert (asked.padding, asked.bn_eps, asked.notes) == ("symmetric", 1e-5, ())


def test_timms_config_beside_the_weights_decides(tmp_path: Path) -> None:
    file = save(foreign("b0", "timm", made("b0")), tmp_path / "model.safetensors")
    config = {"architecture": "efficientnet_b0", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = loaded("b0", file)
    assert (found.padding, found.bn_eps) == ("symmetric", 1e-5)
    assert found.normalisation is not None
    assert found.normalisation.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("text", ["[", "[]", '{"architecture": 3, "pretrained_cfg": {"mean": ["x"]}}', "{" * 9999])
def test_a_broken_config_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    file = save(foreign("b0", "timm", made("b0")), tmp_path / "model.pth")
    (tmp_path / "config.json").write_text(text)
    assert loaded("b0", file).notes


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module._orig_mod."])
def test_what_training_scripts_put_around_weights_comes_off(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state = made("lite0")
    inner = {prefix + name: tensor for name, tensor in foreign("lite0", "timm", state).items()}
    file = save({"epoch": 3, wrapper: inner, "optimizer": {"lr": 0.1}}, tmp_path / "tf_efficientnet_lite0.ckpt")
    assert_equal(loaded("lite0", file).state_dict, state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in made("lite0").items()}
    found = loaded("lite0", save(stored, tmp_path / "w.safetensors"))
    assert_equal(found.state_dict, {name: tensor.float() for name, tensor in stored.items()})


def test_the_classes_come_from_the_weights(tmp_path: Path) -> None:
    ten = save(made("lite0", classes=10), tmp_path / "ten.pth")
    found = loaded("lite0", ten)
    assert (found.classes, found.labels) == (10, None)
    assert loaded("lite0", ten, classes=10).classes == 10
    with pytest.raises(UsageError, match="has 10 outputs, and --classes asks for 1000"):
        loaded("lite0", ten, classes=1000)


def test_without_a_classifier_there_are_no_classes(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in made("b0").items() if not name.startswith("classifier")}
    file = save(foreign("b0", "torchvision", state), tmp_path / "features.safetensors")
    found = loaded("b0", file)
    assert (found.classes, found.labels) == (0, None)
    assert_equal(found.state_dict, state)
    with pytest.raises(UsageError, match="no classifier"):
        loaded("b0", file, classes=10)


@pytest.mark.parametrize(("stored", "wanted"), [("b1", "b0"), ("b0", "b1"), ("b2", "b3"), ("lite0", "b0")])
def test_the_weights_of_another_variant_are_named(tmp_path: Path, stored: str, wanted: str) -> None:
    file = save(foreign(stored, "timm", made(stored)), tmp_path / "w.pth")
    with pytest.raises(UsageError, match=f"has the weights of {stored}, and {wanted} was asked for") as caught:
        loaded(wanted, file)
    assert caught.value.hint == f"--variant {stored} takes them"


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = foreign("b0", "timm", made("b0"))
    del state["bn1.weight"]
    state["extra.weight"] = torch.zeros(3)
    state["conv_head.weight"] = torch.zeros(1280, 320, 3, 3)
    with pytest.raises(UsageError) as caught:
        loaded("b0", save(state, tmp_path / "w.pth"))
    for part in ("1 missing (bn1.weight)", "1 unexpected (extra.weight)", "conv_head.weight (1280, 320, 3, 3)"):
        assert part in caught.value.message


def test_an_unknown_layout_is_shown(tmp_path: Path) -> None:
    file = save({"layer1.0.conv1.weight": torch.zeros(3), "fc.bias": torch.zeros(3)}, tmp_path / "resnet.pth")
    with pytest.raises(UsageError, match=r"unknown layout: its first tensors are layer1\.0\.conv1\.weight") as caught:
        loaded("b0", file)
    assert "efficientnet-pytorch" in caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    state = made("lite0")
    state["head.bn.running_var"] = torch.full_like(state["head.bn.running_var"], value)
    with pytest.raises(UsageError, match=r"head\.bn\.running_var has values that are not finite"):
        loaded("lite0", save(state, tmp_path / "w.pth"))


def test_random_weights_are_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from edgeeff import registry; from edgeeff.weights.sources import load;"
        "f = registry.families()['efficientnet']; w = load(f.variants['b0'], f, 'random', classes=None, padding=None);"
        "print(hashlib.sha256(b''.join(t.numpy().tobytes() for t in w.state_dict.values())).hexdigest(), w.label)"
    )
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout for _ in range(2)}
    assert len(runs) == 1
    assert runs.pop().endswith(" random(seed=0)\n")


def test_random_weights_depend_on_names_alone() -> None:
    b0, b1 = made("b0"), made("b1")
    assert torch.equal(b0["stem.conv.weight"], b1["stem.conv.weight"])
    assert not torch.equal(b0["blocks.2.0.se.reduce.bias"], b0["blocks.2.1.se.reduce.bias"])
    assert made("b0", classes=7)["classifier.bias"].shape == (7,)
