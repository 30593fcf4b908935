"""Wilcoxon's signed-rank interval: the median of a symmetric distribution, with nothing else assumed of its shape.

Where neither side is slower, swapping the names of the two sides turns a launch's log-ratio into its negative, so the
distribution is symmetric by construction, however heavy its tails. Student's t asks for normal ones, and Yuen's
trimmed interval covers too rarely below some 30 launches (97.6 % for 99 % at 10, on the recorded launches).
Hollander, Wolfe & Chicken 2014, "Nonparametric Statistical Methods", sections 3.2 and 3.3.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache


@dataclass(frozen=True, slots=True)
class Estimate:
    """The Hodges-Lehmann estimate and its interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def estimate(values: Sequence[float], below: float, above: float | None = None) -> Estimate:
    """The median of the averages of all pairs, and the interval that leaves out at most so much on each side.

    Of n values the whole range leaves out 1 / 2^n on each side; an end beyond which less is asked for is infinite.

    Args:
        values: one a launch, at least one.
        below, above: probability that the true value lies below the low end, and above the high one; one for both.
    """
    averages = walsh_averages(tuple(values))
    distribution = _distribution(len(values))
    under, over = (bisect_right(distribution, tail) for tail in (below, below if above is None else above))
    return estimate_of(averages, under, over)


def estimate_of(ordered: Sequence[float], under: int, over: int) -> Estimate:
    """The middle of ordered values, and those with `under` - 1 below and `over` - 1 above; infinite for none."""
    count = len(ordered)
    low = ordered[under - 1] if under else -math.inf
    high = ordered[count - over] if over else math.inf
    return Estimate((ordered[(count - 1) // 2] + ordered[count // 2]) / 2, low, high)


@lru_cache(maxsize=1)
def walsh_averages(values: tuple[float, ...]) -> list[float]:
    """The averages of all pairs, each value with itself among them, in ascending order."""
    return sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])


def probability_above(values: Sequence[float], bound: float) -> float:
    """The one-sided p-value of "the median is at most `bound`": how often chance alone ranks as high as this."""
    averages = walsh_averages(tuple(values))
    below = sum(average <= bound for average in averages)
    return _distribution(len(values))[below]


@cache
def _distribution(n: int) -> tuple[float, ...]:
    """P(W <= w) of the signed-rank sum of n values whose signs are fair coins, for w = 0 .. n (n + 1) / 2."""
    ways = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    cumulative, seen = [], 0
    for count in ways:
        seen += count
        cumulative.append(seen / (1 << n))
    return tuple(cumulative)
