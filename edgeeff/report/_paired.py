"""Files whose accuracies were measured on the same images, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from edgeeff.objective import Exponents, Scored, combined, scored
from edgeeff.proportions import Pair
from edgeeff.report.values import Paired, Row, Settings


def paired(rows: Sequence[Row], settings: Settings) -> Iterator[Paired]:
    """Each ranked row with the ranked rows of the file that it was evaluated against, in the same runtime if it can."""
    for row in rows:
        if row.against is None or row.rank is None:
            continue
        sha256, right = row.against
        if not right.first.value or not right.second.value:
            continue  # of a file that is never right no ratio says how far it is from another
        others = [other for other in rows if other.measurement.sha256 == sha256 and other.rank is not None]
        same = [other for other in others if other.measurement.runtime == row.measurement.runtime]
        for other in same or others:
            yield Paired(row, other, right, _ratio(row, other, right, settings))


def _ratio(row: Row, other: Row, right: Pair, settings: Settings) -> Scored:
    ours, theirs = (_by_latency(r, settings.target_s, settings.exponents) for r in (row, other))
    base = right.second.value
    low, high = right.interval
    # The ratio of the accuracies moves with their difference; the other's own error is of second order in it.
    accuracy = Scored(right.first.value / base, max(1 + low / base, 0.0), 1 + high / base)
    inverse = Scored(1 / theirs.value, *(None if end is None else 1 / end for end in (theirs.high, theirs.low)))
    return combined([accuracy, ours, inverse])


def _by_latency(row: Row, target_s: float, exponents: Exponents) -> Scored:
    """The latency's factor of the objective."""
    latency = row.latency
    interval = None if latency.interval is None else (latency.interval.low, latency.interval.high)
    return scored(1.0, latency.median_s or math.inf, target_s, exponents, interval)
