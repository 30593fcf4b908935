"""Estimators over launches: known values, properties, and coverage by simulation."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff import stats
from edgeeff.values import DeviceInfo, Launch, Measurement, Summary

DEVICE = DeviceInfo("host", "host", None, None, None, None, 4, None)


def measurement(*launches: tuple[int, ...] | str) -> Measurement:
    """A measurement of these samples; a text is a failed launch's error."""
    made = [
        Launch(i, (), float(i), error=samples) if isinstance(samples, str) else Launch(i, samples, float(i))
        for i, samples in enumerate(launches)
    ]
    context = {"variant": None, "weights": None, "resolution": None, "macs": None, "parameters": None}
    names = dict.fromkeys(("id", "session", "path", "sha256", "format", "precision", "runtime", "tool_version"), "x")
    return Measurement(
        **names,
        **context,
        size_bytes=1,
        threads=1,
        accelerator="cpu",
        device=DEVICE,
        created_unix_s=0.0,
        seed=0,
        launches=tuple(made),
    )


def test_the_median_is_that_of_the_launches_not_of_the_runs() -> None:
    latency = stats.latency(measurement((1_000_000,) * 99, (3_000_000,), (4_000_000, 6_000_000)))
    assert latency.median_s == pytest.approx(0.003)
    assert (latency.launches, latency.failed, latency.samples) == (3, 0, 102)


def test_no_launch_is_unknown_and_not_zero() -> None:
    for nothing in (measurement(), measurement("died"), measurement(())):
        latency = stats.latency(nothing)
        assert latency.launches == 0
        assert latency.median_s is latency.interval is latency.p90_s is latency.spread is None
        assert latency.relative_half_width is None


def test_one_launch_has_a_median_but_no_interval() -> None:
    latency = stats.latency(measurement((5_000_000,), "died"))
    assert latency.median_s == pytest.approx(0.005)
    assert latency.failed == 1
    assert latency.interval is latency.spread is latency.relative_half_width is None


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_few_launches_give_their_range_with_the_level_it_has(n: int) -> None:
    assert stats.median_interval(range(n)) == stats.Interval(0, n - 1, 1 - 2 ** (1 - n))


def test_interpolation_as_hettmansperger_and_sheather_have_it() -> None:
    # n = 10: the 2nd and 9th value cover with 0.97852, the 3rd and 8th with 0.89063; I = 0.32444, lambda = 0.65766.
    interval = stats.median_interval(range(1, 11))
    assert interval is not None
    assert (interval.low, interval.high) == (pytest.approx(2.65766, abs=1e-5), pytest.approx(8.34234, abs=1e-5))


@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=80))
def test_the_interval_encloses_the_median_and_stays_within_the_values(values: list[float]) -> None:
    interval = stats.median_interval(values)
    assert interval is not None
    slack = 1e-12 * max(values)
    assert min(values) - slack <= interval.low <= statistics.median(values) + slack
    assert statistics.median(values) - slack <= interval.high <= max(values) + slack
    assert interval.level == pytest.approx(min(0.95, 1 - 2.0 ** (1 - len(values))))


@pytest.mark.parametrize("n", [6, 7, 10, 15, 30])
def test_the_interval_covers_the_true_median_as_often_as_it_says(n: int) -> None:
    """Latencies have a long tail to one side; 4000 sessions have a standard error of 0.35 % here."""
    rng = random.Random(n)
    covered = 0
    for _ in range(4000):
        interval = stats.median_interval([rng.lognormvariate(0, 0.5) for _ in range(n)])
        assert interval is not None
        covered += interval.low <= 1.0 <= interval.high
    assert 0.938 <= covered / 4000 <= 0.965


def test_each_launch_weighs_the_same_in_a_quantile() -> None:
    slow, fast = (2,) * 10, (1,) * 1000
    assert stats.pooled_quantile([slow, fast], 0.5) == 1
    assert stats.pooled_quantile([slow, fast], 0.51) == 2
    with pytest.raises(ValueError, match="no samples"):
        stats.pooled_quantile([], 0.9)


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=60))
def test_p90_of_one_launch_is_the_nearest_rank(samples: list[int]) -> None:
    rank = math.ceil(0.9 * len(samples) - 1e-9)
    assert stats.pooled_quantile([samples], 0.9) == sorted(samples)[rank - 1]


def test_spread_is_relative() -> None:
    latency = stats.latency(measurement((9_000_000,), (11_000_000,)))
    assert latency.spread == pytest.approx(math.sqrt(2) / 10)


def test_a_trend_is_told_from_its_absence() -> None:
    assert stats.trend_z(range(10)) > 2.58
    assert stats.trend_z(range(10, 0, -1)) < -2.58
    assert stats.trend_z([3, 1, 4, 1, 5, 9, 2, 6]) < 2.58
    assert stats.trend_z([1]) == stats.trend_z([2, 2, 2]) == 0


def summarised(*medians_ns: float | None) -> Measurement:
    """Launches of a runner that keeps no raw samples."""
    launches = tuple(
        Launch(i, (), 0.0, summary=Summary(50, 2e6, 1e6, 9e6, median_ns=median)) for i, median in enumerate(medians_ns)
    )
    return replace(measurement(), launches=launches)


def test_a_summary_stands_for_its_launch_and_knows_no_quantile() -> None:
    latency = stats.latency(summarised(1.5e6, 1.7e6, 1.6e6))
    assert (latency.launches, latency.samples, latency.failed) == (3, 150, 0)
    assert latency.median_s == pytest.approx(1.6e-3)
    assert latency.p90_s is None


def test_a_summary_without_median_gives_its_mean() -> None:
    m = summarised(None, None)
    assert stats.latency(m).median_s == 2e-3
    assert all(map(stats.is_mean, m.launches))
