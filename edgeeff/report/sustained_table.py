"""A sustained run as a table over time and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeeff.codec import encode
from edgeeff.measuring import checks
from edgeeff.measuring.sustained import Step, curve
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table, text
from edgeeff.values import Measurement
from edgeeff.wording import printable

COLUMNS = (
    Column("launches", "decimal"),
    Column("median, ms", "decimal"),
    Column("change, %", "decimal"),
    Column("hottest, °C", "decimal"),
    Column("thermal status", "decimal"),
    Column("clock limit, %", "decimal"),
    Column(""),
)
UNKNOWN = "?"
SHORT_S = 300.0
"""Shorter runs are shown in seconds."""

BAR = 20
"""Width in characters of the longest bar."""


def sustained_text(measurements: Sequence[Measurement]) -> str:
    """One table a measurement, with a bar for the latency of each stretch."""
    return "\n".join(_one(m) for m in measurements)


def sustained_json(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """The same in base units; null is unknown."""
    return {
        "sustained": [
            {
                "id": m.id,
                "path": m.path,
                "runtime": m.runtime,
                "threads": m.threads,
                "accelerator": m.accelerator,
                "device": encode(m.device),
                "steps": [encode(step) for step in curve(m)],
                "warnings": [encode(caveat) for caveat in checks.caveats(m)],
            }
            for m in measurements
        ]
    }


def _one(m: Measurement) -> str:
    steps = curve(m)
    slowest = max((step.median_s for step in steps if step.median_s is not None), default=None)
    threads = f"{m.threads} thread{'s' if m.threads > 1 else ''}"
    title = f"{m.variant or printable(Path(m.path).name)} {m.precision} in {m.runtime}, {threads} on {m.device.name}"
    short = bool(steps) and steps[-1].end_s < SHORT_S
    columns = (Column("until, s" if short else "until, min", "decimal"), *COLUMNS)
    rows = [_row(step, slowest, 1.0 if short else 60.0) for step in steps]
    return f"{title}\n{text(Table(columns, rows))}"


def _row(step: Step, slowest: float | None, unit_s: float) -> list[str]:
    bar = "" if step.median_s is None or not slowest else "#" * max(1, round(BAR * step.median_s / slowest))
    return [
        f"{step.end_s / unit_s:.1f}",
        f"{step.launches}" + (f" (+{step.failed} failed)" if step.failed else ""),
        UNKNOWN if step.median_s is None else significant(step.median_s * 1e3),
        "" if step.change is None else f"{step.change * 100:+.1f}",
        UNKNOWN if step.temperature_c is None else f"{step.temperature_c:.1f}",
        UNKNOWN if step.thermal_status is None else str(step.thermal_status),
        UNKNOWN if step.limit_share is None else f"{step.limit_share * 100:.0f}",
        bar,
    ]
