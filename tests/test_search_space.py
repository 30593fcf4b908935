"""The space of a search, and a description of a network of it, which is a variant like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeeff.cli.convert import find_variant
from edgeeff.errors import UsageError
from edgeeff.search.networks import Description, family_of, read, short, write
from edgeeff.search.space import CORNERS, Chooser, Dice, Skeleton, propose, size


class Listening(Dice):
    """Notes what was asked."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        self.asked.append(name)
        return super().suggest_categorical(name, choices)


def proposed(chooser: Chooser, name: str = "found") -> Description:
    return propose(chooser, Skeleton(), name=name, resolution=32, width=0.25, classes=10)


def test_every_proposal_has_the_same_dimensions_and_can_be_built() -> None:
    asked = []
    for seed in range(30):
        dice = Listening(seed)
        variant, family = family_of(proposed(dice))
        assert family.costs(variant, classes=10).macs > 0
        asked.append(dice.asked)
    assert all(names == asked[0] for names in asked)
    assert len(asked[0]) == 7 * 6
    assert size(Skeleton()) == (4 * 2 * 2 * 2 * 3 * 3) ** 7


def test_a_description_comes_back(tmp_path: Path) -> None:
    found = replace(proposed(Dice(1)), top1=0.5, found="a test")
    write(found, tmp_path / "found.json")
    assert read(tmp_path / "found.json") == found
    variant, family = find_variant(str(tmp_path / "found.json"))
    assert (variant.name, variant.family, variant.published.provenance) == ("found", "searched", "measured")  # type: ignore[union-attr]
    assert family.build(variant, classes=10, padding="same", bn_eps=1e-3) is not None
    assert short(found.blocks).count(",") == 6


@pytest.mark.parametrize(("harm", "said"), [
    (lambda d: d | {"schema": 2}, "has schema 2"), (lambda d: {"schema": 1}, "is not a network of edgeeff search"),
    (lambda d: d | {"blocks": [d["blocks"][0] | {"op": "magic"}]}, "cannot be built"),
    (lambda d: d | {"blocks": [d["blocks"][0] | {"channels": 0}]}, "cannot be built"),
])  # fmt: skip
def test_a_damaged_description_is_refused(tmp_path: Path, harm: Any, said: str) -> None:
    path = tmp_path / "found.json"
    write(proposed(Dice(1)), path)
    path.write_text(json.dumps(harm(json.loads(path.read_text()))))
    with pytest.raises(UsageError, match=said):
        find_variant(str(path))
    with pytest.raises(UsageError, match="there is no network"):
        find_variant(str(tmp_path / "absent.json"))


def test_a_part_of_the_space_is_for_small_images() -> None:
    part = Skeleton().part(4, 0.5)
    assert part.blocks == ((1, 16, 1), (2, 24, 1), (2, 32, 2), (2, 64, 2))
    assert part.head == 256
    part.require(16)
    with pytest.raises(UsageError, match="4 blocks halve an image 4 times, which takes 16 px"):
        part.require(15)
    with pytest.raises(UsageError, match="7 blocks halve an image 5 times, which takes 32 px"):
        Skeleton().require(16)
    for blocks, depth in ((0, 1.0), (8, 1.0), (7, 0.0), (7, float("nan"))):
        with pytest.raises(UsageError, match="is not"):
            Skeleton().part(blocks, depth)


def test_no_network_of_the_space_lies_outside_of_its_corners() -> None:
    """A latency model that was fitted to the corners need not extrapolate in the size of a network."""

    def macs(chooser: Chooser) -> int:
        variant, family = family_of(proposed(chooser))
        return family.costs(variant, classes=10).macs

    ends = [macs(corner) for corner in CORNERS]
    assert all(min(ends) <= macs(Dice(seed)) <= max(ends) for seed in range(40))
