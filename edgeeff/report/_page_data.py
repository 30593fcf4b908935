"""Report -> the data of the HTML page: columns of numbers, and text once each, so that 100,000 rows stay small.

A column is {"type": one of numpy's names without the byte order, little-endian, "base64": its bytes}: a browser reads
it at once, and it takes half the time to write that numbers in decimals take.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeeff import stats
from edgeeff.profiling.profiles import ADDED, Profile
from edgeeff.report._plots import ISO_LOSSES, MOST_PAIRS, pareto, precision_pairs
from edgeeff.report.to_json import plain
from edgeeff.report.values import Correlation, Group, Report, Row
from edgeeff.values import DeviceState, Launch

DETAILED_ROWS = 100
"""In each group, so many rows (the best ranked first) keep their raw samples and conditions in the page."""

SAMPLES_A_LAUNCH = 200
"""More are thinned evenly: a plot 600 pixels high shows no more."""

DIGITS = 6
"""Significant digits of the raw samples; no latency is measured to more."""


def page_data(report: Report, profiles: Sequence[Profile] = ()) -> dict[str, Any]:
    """A JSON object: settings, groups, and one column a quantity over the rows of all groups.

    A column of text is {"values": the different texts, "codes": a column of indices into them}. Times are in
    milliseconds. Not-a-number is unknown.
    """
    rows = [row for group in report.groups for row in group.rows]
    w = report.settings.exponents
    offsets = _offsets(report.groups)
    return {
        "target_ms": report.settings.target_s * 1e3,
        "w": {"name": w.name, "alpha": w.alpha, "beta": w.beta},
        "iso_losses": ISO_LOSSES,
        "most_pairs": MOST_PAIRS,
        "groups": [_group(*each) for each in zip(report.group_names, report.groups, offsets, strict=True)],
        "columns": _columns(rows),
        "profiles": [_profile(profile) for profile in reversed(profiles)],
        "details": {
            str(offset + i): _details(row)
            for group, offset in zip(report.groups, offsets, strict=True)
            for i, row in enumerate(group.rows[:DETAILED_ROWS])
        },
    }


def _offsets(groups: Sequence[Group]) -> list[int]:
    """The index of each group's first row among the rows of all groups."""
    starts, start = [], 0
    for group in groups:
        starts.append(start)
        start += len(group.rows)
    return starts


def _group(name: str, group: Group, offset: int) -> dict[str, Any]:
    pairs = [dataclasses.asdict(pair) for pair in precision_pairs(group.rows)]
    return {
        "name": name,
        "first": offset,
        "count": len(group.rows),
        "front": [offset + index for index in pareto(group.rows)],
        "pairs": [plain({**pair, "base": offset + pair["base"], "other": offset + pair["other"]}) for pair in pairs],
        "correlations": [_correlation(found) for found in group.correlations],
        "detailed": min(len(group.rows), DETAILED_ROWS),
    }


def _correlation(found: Correlation) -> dict[str, Any]:
    return {"configuration": found.configuration, "rho": found.rho, "networks": found.networks}


def _columns(rows: Sequence[Row]) -> dict[str, Any]:
    measurements = [row.measurement for row in rows]
    latencies, accuracies = [row.latency for row in rows], [row.accuracy for row in rows]
    intervals = [latency.interval for latency in latencies]
    sure = [latency.sure_bounds_s for latency in latencies]
    return {
        "name": _texts(row.name for row in rows),
        "format": _texts(m.format for m in measurements),
        "precision": _texts(m.precision for m in measurements),
        "runtime": _texts(m.runtime for m in measurements),
        "accelerator": _texts(m.accelerator for m in measurements),
        "weights": _texts(m.weights or "unknown" for m in measurements),
        "file": _texts(m.path for m in measurements),
        "provenance": _texts(row.accuracy.provenance if row.accuracy else "unknown" for row in rows),
        "accuracy_note": _texts(row.accuracy_note for row in rows),
        "caveats": _texts("; ".join(c.message for c in row.caveats) for row in rows),
        "median_ms": _measured(_ms(latency.median_s) for latency in latencies),
        "median_ms_low": _measured(_ms(i.low) if i else None for i in intervals),
        "median_ms_high": _measured(_ms(i.high) if i else None for i in intervals),
        "sure_low_ms": _measured(_ms(i[0]) if i else None for i in sure),
        "sure_high_ms": _measured(_ms(i[1]) if i else None for i in sure),
        "p90_ms": _measured(_ms(latency.p90_s) for latency in latencies),
        "top1": _exact(accuracy.top1 if accuracy else None for accuracy in accuracies),
        "top1_low": _exact(accuracy.interval[0] if accuracy and accuracy.interval else None for accuracy in accuracies),
        "top1_high": _exact(
            accuracy.interval[1] if accuracy and accuracy.interval else None for accuracy in accuracies
        ),
        "macs": _exact(m.macs for m in measurements),
        "parameters": _exact(m.parameters for m in measurements),
        "size_bytes": _exact(m.size_bytes for m in measurements),
        "launches": _exact(latency.launches for latency in latencies),
        "failed": _exact(latency.failed for latency in latencies),
    }


