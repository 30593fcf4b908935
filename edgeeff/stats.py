"""Estimators over the launches of a measurement, computed when they are read and never stored.

The unit of replication is the launch: the runs of one process share its memory layout, its place on the cores
and the load of its moment, so the spread between launches is an order of magnitude above what the runs within
one suggest (Kalibera & Jones 2013, "Rigorous benchmarking in reasonable time", section 4). An interval over
pooled runs would claim a certainty that is not there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from edgeeff.values import Launch, Measurement

CONFIDENCE = 0.95

FEW_LAUNCHES_MARGIN = 2.0
"""So many times off a target are launches that are too few for an interval, and yet enough to say on which side they
are. A convention, far above the spread between launches of one file."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval and the level that it really has, which few launches keep below 95 %."""

    low: float
    high: float
    level: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Latency:
    """What the launches of a measurement say of the latency. None: too few launches to say it.

    `spread` is the standard deviation between the launches' medians over their mean.
    """

    launches: int
    failed: int
    samples: int
    median_s: float | None = None
    interval: Interval | None = None
    p90_s: float | None = None
    spread: float | None = None
    medians_s: tuple[float, ...] = ()
    """Of each launch that succeeded."""

    @property
    def sure_interval(self) -> Interval | None:
        """The interval where it reaches the usual level: what few launches say decides nothing."""
        return self.interval if self.interval is not None and self.interval.level >= CONFIDENCE else None

    @property
    def sure_bounds_s(self) -> tuple[float, float] | None:
        """What a target has to lie outside of to be met or missed for sure; None where no launch succeeded.

        The interval of the usual level; of too few launches for one, the range of their medians, widened by
        `FEW_LAUNCHES_MARGIN` on either side.
        """
        if self.sure_interval is not None:
            return self.sure_interval.low, self.sure_interval.high
        if not self.medians_s:
            return None
        return min(self.medians_s) / FEW_LAUNCHES_MARGIN, max(self.medians_s) * FEW_LAUNCHES_MARGIN

    @property
    def relative_half_width(self) -> float | None:
        """The interval's half-width over the median."""
        if self.interval is None or not self.median_s:
            return None
        return self.interval.half_width / self.median_s


def succeeded(measurement: Measurement) -> tuple[Launch, ...]:
    """The launches that gave samples or a summary of them, in the order in which they ran."""
    return tuple(
        [launch for launch in measurement.launches if launch.error is None and (launch.samples_ns or runs(launch))]
    )


def runs(launch: Launch) -> int:
    """How often a launch ran the network."""
    return len(launch.samples_ns) or (launch.summary.count if launch.summary is not None else 0)


def launch_median_s(launch: Launch) -> float:
    """The median latency of a launch, in seconds; of a summary without one, the mean (see `is_mean`)."""
    if launch.samples_ns or launch.summary is None:
        return statistics.median(launch.samples_ns) / 1e9
    return (launch.summary.mean_ns if launch.summary.median_ns is None else launch.summary.median_ns) / 1e9


def is_mean(launch: Launch) -> bool:
    """Whether the mean has to stand for the launch's median, which its runner does not say."""
    return not launch.samples_ns and launch.summary is not None and launch.summary.median_ns is None


