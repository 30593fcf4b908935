"""Ratios of many checks as one series, so that creep shows that no single check catches.

A check says how a file compares with its baseline, and the baseline moves: what passed yesterday is what today is
compared with. Where the file of one check is the baseline of another their ratios multiply, and all of them are told
as times the first baseline. Against a baseline that stays, such as the pinned reference model, nothing is multiplied.
The intervals of what is multiplied add up as independent errors do, so a long chain is honest about being less sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeeff.history.points import Point


@dataclass(frozen=True, slots=True)
class _Level:
    """Where a file stands: the logarithm of its ratio to the first baseline of its chain.

    Args:
        below, above: how far its interval reaches; None where that is not known.
    """

    first: str
    value: float = 0.0
    below: float | None = 0.0
    above: float | None = 0.0


def chained(compared: Sequence[tuple[str, Point]]) -> dict[str, list[Point]]:
    """The series that the ratios form, by the SHA-256 of the first baseline of each.

    Args:
        compared: SHA-256 of the baseline, and the ratio to it; the oldest first.
    """
    levels: dict[str, _Level] = {}
    found: dict[str, list[Point]] = {}
    for baseline, point in compared:
        start = levels.setdefault(baseline, _Level(baseline))
        below = _both(start.below, _apart(point.low, point.value))
        above = _both(start.above, _apart(point.value, point.high))
        level = _Level(start.first, start.value + math.log(point.value), below, above)
        low = None if below is None else math.exp(level.value - below)
        high = None if above is None else math.exp(level.value + above)
        found.setdefault(start.first, []).append(replace(point, value=math.exp(level.value), low=low, high=high))
        levels.setdefault(point.sha256, level)
    return found


def _apart(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else math.log(high / low)


def _both(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else math.hypot(a, b)
