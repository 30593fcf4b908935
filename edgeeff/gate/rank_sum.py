"""The rank-sum interval of a shift between two samples, with nothing assumed of the shape that they share.

Hollander, Wolfe & Chicken 2014, "Nonparametric Statistical Methods", sections 4.2 and 4.3 (Hodges & Lehmann; Moses).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from edgeeff.gate.signed_rank import Estimate, estimate_of

MOST = 40
"""Of each sample, the latest that are used: more would cost time and no longer narrow the interval much."""


def shift(new: Sequence[float], old: Sequence[float], below: float, above: float | None = None) -> Estimate:
    """By how much `new` lies above `old`: the median of all differences, and the interval that leaves out at most
    `below` and `above` its two ends, the one for both where only it is given. An end beyond which so few values leave
    more than that is infinite."""
    new, old = new[-MOST:], old[-MOST:]
    differences = sorted(a - b for a in new for b in old)
    distribution = _distribution(len(new), len(old))
    under, over = (bisect_right(distribution, tail) for tail in (below, below if above is None else above))
    return estimate_of(differences, under, over)


def probability_above(new: Sequence[float], old: Sequence[float], bound: float) -> float:
    """The one-sided p-value of "the shift is at most `bound`": how often chance alone ranks `new` as high as this."""
    new, old = new[-MOST:], old[-MOST:]
    below = sum(a - b <= bound for a in new for b in old)
    return _distribution(len(new), len(old))[below]


@cache
def _distribution(n: int, m: int) -> tuple[float, ...]:
    """P(U <= u) of Mann and Whitney's statistic for u = 0 .. n m, where both samples are alike.

    The number of ways is the Gaussian binomial coefficient's: multiplied and divided term by term.
    """
    ways = [1] + [0] * (n * m)
    for k in range(1, n + 1):
        for total in range(n * m, m + k - 1, -1):
            ways[total] -= ways[total - m - k]
        for total in range(k, n * m + 1):
            ways[total] += ways[total - k]
    cumulative, seen, everything = [], 0, sum(ways)
    for count in ways:
        seen += count
        cumulative.append(seen / everything)
    return tuple(cumulative)
