"""What the recorded runs say: medians with their range, ratios within a round, and the targets."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeeff.report._table import Column, Table
from edgeeff.stats import median_interval

from ._measure import Cost

OURS = "edgeeff"


@dataclass(frozen=True, slots=True)
class Target:
    """The most that edgeeff's own conversion may use."""

    cpu_s: float
    peak_bytes: float = math.inf


TARGETS = {
    ("b0", "tflite"): Target(4, 0.5e9),
    ("b7", "tflite"): Target(8, 1.5e9),
    ("b0", "onnx"): Target(4),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One conversion: a route's of a variant, in a round of all routes."""

    variant: str
    format: str
    route: str
    round: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Pairs:
    """One process that called a variant's files of one format in turn; see `_pairs`."""

    variant: str
    format: str
    routes: tuple[str, ...]
    samples_ns: tuple[tuple[int, ...], ...]
    distances_db: tuple[float, ...]


def conversions(runs: Sequence[Run], sizes_bytes: Mapping[tuple[str, str, str], int]) -> Table:
    """CPU time and peak memory of each route, and its CPU time over edgeeff's of the same round."""
    columns = ("variant", "format", "route")
    numbers = ("rounds", "CPU, s", "peak, MB", "CPU / edgeeff's", "file, MB")
    rows = []
    for key in sorted({_key(run) for run in runs}, key=lambda key: (*key[:2], key[2] != OURS, key[2])):
        good = _good(runs, key)
        failed = next((run.cost.error for run in runs if _key(run) == key and run.cost.error), None)
        if not good:
            rows.append([*key, "0", f"failed: {failed}", "", "", ""])
            continue
        size = sizes_bytes.get(key)
        rows.append(
            [
                *key,
                str(len(good)),
                _ranged([cost.cpu_s for cost in good.values()], 2),
                _ranged([cost.peak_bytes / 1e6 for cost in good.values()], 0),
                _ranged(_ratios(good, _good(runs, (*key[:2], OURS))), 2),
                "" if size is None else f"{size / 1e6:.2f}",
            ]
        )
    return Table([*map(Column, columns), *(Column(title, "decimal") for title in numbers)], rows)


def verdicts(runs: Sequence[Run]) -> list[str]:
    """A line for each target on which there are runs: the medians beside it, met or missed."""
    lines = []
    for (variant, format_name), target in TARGETS.items():
        good = _good(runs, (variant, format_name, OURS)).values()
        if not good:
            continue
        cpu_s = statistics.median(cost.cpu_s for cost in good)
        peak_bytes = statistics.median(cost.peak_bytes for cost in good)
        parts = [f"{cpu_s:.2f} s of CPU, target {target.cpu_s:g}"]
        if math.isfinite(target.peak_bytes):
            parts.append(f"{peak_bytes / 1e9:.2f} GB, target {target.peak_bytes / 1e9:g}")
        met = cpu_s <= target.cpu_s and peak_bytes <= target.peak_bytes
        lines.append(f"{variant} to {format_name}: {'; '.join(parts)}: {'met' if met else 'MISSED'}")
    return lines


def latencies(pairs: Sequence[Pairs]) -> Table:
    """Each file's latency, and edgeeff's over it: the median over processes of the calls' median ratio."""
    columns = ("variant", "format", "route")
    numbers = ("processes", "latency, ms", "edgeeff's / this", "interval", "outputs apart, dB")
    rows = []
    for variant, format_name in dict.fromkeys((p.variant, p.format) for p in pairs):
        chosen = [p for p in pairs if (p.variant, p.format) == (variant, format_name)]
        for index, route in enumerate(chosen[0].routes):
            medians_ms = [statistics.median(p.samples_ns[index]) / 1e6 for p in chosen]
            row = [variant, format_name, route, str(len(chosen)), f"{statistics.median(medians_ms):.2f}"]
            if route != OURS:
                ratios = [call_ratio(p.samples_ns[p.routes.index(OURS)], p.samples_ns[index]) for p in chosen]
                interval = median_interval(ratios)
                bounds = f"{interval.low:.3f} - {interval.high:.3f} ({interval.level:.0%})" if interval else ""
                apart_db = min(p.distances_db[index] for p in chosen)
                row += [f"{statistics.median(ratios):.3f}", bounds, f"{apart_db:.1f}"]
            rows.append([*row, *[""] * (8 - len(row))])
    return Table([*map(Column, columns), *(Column(title, "decimal") for title in numbers)], rows)


def call_ratio(ours_ns: Sequence[int], theirs_ns: Sequence[int]) -> float:
    """The median over the rounds of ours / theirs, on a log scale, where swapping the sides only flips the sign."""
    return math.exp(statistics.median(math.log(a / b) for a, b in zip(ours_ns, theirs_ns, strict=True)))


def _key(run: Run) -> tuple[str, str, str]:
    return run.variant, run.format, run.route


def _good(runs: Sequence[Run], key: tuple[str, str, str]) -> dict[int, Cost]:
    """Round -> cost of a route's runs that succeeded."""
    return {run.round: run.cost for run in runs if _key(run) == key and run.cost.error is None}


def _ratios(costs: Mapping[int, Cost], ours: Mapping[int, Cost]) -> list[float]:
    return [cost.cpu_s / ours[number].cpu_s for number, cost in costs.items() if number in ours]


def _ranged(values: Sequence[float], digits: int) -> str:
    """ "4.21 (4.10 - 4.45)": the median, and least and most where there are several."""
    if not values:
        return ""
    middle, low, high = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low} - {high})"
