"""Tables of the search for alpha, beta and gamma."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeeff.report._table import Column, Table, text
from edgeeff.scaling.compound import ALPHA, BETA, GAMMA
from edgeeff.scaling.law import Candidate, Law, layers
from edgeeff.scaling.solve import Bases

if TYPE_CHECKING:
    from edgeeff.protocols import ModelFamily
    from edgeeff.scaling.grid_study import Trained
    from edgeeff.values import Variant

PAPER = Bases(ALPHA, BETA, GAMMA)
FLAT = 0.001
"""Accuracy that nobody would measure apart: a tenth of a point."""


def estimates_text(base: Variant, family: ModelFamily, law: Law, found: Sequence[Candidate], top: int) -> str:
    """The best triples, the paper's among them, how flat the top is, and what the estimate is worth."""
    columns = [
        Column("rank", "decimal"),
        Column("alpha (depth)", "decimal"),
        Column("beta (width)", "decimal"),
        Column("gamma (resolution)", "decimal"),
        Column("a b^2 g^2", "decimal"),
        Column("layers at phi 1", "decimal"),
        Column(f"multiply-adds of {base.name} at phi 1, M", "decimal"),
        Column("top-1 estimate, %", "decimal"),
        Column("below the best, points", "decimal"),
        Column(""),
    ]
    ranked = [(rank, c) for rank, c in enumerate(found, 1) if rank <= top or c.bases == PAPER]
    rows = [
        [
            str(rank),
            f"{c.bases.alpha:g}",
            f"{c.bases.beta:g}",
            f"{c.bases.gamma:g}",
            f"{c.bases.growth:.3f}",
            str(c.layers),
            f"{c.scaled.macs / 1e6:,.1f}",
            f"{c.estimate * 100:.1f}",  # what the law's own error leaves; differences between triples are surer
            f"{(found[0].estimate - c.estimate) * 100:.2f}",
            "the paper's" if c.bases == PAPER else "",
        ]
        for rank, c in ranked
    ]
    flat, unsure = _within(found, FLAT), _within(found, law.cv_error)
    share = ", ".join(f"{s:.3f}" for s in law.shares)
    lines = [
        f"Estimates, not measurements: {law}, at worst {law.cv_worst * 100:.2f} off.",
        f"error / error of {base.name} = 1 - sum share (1 - cost^-{law.power:g}), shares {share} of depth, width, "
        "resolution.",
        f"depth: layers as built, of {layers(family.costs(base))} in {base.name}; repeats round up, so that triples "
        "which differ in alpha alone may make one network, and tie.",
        "Each triple is brought to a cost of exactly 2 first: within the tolerance the dearer would win.",
        f"The top is flat: {flat} of {len(found)} triples are within {FLAT * 100:g} points of the best, and {unsure} "
        "within the law's own error, so the published points cannot tell those apart.",
    ]
    own = sum(point.family == family.name and min(point.depth, point.width) > 1 for point in law.points)
    if own and family.name == "efficientnet":
        lines.append(
            f"{own} of the points follow the paper's own triple: they say what compound scaling gains, and little of "
            "its direction."
        )
    return "\n".join([text(Table(columns, rows)), *lines, ""])


def _within(found: Sequence[Candidate], margin: float) -> int:
    return sum(found[0].estimate - c.estimate <= margin for c in found)


def estimates_json(base: Variant, family: ModelFamily, law: Law, found: Sequence[Candidate]) -> dict[str, Any]:
    """All triples, best first."""
    return {
        "variant": base.name,
        "provenance": "estimate",
        "law": {
            "points": [point.name for point in law.points],
            "shares": {"depth": law.shares[0], "width": law.shares[1], "resolution": law.shares[2]},
            "power": law.power,
            "cv_error": law.cv_error,
            "cv_worst": law.cv_worst,
        },
        "within_cv_error": _within(found, law.cv_error),
        "triples": [
            {
                **_bases_json(c.bases),
                "macs": c.scaled.macs,
                "layers": c.layers,
                "top1_estimate": c.estimate,
            }
            for c in found
        ],
    }


def trained_text(trained: Sequence[Trained], held_out: int) -> str:
    """The triples that were trained, best first, with the error of so many held-out images."""
    columns = [
        Column("rank", "decimal"),
        Column("alpha (depth)", "decimal"),
        Column("beta (width)", "decimal"),
        Column("gamma (resolution)", "decimal"),
        Column("multiply-adds of the proxy, M", "decimal"),
        Column("top-1 measured, %", "decimal"),
        Column("+-", "decimal"),
        Column("training, s", "decimal"),
        Column(""),
    ]
    ranked = sorted(trained, key=lambda t: -t.top1)
    rows = [
        [
            str(rank),
            f"{t.bases.alpha:g}",
            f"{t.bases.beta:g}",
            f"{t.bases.gamma:g}",
            f"{t.macs / 1e6:,.1f}",
            f"{t.top1 * 100:.1f}",
            f"{_deviation(t.top1, held_out) * 100:.1f}",
            f"{t.seconds:.1f}",
            "the paper's" if t.bases == PAPER else "",
        ]
        for rank, t in enumerate(ranked, 1)
    ]
    margin = 2 * math.sqrt(2) * _deviation(ranked[0].top1, held_out)
    near = sum(ranked[0].top1 - t.top1 <= margin for t in ranked)
    lines = [
        f"Measured on {held_out} held-out images by a small proxy of the base; +- is their standard error.",
        f"{near} of {len(ranked)} are within two standard errors of a difference from the best: they tie.",
    ]
    return "\n".join([text(Table(columns, rows)), *lines, ""])


def _deviation(top1: float, count: int) -> float:
    """Of a share that `count` images gave; a share of 0 or 1 is taken for half an image less."""
    share = min(max(top1, 0.5 / count), 1 - 0.5 / count)
    return math.sqrt(share * (1 - share) / count)


def trained_json(base: Variant, trained: Sequence[Trained], held_out: int) -> dict[str, Any]:
    """The triples that were trained, best first."""
    return {
        "variant": base.name,
        "provenance": "measured",
        "held_out": held_out,
        "triples": [
            {
                **_bases_json(t.bases),
                "proxy_macs": t.macs,
                "top1": t.top1,
                "standard_error": _deviation(t.top1, held_out),
                "seconds": t.seconds,
            }
            for t in sorted(trained, key=lambda t: -t.top1)
        ],
    }


def _bases_json(bases: Bases) -> dict[str, float]:
    return {"alpha": bases.alpha, "beta": bases.beta, "gamma": bases.gamma, "growth": bases.growth}
