"""Networks that a search proposes: their description as data, and as a variant of a family like any other.

A description is a JSON file, `NAME.json`; `edgeeff convert --variant NAME.json --weights NAME.safetensors` takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from edgeeff.documents import read_document, write_document
from edgeeff.errors import UsageError
from edgeeff.models._family import CENTRED, TENSORFLOW, Family
from edgeeff.models._mobile import Excitation, MobileTable, Stage, plan
from edgeeff.scaling.compound import check_size
from edgeeff.values import Accuracy, Variant

SCHEMA = 1
"""1 (2026-11): `Description` with its fields."""

FAMILY = "searched"
KINDS = {"convolution": "fused", "separable": "separable", "inverted": "inverted"}
"""MnasNet's ops by the names that `Stage` has for them: a plain convolution is a fused block that does not expand."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of MnasNet's Figure 3: layers of one kind, of which only the first has the stride.

    Args:
        op: "convolution", "separable" (depthwise and pointwise) or "inverted" (MBConv).
        expansion: of "inverted"; 1 for the others.
        excited: squeeze-and-excitation with a ratio of 0.25, of "inverted" only.
        skips: identity around layers that keep the shape.
    """

    op: str
    kernel: int
    stride: int
    expansion: int
    channels: int
    layers: int
    excited: bool
    skips: bool


@dataclass(frozen=True, slots=True)
class Description:
    """A found network.

    Args:
        width: by which all channels are scaled.
        classes: that it was trained for.
        top1: on the images held out of its training; None before it was trained.
        found: how, in a sentence.
    """

    name: str
    blocks: tuple[Block, ...]
    resolution: int
    width: float
    stem: int
    head: int
    classes: int
    top1: float | None = None
    found: str = ""


def family_of(description: Description) -> tuple[Variant, Family]:
    """The network as a variant, and a family that builds it.

    Raises:
        UsageError: a block is not one that can be built.
    """
    table = _table(description)
    name = description.name
    variant = Variant(
        name=name,
        family=FAMILY,
        width=description.width,
        depth=1.0,
        resolution=description.resolution,
        dropout=0.2,
        normalisation=CENTRED,
        source=description.found or "edgeeff search",
        published=None if description.top1 is None else Accuracy(description.top1, description.found, "measured"),
        architecture=name,
    )
    family = Family(
        name=FAMILY,
        variants={name: variant},
        plan=lambda member: plan(member, table),
        layouts_by_name={},
        convention_of=lambda layout, member: TENSORFLOW,
    )
    costs = family.costs(variant)
    check_size(name, costs.parameters, costs.peak_layer_activations)
    return replace(variant, parameters=costs.parameters, macs=costs.macs), family


def _table(description: Description) -> MobileTable:
    stages = [_stage(description, block) for block in description.blocks]
    return MobileTable(
        stages, "relu6", stem=description.stem, head=description.head, excitation=Excitation(activation="relu")
    )


def _stage(description: Description, block: Block) -> Stage:
    sizes = (block.kernel, block.stride, block.channels, block.layers, block.expansion)
    if block.op not in KINDS or block.kernel % 2 == 0 or min(sizes) < 1:
        fault = f"{description.name} has a block that cannot be built: {block}"
        raise UsageError(fault, "take a file that edgeeff search wrote")
    return Stage(
        block.kernel,
        block.stride,
        block.expansion if block.op == "inverted" else 1,
        block.channels,
        block.layers,
        excited=block.excited and block.op == "inverted",
        kind=cast(Literal["inverted", "fused", "separable"], KINDS[block.op]),
        skips=block.skips,
    )


def write(description: Description, path: Path) -> None:
    """Writes a description."""
    write_document(path, description, SCHEMA)


def read(path: Path) -> Description:
    """A description as it was written.

    Raises:
        UsageError: it is missing, damaged, or from a later edgeeff.
    """
    if not path.is_file():
        raise UsageError(f"there is no network {path}", "edgeeff search writes such files")
    try:
        return read_document(path, Description, SCHEMA)
    except ValueError as error:
        raise UsageError(f"{path} is not a network of edgeeff search: {error}") from error


def short(blocks: Sequence[Block]) -> str:
    """The blocks in a line: "MB6 k3 x2, MB3 k5 SE x3 ..."."""
    return ", ".join(_short(block) for block in blocks)


def _short(block: Block) -> str:
    name = {"convolution": "Conv", "separable": "Sep", "inverted": f"MB{block.expansion}"}[block.op]
    marks = f"{' SE' if block.excited else ''}{'' if block.skips else ' no skip'}"
    return f"{name} k{block.kernel} c{block.channels}{marks} x{block.layers}"
