"""Whether multiply-adds stand for latency: rank correlation, and who departs from the common line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, median

LEAST_POINTS = 3
"""Fewer cannot show an order; the correlation is then unknown."""

LEAST_POINTS_FOR_OUTLIERS = 5
"""Through fewer points a robust line always leaves someone out."""

OUTLIER_SCORE = 3.5
"""Modified z-score above which a point is an outlier (Iglewicz & Hoaglin 1993, "How to Detect and Handle Outliers")."""

OUTLIER_FACTOR = 1.15
"""The least departure that counts: papers differ by 10-15 % for one model on one phone."""


MOST_POINTS_IN_PAIRS = 100
"""Up to so many points, all pairs make the common line."""

SAMPLED_PAIRS = 20_000
"""Of more points; the median of so many slopes is sure to 1 % of their spread."""


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; values that tie share the mean of their ranks."""
    # Of the places at which a value stands in order, the last one wins in a dictionary, read either way.
    ordered = sorted(values)
    last = dict(zip(ordered, range(1, len(ordered) + 1), strict=True))
    first = dict(zip(reversed(ordered), range(len(ordered), 0, -1), strict=True))
    return [(first[value] + last[value]) / 2 for value in values]


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation: Pearson's correlation of the ranks, which is exact with ties too.

    Returns:
        -1 to 1, or None with fewer than `LEAST_POINTS` points or where all values of a side tie.
    """
    if len(x) < LEAST_POINTS:
        return None
    a, b = ranks(x), ranks(y)
    mean = fmean(a)
    covariance = math.fsum((p - mean) * (q - mean) for p, q in zip(a, b, strict=True))
    variance_a, variance_b = (math.fsum((r - mean) ** 2 for r in side) for side in (a, b))
    return covariance / math.sqrt(variance_a * variance_b) if variance_a and variance_b else None


def _median_slope(points: Sequence[tuple[float, float]]) -> float:
    """Of all pairs; of very many points a seeded sample of the pairs, which moves it by nothing visible."""
    if len(points) <= MOST_POINTS_IN_PAIRS:
        return median((q[1] - p[1]) / (q[0] - p[0]) for p, q in combinations(points, 2) if p[0] != q[0])
    import numpy as np

    p, q = np.asarray(points)[np.random.default_rng(0).integers(len(points), size=(2, SAMPLED_PAIRS))]
    apart = p[:, 0] != q[:, 0]
    if not apart.any():
        return 0.0
    return float(np.median((q[apart, 1] - p[apart, 1]) / (q[apart, 0] - p[apart, 0])))


def departures(x: Sequence[float], y: Sequence[float]) -> dict[int, float]:
    """The outliers of log y against log x: index -> how many times larger y is than the line says.

    The line is Theil's and Sen's (median of the slopes of all pairs, median intercept), which up to 29 % of
    outliers do not move. A point is an outlier when its modified z-score is beyond `OUTLIER_SCORE` and it departs
    by `OUTLIER_FACTOR` or more.

    Args:
        x, y: positive values.

    Returns:
        Empty with fewer than `LEAST_POINTS_FOR_OUTLIERS` points or fewer than three distinct x.
    """
    if len(x) < LEAST_POINTS_FOR_OUTLIERS or len(set(x)) < LEAST_POINTS:
        return {}
    points = [(math.log(p), math.log(q)) for p, q in zip(x, y, strict=True)]
    slope = _median_slope(points)
    residuals = [q - slope * p for p, q in points]
    centre = median(residuals)
    residuals = [residual - centre for residual in residuals]
    # 0.6745 makes the median absolute deviation comparable to a normal distribution's standard deviation.
    limit = max(OUTLIER_SCORE * median(map(abs, residuals)) / 0.6745, math.log(OUTLIER_FACTOR))
    return {index: math.exp(r) for index, r in enumerate(residuals) if abs(r) > limit}
