"""The gates that people use, each as its tool decides: (baseline launches, candidate launches) -> "regressed" or not.

Samples are seconds or any unit; each side is a list of launches, each a list of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Side = Sequence[Sequence[float]]
NORMAL = NormalDist()


def mean_threshold(limit: float) -> Callable[[Side, Side], bool]:
    """The mean of all samples above `limit` times the baseline's: github-action-benchmark's rule (its default is 2)."""
    return lambda baseline, candidate: bool(_pooled(candidate).mean() > limit * _pooled(baseline).mean())


def t_test(baseline: Side, candidate: Side) -> bool:
    """pyperf's `is_significant`: Student's two-sample t of all values, 95 %, and the candidate slower."""
    a, b = _pooled(baseline), _pooled(candidate)
    n, m = len(a), len(b)
    pooled = ((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2)
    score = (b.mean() - a.mean()) / math.sqrt(pooled * (1 / n + 1 / m))
    return bool(score > NORMAL.inv_cdf(0.975))  # n + m is in the thousands: t is normal


def u_test_pooled(baseline: Side, candidate: Side) -> bool:
    """Mann and Whitney's U over all samples, 95 %, and the candidate slower."""
    return _slower_by_ranks(_pooled(baseline), _pooled(candidate))


def u_test_launches(baseline: Side, candidate: Side) -> bool:
    """benchstat's test with one number a launch, its mean."""
    return _slower_by_ranks(_means(baseline), _means(candidate))


def criterion(baseline: Side, candidate: Side, seed: int = 0) -> bool:
    """criterion.rs: a bootstrapped t test at 95 % and a change of the mean beyond its noise threshold of 1 %."""
    a, b = _pooled(baseline), _pooled(candidate)
    rng = np.random.default_rng(seed)
    changes = np.sort([rng.choice(b, len(b)).mean() / rng.choice(a, len(a)).mean() - 1 for _ in range(200)])
    return bool(changes[int(0.025 * len(changes))] > 0.01)


def hierarchical(baseline: Side, candidate: Side, seed: int = 0) -> bool:
    """A bootstrap that draws launches, then samples in them (Kalibera & Jones 2013): beyond +1 % at 95 %."""
    rng = np.random.default_rng(seed)
    a, b = (np.array([np.median(launch) for launch in side]) for side in (baseline, candidate))
    changes = np.sort([rng.choice(b, len(b)).mean() / rng.choice(a, len(a)).mean() - 1 for _ in range(400)])
    return bool(changes[int(0.025 * len(changes))] > 0.01)


PEERS: dict[str, Callable[[Side, Side], bool]] = {
    "mean, 200 % threshold": mean_threshold(2.0),
    "mean, 105 % threshold": mean_threshold(1.05),
    "t test, all samples (pyperf)": t_test,
    "U test, all samples": u_test_pooled,
    "U test, a mean a launch (benchstat)": u_test_launches,
    "bootstrap, +1 % (criterion)": criterion,
    "bootstrap over launches, +1 %": hierarchical,
}


def _pooled(side: Side) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(launch, float) for launch in side])


def _means(side: Side) -> NDArray[np.float64]:
    return np.array([np.mean(launch) for launch in side])


def _slower_by_ranks(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """U by its normal approximation, two-sided 95 %."""
    n, m = len(a), len(b)
    _, place, count = np.unique(np.concatenate([a, b]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # of values that tie, the mean of their ranks
    u = ranks[n:].sum() - m * (m + 1) / 2
    score = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return bool(score > NORMAL.inv_cdf(0.975))
