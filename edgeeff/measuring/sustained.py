"""A sustained run: one case again and again without a pause, and how its latency moves as the device heats up.

What an application sees that runs its network all day. Nothing is dropped and nothing waits, so this says nothing of
the network itself: compare networks by an ordinary bench.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgeeff import stats
from edgeeff.values import Launch, Measurement

SUSTAINED = "sustained_s"
"""The key in a measurement's context that says it is one, and how long it was to be."""


def is_sustained(measurement: Measurement) -> bool:
    """Whether its launches ran back to back, without waiting for the device to cool."""
    return SUSTAINED in measurement.context


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a sustained run. None: could not be read, or nothing ran.

    Args:
        begin_s, end_s: since the first launch.
        median_s: of the launches' medians.
        change: of the median against the first stretch's; None for the first.
        limit_share: the least of the cores' clock limits over what their hardware can do.
    """

    begin_s: float
    end_s: float
    launches: int
    failed: int
    median_s: float | None
    change: float | None
    temperature_c: float | None
    thermal_status: int | None
    limit_share: float | None


def curve(measurement: Measurement, steps: int = 10) -> list[Step]:
    """The run in equal stretches of time; fewer where it had fewer launches."""
    launches = measurement.launches
    if not launches:
        return []
    start = launches[0].started_unix_s
    whole = float(measurement.context.get(SUSTAINED, 0)) or launches[-1].started_unix_s - start
    whole = max(whole, launches[-1].started_unix_s - start + 1e-3)
    count = min(steps, len(launches))
    found: list[Step] = []
    for i in range(count):
        low, high = i * whole / count, (i + 1) * whole / count
        inside = [launch for launch in launches if low <= launch.started_unix_s - start < high]
        found.append(_step(low, high, inside, next((s.median_s for s in found if s.median_s is not None), None)))
    return found


def _step(low: float, high: float, launches: Sequence[Launch], first_s: float | None) -> Step:
    good = [stats.launch_median_s(launch) for launch in launches if launch.error is None and stats.runs(launch)]
    median = statistics.median(good) if good else None
    states = [launch.state_after for launch in launches if launch.state_after is not None]
    hot = [state.temperature_c for state in states if state.temperature_c is not None]
    statuses = [state.thermal_status for state in states if state.thermal_status is not None]
    shares = [
        limit / highest
        for state in states
        for limit, highest in zip(state.cpu_frequency_limit_khz or (), state.cpu_frequency_max_khz or (), strict=False)
        if highest
    ]
    return Step(
        low,
        high,
        len(good),
        len(launches) - len(good),
        median,
        None if median is None or first_s is None else median / first_s - 1,
        max(hot, default=None),
        max(statuses, default=None),
        min(shares, default=None),
    )