def undisturbed_s(measurement: Measurement) -> float | None:
    """The latency of a run that nothing disturbed: the least, over the launches, of their 10th percentiles.

    Other programs only ever add time, so on a busy machine the lower edge repeats within 1 to 2 % where medians vary
    by tens. It is no latency that a user will see; it is what models of latency are fitted to and judged by.

    Returns:
        None where no launch succeeded. A summary without samples gives its median.
    """
    edges = []
    for launch in succeeded(measurement):
        ordered = sorted(launch.samples_ns)
        edges.append(ordered[len(ordered) // 10] / 1e9 if ordered else launch_median_s(launch))
    return min(edges, default=None)


def latency(measurement: Measurement) -> Latency:
    """The latency's estimates; the median is the median of the launches' medians."""
    good = succeeded(measurement)
    failed = len(measurement.launches) - len(good)
    if not good:
        return Latency(0, failed, 0)
    raw = all(launch.samples_ns for launch in good)
    # Sorted once: of sorted runs, the pooled ones are only to be merged.
    ordered = [sorted(launch.samples_ns) for launch in good] if raw else []
    medians = [_middle(run) / 1e9 for run in ordered] if raw else [launch_median_s(launch) for launch in good]
    mean = statistics.fmean(medians)
    return Latency(
        launches=len(good),
        failed=failed,
        samples=sum(map(len, ordered)) if raw else sum(map(runs, good)),
        median_s=_middle(sorted(medians)),
        interval=median_interval(medians),
        # A quantile over all runs needs the runs themselves.
        p90_s=pooled_quantile(ordered, 0.9) / 1e9 if raw else None,
        spread=_stdev(medians, mean) / mean if len(medians) > 1 else None,
        medians_s=tuple(medians),
    )


def _middle(ordered: Sequence[float]) -> float:
    """The median of sorted values."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _stdev(values: Sequence[float], mean: float) -> float:
    """The sample's standard deviation; in floats, which is ten times as fast as statistics.stdev's fractions."""
    return math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def median_interval(values: Sequence[float], level: float = CONFIDENCE) -> Interval | None:
    """A distribution-free confidence interval of the population's median.

    The k-th value from either end covers the median with the probability 1 - 2 P(Binomial(n, 1/2) < k). Between
    the widest such interval that is still below `level` and the next wider one it is interpolated as in
    Hettmansperger & Sheather 1986, "Confidence intervals based on interpolated order statistics", equation 2.
    Fewer than six values cannot reach 95 %: the whole range is returned with its own level, 1 - 2^(1 - n).

    Returns:
        None for fewer than two values, which say nothing of their spread.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n < 2:
        return None
    widest = _coverage(n, 1)
    if widest < level:
        return Interval(ordered[0], ordered[-1], widest)
    k = 1
    while _coverage(n, k + 1) >= level:
        k += 1
    outer, inner = _coverage(n, k), _coverage(n, k + 1)
    excess = (outer - level) / (outer - inner)
    weight = (n - k) * excess / (k + (n - 2 * k) * excess)
    low = (1 - weight) * ordered[k - 1] + weight * ordered[k]
    high = (1 - weight) * ordered[n - k] + weight * ordered[n - k - 1]
    return Interval(low, high, level)


@cache
def _coverage(n: int, k: int) -> float:
    """How often the k-th smallest and k-th largest of n values enclose the population's median."""
    return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / (1 << n)


def pooled_quantile(groups: Sequence[Sequence[int]], fraction: float) -> int:
    """The smallest sample that at least `fraction` of the samples do not exceed, each group weighing the same.

    A launch that had time for more runs does not count for more.
    """
    if len(set(map(len, groups))) == 1:  # the usual case, of plain numbers
        pooled = sorted(chain.from_iterable(groups))
        return pooled[max(math.ceil(fraction * len(pooled) * (1 - 1e-9)), 1) - 1]
    weighted = sorted((sample, 1 / len(group)) for group in groups for sample in group)
    # The least bit below, since the weights' sum rounds.
    target = fraction * len(groups) * (1 - 1e-9)
    total = 0.0
    for sample, weight in weighted:
        total += weight
        if total >= target:
            return sample
    raise ValueError("no samples")


def trend_z(values: Sequence[float]) -> float:
    """Mann-Kendall's test for a trend over time, as a standard normal score; positive when the values rise.

    Mann 1945, "Nonparametric tests against trend"; the variance is the one without ties.
    """
    n = len(values)
    if n < 2:
        return 0.0
    rises = sum((b > a) - (b < a) for i, a in enumerate(values) for b in values[i + 1 :])
    corrected = rises - (rises > 0) + (rises < 0)
    return corrected / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
