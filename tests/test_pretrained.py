"""Trained weights: in an installed package, in the hub's cache, or not to be had."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.protocols import ModelFamily
from edgeeff.values import Variant, WeightsSource
from edgeeff.weights.sources import load, random

FAMILIES = registry.families()


def member(name: str) -> tuple[Variant, ModelFamily]:
    family = next(family for family in FAMILIES.values() if name in family.variants)
    return family.variants[name], family


def put_into_cache(home: Path, name: str) -> WeightsSource:
    """Random weights in timm's layout where the hub's client keeps the trained ones of a variant."""
    variant, family = member(name)
    source = family.source(variant)
    assert source is not None
    assert source.repository is not None
    assert source.revision is not None
    state = random(variant, family, classes=1000, padding=None).state_dict
    stored = {theirs: state[ours] for theirs, ours in family.layouts(variant)["timm"].items()}
    folder = home / "hub" / f"models--{source.repository.replace('/', '--')}" / "snapshots" / source.revision
    folder.mkdir(parents=True)
    save_file(stored, folder / source.file)
    return source


def test_every_source_on_the_hub_is_pinned_to_a_commit() -> None:
    for family in FAMILIES.values():
        for variant in family.variants.values():
            source = family.source(variant)
            if source is not None and source.repository is not None:
                assert len(source.revision or "") == 40
                assert int(source.revision or "", 16)


def test_lite0_is_found_in_its_package() -> None:
    variant, family = member("lite0")
    for spec in ("auto", "pretrained"):
        found = load(variant, family, spec, classes=None, padding=None)
        assert found.label == "pretrained(efficientnet-lite0-57934424.pth)"
        assert found.sha256 is not None
        assert found.sha256.startswith("57934424")  # its authors put the hash into the name
        assert (found.classes, found.padding, found.bn_eps, found.notes) == (1000, "same", 1e-3, ())
    smaller = family.scaled(variant, width=1.0, depth=1.0, resolution=192)
    assert "another resolution" in load(smaller, family, "auto", classes=None, padding=None).notes[0]


def test_auto_falls_back_to_random_loudly() -> None:
    variant, family = member("lite0")
    found = load(variant, family, "auto", classes=10, padding=None)  # the trained ones have 1000
    assert (found.label, found.classes) == ("random(seed=0)", 10)
    assert found.notes[0].startswith("RANDOM weights: ")


def in_hub(home: Path, code: str) -> str:
    """Runs code beside the real hub client, offline and with a cache of its own."""
    script = (
        "from edgeeff import registry; from edgeeff.errors import UsageError; from edgeeff.weights.sources import load;"
        "f = registry.families()['efficientnet']\n"
    ) + code
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    return run.stdout + run.stderr


def test_offline_without_a_copy_is_told(tmp_path: Path) -> None:
    code = (
        "try: load(f.variants['b1'], f, 'pretrained', classes=None, padding=None)\nexcept UsageError as e: print(e)\n"
        "print(load(f.variants['b1'], f, 'auto', classes=None, padding=None).label)"
    )
    output = in_hub(tmp_path, code)
    assert "timm/tf_efficientnet_b1.aa_in1k) are not in the local cache, and HF_HUB_OFFLINE is set" in output
    assert output.endswith("random(seed=0)\n")


def test_a_copy_in_the_hubs_cache_is_used(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "b1")
    code = "w = load(f.variants['b1'], f, 'auto', classes=None, padding=None); print(w.label, w.padding, w.notes)"
    assert in_hub(tmp_path, code) == "pretrained(timm/tf_efficientnet_b1.aa_in1k@8e7b8d9) same ()\n"


def test_a_copy_of_other_bytes_than_known_is_refused(tmp_path: Path) -> None:
    assert put_into_cache(tmp_path, "b0").sha256 is not None
    code = "try: load(f.variants['b0'], f, 'pretrained', classes=None, padding=None)\nexcept UsageError as e: print(e)"
    assert "its SHA-256 differs" in in_hub(tmp_path, code)


def test_a_family_without_a_source_says_so(tmp_path: Path) -> None:
    variant, family = member("lite3")
    with pytest.raises(UsageError, match="no trained weights of lite3 are known"):
        load(variant, family, "pretrained", classes=None, padding=None)
    odd = replace(variant, name="odd", width=0.7)
    with pytest.raises(UsageError, match="no trained weights of odd are known"):
        load(odd, family, "pretrained", classes=None, padding=None)
    with pytest.raises(UsageError, match="there is no such file"):
        load(variant, family, str(tmp_path / "absent.pth"), classes=None, padding=None)
