"""Tables of compound scaling: what a network costs, how its channels and repeats were rounded, the published points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeeff.costs import Costs
from edgeeff.report._numbers import with_interval
from edgeeff.report._table import Column, Table, text
from edgeeff.scaling.solve import Bases, Scaled
from edgeeff.scaling.solve_in_time import Timed
from edgeeff.values import Variant


def to_json(made: Scaled, precision: str) -> dict[str, Any]:
    """One network as JSON-ready values."""
    return {
        "variant": made.variant.name,
        "phi": made.phi,
        "width": made.scaling.width,
        "depth": made.scaling.depth,
        "resolution": made.variant.resolution,
        "macs": made.variant.macs,
        "parameters": made.variant.parameters,
        "memory_bytes": made.memory_bytes,
        "precision": precision,
    }


def costs_text(rows: Iterable[tuple[str, Scaled]], precision: str) -> str:
    """What networks cost; `rows` are what to call each in the column of phi, and the network."""
    columns = [
        Column("network"),
        Column("phi", "decimal"),
        Column("depth", "decimal"),
        Column("width", "decimal"),
        Column("resolution, px", "decimal"),
        Column("multiply-adds, M", "decimal"),
        Column("parameters, M", "decimal"),
        Column(f"memory {precision}, MB", "decimal"),
    ]
    cells = [
        [
            made.variant.name,
            phi,
            f"{made.scaling.depth:.3f}",
            f"{made.scaling.width:.3f}",
            str(made.variant.resolution),
            f"{made.macs / 1e6:,.1f}",
            f"{(made.variant.parameters or 0) / 1e6:,.3f}",
            f"{made.memory_bytes / 1e6:,.2f}",
        ]
        for phi, made in rows
    ]
    return text(Table(columns, cells))


@dataclass(frozen=True, slots=True)
class StageShape:
    """A stage of a network: its blocks, the channels that it gives, and the rows of its image."""

    name: str
    blocks: int
    channels: int
    size: int
    repeats: bool
    """Whether it is made of blocks, and not one layer."""


def stages(costs: Costs) -> list[StageShape]:
    """The stages by the places of the ops: "blocks.3.1.project" is in block 1 of the stage "blocks.3"."""
    found: dict[str, StageShape] = {}
    blocks: dict[str, set[str]] = {}
    for op in costs.ops:
        first, second, third, *_ = [*op.name.split("."), "", ""]
        name, block = (f"{first}.{second}", third) if first == "blocks" else (first, second)
        block = block if block.isdigit() else ""
        if len(op.shape) != 3 or name in ("classifier", "mean"):
            continue
        blocks.setdefault(name, set()).update({block} if block else ())
        found[name] = StageShape(name, len(blocks[name]), op.shape[0], op.shape[1], bool(blocks[name]))
    return list(found.values())


def rounding_text(base: Costs, made: Costs, scaled: Scaled, start: Variant) -> str:
    """What width and depth ask for in each stage, and what rounding gives."""
    width, depth = scaled.scaling.width / start.width, scaled.scaling.depth / start.depth
    columns = [
        Column("stage"),
        Column(f"channels of {start.name}", "decimal"),
        Column(f"x {width:.3f}", "decimal"),
        Column("channels", "decimal"),
        Column(f"repeats of {start.name}", "decimal"),
        Column(f"x {depth:.3f}", "decimal"),
        Column("repeats", "decimal"),
        Column("size, px", "decimal"),
    ]
    rows = [
        [
            new.name,
            str(old.channels),
            f"{old.channels * width:.1f}",
            str(new.channels),
            *((str(old.blocks), f"{old.blocks * depth:.2f}", str(new.blocks)) if old.repeats else ("", "", "")),
            str(new.size),
        ]
        for old, new in zip(stages(base), stages(made), strict=True)
    ]
    return text(Table(columns, rows))


def published_text(base: Variant, members: Sequence[Variant], bases: Bases) -> str:
    """The published members beside the exact powers of the same cost.

    phi is what each coefficient implies alone: log(depth) / log(alpha) and so on. They differ, since the
    coefficients are rounded by hand. The last columns are alpha, beta and gamma to the power of the phi of the cost.
    """
    columns = [
        Column("network"),
        Column("depth", "decimal"),
        Column("width", "decimal"),
        Column("resolution, px", "decimal"),
        Column("multiply-adds, M", "decimal"),
        Column("phi of depth", "decimal"),
        Column("phi of width", "decimal"),
        Column("phi of resolution", "decimal"),
        Column("phi of cost", "decimal"),
        Column("exact depth", "decimal"),
        Column("exact width", "decimal"),
        Column("exact resolution, px", "decimal"),
    ]
    return text(Table(columns, [_published_row(base, member, bases) for member in members]))


def implied_phi(base: Variant, member: Variant, bases: Bases) -> dict[str, float | None]:
    """The phi that each coefficient, and the cost, implies; None where the base is 1."""
    ratios = {
        "depth": (member.depth / base.depth, bases.alpha),
        "width": (member.width / base.width, bases.beta),
        "resolution": (member.resolution / base.resolution, bases.gamma),
        "cost": ((member.macs or 1) / (base.macs or 1), bases.growth),
    }
    return {name: None if base == 1 else math.log(ratio) / math.log(base) for name, (ratio, base) in ratios.items()}


def _published_row(base: Variant, member: Variant, bases: Bases) -> list[str]:
    phi = implied_phi(base, member, bases)
    cost = phi["cost"] or 0.0
    return [
        member.name,
        f"{member.depth:.1f}",
        f"{member.width:.1f}",
        str(member.resolution),
        f"{(member.macs or 0) / 1e6:,.1f}",
        *("-" if phi[key] is None else f"{phi[key]:.1f}" for key in ("depth", "width", "resolution", "cost")),
        f"{base.depth * bases.alpha**cost:.2f}",
        f"{base.width * bases.beta**cost:.2f}",
        f"{base.resolution * bases.gamma**cost:.0f}",
    ]


def timed_text(timed: Sequence[Timed], target_s: float) -> str:
    """The networks that were timed, by phi."""
    columns = [
        Column("network"),
        Column("phi", "decimal"),
        Column("multiply-adds, M", "decimal"),
        Column("median [interval], ms", "decimal"),
        Column(f"meets {target_s * 1e3:g} ms"),
    ]
    rows = []
    for one in sorted(timed, key=lambda t: t.scaled.phi):
        low, high = (end if end is None else end * 1e3 for end in (one.low_s, one.high_s))
        meets = "yes" if one.latency_s <= target_s else "no"
        if one.low_s is not None and one.high_s is not None:
            meets += ", by the median only" if one.low_s <= target_s <= one.high_s else ""
        latency = with_interval(one.latency_s * 1e3, low, high) + (" (estimate)" if one.is_estimate else "")
        rows.append([one.scaled.variant.name, f"{one.scaled.phi:g}", f"{one.scaled.macs / 1e6:,.1f}", latency, meets])
    return text(Table(columns, rows))


def timed_json(timed: Sequence[Timed]) -> list[dict[str, Any]]:
    """The networks that were timed, in the order of time."""
    return [
        {
            "variant": one.scaled.variant.name,
            "phi": one.scaled.phi,
            "macs": one.scaled.macs,
            "latency_ms": one.latency_s * 1e3,
            "provenance": one.provenance,
            "interval_ms": None if one.low_s is None or one.high_s is None else [one.low_s * 1e3, one.high_s * 1e3],
        }
        for one in timed
    ]
