"""Mobile networks: stages of inverted bottlenecks and their kin, scaled, as the parts of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgeeff.models._spec import Activation, Chain, Conv, Excite, Gate, Plan, Residual
from edgeeff.scaling.compound import round_channels, round_repeats
from edgeeff.values import Variant


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of a paper's table: blocks of one kind; only the first has the stride.

    Args:
        expansion: channels inside of a block, as a multiple of its inputs.
        activation: None for the network's.
        kind: "inverted" (expand, depthwise, project), "fused" (EfficientNetV2's: one convolution in place of the
            first two) or "separable" (MobileNetV1's: depthwise and pointwise, each with its activation, and no skip).
    """

    kernel: int
    stride: int
    expansion: float
    channels: int
    repeats: int = 1
    excited: bool = False
    activation: Activation | None = None
    kind: Literal["inverted", "fused", "separable"] = "inverted"
    skips: bool = True


@dataclass(frozen=True, slots=True)
class Excitation:
    """The rule for squeeze-and-excitation: `ratio` of a block's inputs, or of the channels inside of it.

    `rounded` says that the squeezed channels are rounded to a multiple of 8.
    """

    ratio: float = 0.25
    of_inputs: bool = True
    rounded: bool = False
    activation: Activation = "silu"
    gate: Gate = "sigmoid"


@dataclass(frozen=True, slots=True)
class MobileTable:
    """A paper's table with the rules by which it scales.

    Args:
        stages: a stage is a row, or several where its blocks differ.
        stem, head: channels of the first and the last convolution; a head of 0 is none.
        head_expands: the head has so many times the channels of the last stage in place of `head`.
        hidden: outputs of a dense layer behind the head, which does not scale.
        keeps: what does not scale: "stem" and "head" keep their channels, "ends" the first and last stage's repeats;
            with "head_at_least" the head is scaled up only.
        least: see `round_channels`.
    """

    stages: Sequence[Stage | Sequence[Stage]]
    activation: Activation
    stem: int = 32
    stem_activation: Activation | None = None
    head: int = 1280
    head_expands: int = 0
    hidden: int = 0
    excitation: Excitation = Excitation()
    keeps: frozenset[str] = frozenset()
    least: float = 0.9


def plan(variant: Variant, table: MobileTable) -> Plan:
    """Scales a table by a variant's coefficients."""
    width = variant.width

    def scaled(channels: int) -> int:
        return round_channels(channels, width, table.least)

    stem = table.stem if "stem" in table.keeps else scaled(table.stem)
    inputs = stem
    stages = []
    for index, stage in enumerate(table.stages):
        rows = (stage,) if isinstance(stage, Stage) else tuple(stage)
        kept = "ends" in table.keeps and index in (0, len(table.stages) - 1)
        blocks: list[tuple[str, Chain | Residual]] = []
        for row, repeats in zip(rows, _repeats(rows, 1.0 if kept else variant.depth), strict=True):
            outputs = scaled(row.channels)
            for repeat in range(repeats):
                block = _block(row, row.stride if repeat == 0 else 1, inputs, outputs, table)
                blocks.append((str(len(blocks)), block))
                inputs = outputs
        stages.append((str(index), tuple(blocks)))
    features: Chain = (
        ("stem", Conv(3, stem, 3, 2, activation=table.stem_activation or table.activation)),
        ("blocks", tuple(stages)),
    )
    head = _head(table, inputs, width)
    if head:
        features = (*features, ("head", Conv(inputs, head, activation=table.activation)))
    return Plan(variant.resolution, features, head or inputs, variant.dropout, table.hidden, table.activation)


def _head(table: MobileTable, inputs: int, width: float) -> int:
    if table.head_expands:
        return table.head_expands * inputs
    if not table.head or "head" in table.keeps:
        return table.head
    return round_channels(table.head, max(1.0, width) if "head_at_least" in table.keeps else width, table.least)


def _repeats(rows: Sequence[Stage], depth: float) -> list[int]:
    """Repeats of the rows of one stage, scaled together: rows fall away at the end, and the last one is repeated."""
    left = round_repeats(sum(row.repeats for row in rows), depth)
    repeats = []
    for row in rows[:-1]:
        repeats.append(min(row.repeats, left))
        left -= repeats[-1]
    return [*repeats, left]


def _block(row: Stage, stride: int, inputs: int, outputs: int, table: MobileTable) -> Chain | Residual:
    activation = row.activation or table.activation
    hidden = inputs if row.expansion == 1 else round_channels(inputs, row.expansion)
    body: list[tuple[str, Conv | Excite]] = []
    if row.kind == "fused":
        to = outputs if row.expansion == 1 else hidden
        body.append(("fused", Conv(inputs, to, row.kernel, stride, activation=activation)))
    else:
        if row.expansion != 1:
            body.append(("expand", Conv(inputs, hidden, activation=activation)))
        body.append(("depthwise", Conv(hidden, hidden, row.kernel, stride, hidden, activation)))
        if row.excited:
            body.append(("se", _excite(table.excitation, inputs, hidden)))
    if row.kind == "separable":
        body.append(("pointwise", Conv(hidden, outputs, activation=activation)))
    elif row.kind == "inverted" or row.expansion != 1:
        body.append(("project", Conv(hidden, outputs)))
    adds = row.skips and row.kind != "separable" and stride == 1 and inputs == outputs
    return Residual(tuple(body)) if adds else tuple(body)


def _excite(rule: Excitation, inputs: int, hidden: int) -> Excite:
    of = inputs if rule.of_inputs else hidden
    squeezed = round_channels(of, rule.ratio) if rule.rounded else max(1, int(of * rule.ratio))
    return Excite(hidden, squeezed, rule.activation, rule.gate)
