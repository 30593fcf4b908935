"""What the index holds of a results file: a latency for each measurement, a ratio for each comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeeff import stats, store
from edgeeff.compare import Comparison
from edgeeff.gate.signed_rank import estimate
from edgeeff.values import Measurement


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement in a series.

    Args:
        value: seconds of a latency, or the ratio to the series' reference.
        low, high: its 95 % interval; None where there is none.
        sha256: of the model file.
    """

    created_unix_s: float
    session: str
    value: float
    low: float | None
    high: float | None
    sha256: str
    tool_version: str


@dataclass(frozen=True, slots=True)
class Key:
    """What the points of a series have in common.

    Args:
        model: the variant, else the file's name.
        reference: SHA-256 of the file that values are ratios to; "" where they are seconds.
    """

    device: str
    model: str
    format: str
    precision: str
    runtime: str
    threads: int
    accelerator: str
    reference: str = ""


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one results file.

    What was measured for a comparison gives a ratio and no latency: its launches alone are one or two, to read the
    memory and the start-up.

    Raises:
        UsageError: the file is damaged or from a later edgeeff.
    """
    measurements, comparisons = store.read_session(path)
    compared = {side.id for c in comparisons for side in (c.candidate, c.baseline)}
    for measurement in measurements:
        latency = stats.latency(measurement)
        if measurement.id not in compared and latency.median_s is not None:
            interval = latency.interval
            low, high = (None, None) if interval is None else (interval.low, interval.high)
            yield _row(measurement, measurement.created_unix_s, latency.median_s, low, high)
    for comparison in comparisons:
        yield from _compared(comparison)


def _compared(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The ratio of a comparison, at most one. That of two runtimes says nothing of how a model went over time."""
    candidate, baseline, ratios = comparison.candidate, comparison.baseline, comparison.log_ratios
    if not ratios or candidate.runtime != baseline.runtime:
        return
    found = estimate(ratios, (1 - stats.CONFIDENCE) / 2)
    low, high = (math.exp(end) if math.isfinite(end) else None for end in (found.low, found.high))
    yield _row(candidate, comparison.created_unix_s, math.exp(found.value), low, high, baseline.sha256)


def _row(
    m: Measurement,
    created_unix_s: float,
    value: float,
    low: float | None,
    high: float | None,
    baseline_sha256: str = "",
) -> dict[str, Any]:
    return {
        "measurement": m.id,
        "device": m.device.name,
        "model": m.variant or Path(m.path).name,
        "format": m.format,
        "precision": m.precision,
        "runtime": m.runtime,
        "threads": m.threads,
        "accelerator": m.accelerator,
        "baseline_sha256": baseline_sha256,
        "created_unix_s": created_unix_s,
        "session": m.session,
        "value": value,
        "low": low,
        "high": high,
        "sha256": m.sha256,
        "tool_version": m.tool_version,
    }