def _profile(profile: Profile) -> dict[str, Any]:
    """A profile's ops; the steps that the runtime added are called so."""
    threads = f"{profile.threads} thread{'s' if profile.threads != 1 else ''}"
    name = profile.variant or Path(profile.path).name
    title = f"{name} {profile.precision} {profile.format} on {profile.runtime}, {profile.device.name}, {threads}"
    names: Counter[str] = Counter()
    ops = []
    for op in profile.ops:
        label = op.name or f"{ADDED} {op.kernel}"
        names[label] += 1
        unique = label if names[label] == 1 else f"{label} #{names[label]}"
        ops.append({"name": unique, "kind": op.kind if op.name else ADDED, "ms": op.time_s * 1e3, "macs": op.macs})
    how = f"measured by {profile.method}, {len(profile.profiled_s)} launches of {profile.runs} runs"
    return {"title": title, "how": how, "ops": plain(ops)}


def _texts(values: Iterable[str]) -> dict[str, Any]:
    """Each text once, and its number for every row."""
    numbers: dict[str, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return {"values": list(numbers), "codes": _packed("uint16" if len(numbers) <= 2**16 else "uint32", codes)}


def _measured(values: Iterable[float | None]) -> dict[str, str]:
    """A column of what was measured: seven digits, and no latency is measured to more."""
    return _packed("float32", [math.nan if value is None else value for value in values])


def _exact(values: Iterable[float | None]) -> dict[str, str]:
    return _packed("float64", [math.nan if value is None else value for value in values])


_CODES = {"uint16": "H", "uint32": "I", "float32": "f", "float64": "d"}


def _packed(kind: str, values: Sequence[float]) -> dict[str, str]:
    column = array(_CODES[kind], values)
    if sys.byteorder == "big":
        column.byteswap()
    return {"type": kind, "base64": base64.b64encode(column.tobytes()).decode()}


def _rounded(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _details(row: Row) -> dict[str, Any]:
    """Raw samples and conditions of each launch that succeeded, in the order in which they ran."""
    launches = stats.succeeded(row.measurement)
    began = launches[0].started_unix_s if launches else 0.0
    return {
        "samples_ms": [_rounded(ns / 1e6 for ns in _thinned(launch.samples_ns)) for launch in launches],
        "conditions": [_conditions(launch, began) for launch in launches],
    }


def _thinned(samples: Sequence[int]) -> Sequence[int]:
    step = -(-len(samples) // SAMPLES_A_LAUNCH) if samples else 1
    return samples[::step]


def _conditions(launch: Launch, began: float) -> dict[str, Any]:
    """The state of the device before a launch, and the launch's median."""
    state = launch.state_before or DeviceState()
    clocks = state.cpu_frequency_khz
    found: dict[str, Any] = plain(
        {
            "at_s": launch.started_unix_s - began,
            "median_ms": stats.launch_median_s(launch) * 1e3,
            "temperature_c": state.temperature_c,
            "clock_mhz": max(clocks) / 1e3 if clocks else None,
            "load": state.load_1min,
        }
    )
    return found
