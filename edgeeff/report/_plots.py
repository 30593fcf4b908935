"""What the figures show, computed once for the page and for the image files: the Pareto front, precisions in pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from edgeeff.report.accuracies import is_random
from edgeeff.report.values import Row

ISO_LOSSES = (0.0, 0.01, 0.02, 0.04, 0.08)
"""The objective's iso-lines are drawn through the best row, and where the objective is so much below it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One network in two precisions, all else equal. Indices are into the rows that were given.

    `top1_change` is None unless both accuracies were measured: the difference to a published one, which was counted
    on other images of another file, says nothing of these two.
    """

    base: int
    other: int
    latency_ratio: float
    size_ratio: float
    top1_change: float | None


def pareto(rows: Sequence[Row]) -> list[int]:
    """Indices of the rows that no other beats on both latency and accuracy, the fastest first."""
    points = [
        (row.latency.median_s, -row.accuracy.top1, index)
        for index, row in enumerate(rows)
        if row.accuracy is not None and row.latency.median_s is not None
    ]
    front: list[int] = []
    best = 0.0
    for _, loss, index in sorted(points):
        if -loss > best:
            best = -loss
            front.append(index)
    return front


MOST_PAIRS = 20
"""More are no chart that anybody reads, and no page that anybody prints."""


def precision_pairs(rows: Sequence[Row]) -> list[Pair]:
    """Each row in another precision beside the fp32 row of the same network, format, runtime and accelerator.

    Returns:
        The best ranked `MOST_PAIRS`.
    """
    floats = {_identity(row): index for index, row in enumerate(rows) if row.measurement.precision == "fp32"}
    return list(islice(_pairs(rows, floats), MOST_PAIRS))


def _pairs(rows: Sequence[Row], floats: dict[tuple[object, ...], int]) -> Iterator[Pair]:
    for index, row in enumerate(rows):
        base = floats.get(_identity(row))
        if base is None or row.measurement.precision == "fp32":
            continue
        first, median = rows[base], row.latency.median_s
        if median is None or first.latency.median_s is None:
            continue
        ratio = row.measurement.size_bytes / first.measurement.size_bytes
        yield Pair(base, index, median / first.latency.median_s, ratio, _change(first, row))


def _change(base: Row, other: Row) -> float | None:
    if base.accuracy is None or other.accuracy is None:
        return None
    if {base.accuracy.provenance, other.accuracy.provenance} != {"measured"}:
        return None
    return other.accuracy.top1 - base.accuracy.top1


def _identity(row: Row) -> tuple[object, ...]:
    """What two precisions of one network share. Weights count only as trained or not: latency does not see them."""
    m = row.measurement
    return (m.variant, m.resolution, m.macs, is_random(m), m.format, m.runtime, m.accelerator)
