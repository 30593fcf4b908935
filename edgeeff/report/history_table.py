"""Series of the history as tables and as JSON: where each stands, where it changed, whether it creeps."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeeff.history.change_points import LEAST_SEGMENT, MOST_POINTS, Creep, Step, creep, steps
from edgeeff.history.points import Key, Point
from edgeeff.report import _table
from edgeeff.report._numbers import with_interval
from edgeeff.report._table import Column, Table

WIDTH = 112
"""Of the sentences below the tables."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A series and what was found in it; `creep` is of the points since the last step."""

    key: Key
    points: tuple[Point, ...]
    steps: tuple[Step, ...]
    creep: Creep | None


def trends(series: Mapping[Key, Sequence[Point]]) -> list[Trend]:
    """Looks for steps and creep in each series, the latest points of it."""
    found = []
    for key, points in sorted(series.items(), key=lambda item: repr(item[0])):
        latest = tuple(points[-MOST_POINTS:])
        values = [point.value for point in latest]
        made = steps(values)
        since = values[made[-1].index :] if made else values
        found.append(Trend(key, latest, tuple(made), creep(since)))
    return found


def history_text(found: Sequence[Trend], *, details: bool) -> str:
    """One table of the latencies and one of the ratios, as far as there are some; ends in a line break.

    Args:
        details: every point as well.
    """
    parts = []
    for reference in (False, True):
        part = [trend for trend in found if bool(trend.key.reference) == reference]
        if part:
            parts.append(_table.text(Table(_columns(reference), [_cells(trend) for trend in part])))
    if details:
        parts += [_details(trend) for trend in found]
    parts.append("".join(f"{textwrap.fill(line, WIDTH)}\n" for line in _words(found)))
    return "\n".join(parts)


def _columns(reference: bool) -> list[Column]:
    names = [Column(name) for name in ("device", "model", "format", "precision", "runtime")]
    value = "latest, times the reference" if reference else "latest median, ms"
    names += [Column("reference")] if reference else []
    numbers = [Column("threads", "decimal"), Column("points", "decimal"), Column(value, "decimal")]
    return [*names, *numbers, Column("since the first, %", "decimal"), Column("found")]


def _cells(trend: Trend) -> list[str]:
    key, points = trend.key, trend.points
    change = "-" if len(points) == 1 else f"{(points[-1].value / points[0].value - 1) * 100:+.1f}"
    names = [key.device, key.model, key.format, key.precision, key.runtime]
    names += [key.reference[:8]] if key.reference else []
    return [*names, str(key.threads), str(len(points)), _value(trend.key, points[-1]), change, _found(trend)]


def _value(key: Key, point: Point) -> str:
    if key.reference:  # to 0.1 %: creep is made of steps as small as that
        ends = "" if point.low is None or point.high is None else f" [{point.low:.3f}, {point.high:.3f}]"
        return f"{point.value:.3f}{ends}"
    low, high = (None if end is None else end * 1e3 for end in (point.low, point.high))
    return with_interval(point.value * 1e3, low, high)


def _found(trend: Trend) -> str:
    parts = [f"step {step.change * 100:+.1f} % on {_day(trend.points[step.index])}" for step in trend.steps]
    if trend.creep is not None:
        parts.append(f"creep {trend.creep.change * 100:+.1f} %{' since' if trend.steps else ''}")
    if len(trend.points) < 2 * LEAST_SEGMENT:
        parts.append(f"too few to judge: it takes {2 * LEAST_SEGMENT}")
    return ", ".join(parts) or "nothing"


def _day(point: Point) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(point.created_unix_s))


def _details(trend: Trend) -> str:
    key = trend.key
    unit = "times the reference" if key.reference else "median, ms"
    names = [Column("file"), Column("edgeeff"), Column("step before it")]
    columns = [Column("time, UTC"), Column("session"), Column(unit, "decimal"), *names]
    marks = {step.index: f"{step.change * 100:+.1f} % (p = {step.p_value:.3f})" for step in trend.steps}
    rows = [_point(key, point, marks.get(number, "")) for number, point in enumerate(trend.points)]
    threads = f"{key.threads} thread{'s' if key.threads != 1 else ''}"
    title = f"{key.model} {key.precision} {key.format} on {key.runtime}, {key.device}, {threads}"
    return f"{title}\n{_table.text(Table(columns, rows))}"


def _point(key: Key, point: Point, mark: str) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(point.created_unix_s))
    return [when, point.session, _value(key, point), point.sha256[:8], point.tool_version, mark]


def _words(found: Sequence[Trend]) -> list[str]:
    lines = []
    if any(not trend.key.reference for trend in found):
        lines.append(
            "Latencies of different days differ by what the machine did, so a step may be the machine's. They gate "
            "nothing: edgeeff check compares two files in one session."
        )
    if any(trend.key.reference for trend in found):
        lines.append(
            "Times the reference, the file of that SHA-256: the two sides of a check run in one session, so the "
            "machine's own changes cancel. Where the file of one check is the baseline of another, their ratios are "
            "multiplied."
        )
    return lines


def history_json(found: Sequence[Trend]) -> dict[str, Any]:
    """The same for scripts; seconds, or ratios where there is a reference."""
    return {
        "series": [
            {
                **asdict(trend.key),
                "points": [asdict(point) for point in trend.points],
                "steps": [asdict(step) for step in trend.steps],
                "creep": None if trend.creep is None else asdict(trend.creep),
            }
            for trend in found
        ]
    }
