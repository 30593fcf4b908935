"""Confidence intervals of proportions, and of the difference of two that were counted on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile: intervals here have 95 %."""


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total`, total above 0."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (Wilson 1927, "Probable inference"): sound for few images, and at 0 and 1."""
        n, p, z2 = self.total, self.value, Z95 * Z95
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        reach = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low = 0.0 if self.count == 0 else max(centre - reach, 0.0)
        high = 1.0 if self.count == n else min(centre + reach, 1.0)
        return low, high


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classifiers on the same images: how many both have right, one alone, or neither."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def total(self) -> int:
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def first(self) -> Share:
        return Share(self.both + self.first_only, self.total)

    @property
    def second(self) -> Share:
        return Share(self.both + self.second_only, self.total)

    @property
    def difference(self) -> float:
        """The first's share less the second's."""
        return (self.first_only - self.second_only) / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Of the difference, for paired images: Newcombe 1998, "Improved confidence intervals for the difference
        between binomial proportions based on paired data", method 10.

        The images are the same, so what both get wrong does not widen it: it is far narrower than what the two
        shares' own intervals suggest.
        """
        p1, p2 = self.first.value, self.second.value
        (low1, high1), (low2, high2) = self.first.interval, self.second.interval
        phi = self._correlation()

        def reach(a: float, b: float) -> float:
            return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

        d = self.difference
        return d - reach(p1 - low1, high2 - p2), d + reach(high1 - p1, p2 - low2)

    def _correlation(self) -> float:
        a, b, c, d = self.both, self.first_only, self.second_only, self.neither
        margins = (a + b) * (c + d) * (a + c) * (b + d)
        if margins == 0:
            return 0.0
        excess: float = a * d - b * c
        if excess > 0:
            excess = max(excess - self.total / 2, 0.0)  # the continuity correction of method 10
        return excess / math.sqrt(margins)

    @property
    def p_value(self) -> float:
        """Exact McNemar test (McNemar 1947; the binomial form): the chance of a split at least as uneven of the
        images on which just one is right, where both are equally good."""
        n = self.first_only + self.second_only
        fewer = min(self.first_only, self.second_only)
        # In logarithms: a sum of binomial coefficients of thousands exceeds a float.
        logs = [_log_choose(n, k) - n * math.log(2) for k in range(fewer + 1)]
        return min(1.0, 2 * math.fsum(math.exp(value) for value in logs))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
