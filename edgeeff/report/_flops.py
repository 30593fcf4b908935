"""FLOPS against latency: the premise of EfficientNet's search, tested on the device at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from edgeeff.report._correlation import LEAST_POINTS, departures, spearman
from edgeeff.report.values import Correlation, Row


def correlations(rows: Sequence[Row]) -> tuple[Correlation, ...]:
    """One for each configuration (format, precision, runtime, accelerator), then one over all of them."""
    usable = [row for row in rows if row.measurement.macs and row.latency.median_s]
    by_configuration: dict[str, list[Row]] = {}
    for row in usable:
        by_configuration.setdefault(_configuration(row), []).append(row)
    found = [_correlation(name, members) for name, members in sorted(by_configuration.items())]
    if len(found) > 1:
        found.append(_correlation("all configurations", usable, with_inversion=False))
    return tuple(found)


def _configuration(row: Row) -> str:
    m = row.measurement
    return f"{m.precision} {m.format} on {m.runtime}" + ("" if m.accelerator == "cpu" else f", {m.accelerator}")


def _correlation(configuration: str, rows: Sequence[Row], *, with_inversion: bool = True) -> Correlation:
    points = list(_points(rows))
    macs, latencies = [p[1] for p in points], [p[2] for p in points]
    networks = len(set(macs))
    return Correlation(
        configuration,
        points=len(points),
        networks=networks,
        # Files of one or two networks would show the order of nothing but their formats.
        rho=spearman(macs, latencies) if networks >= LEAST_POINTS else None,
        outliers={points[i][0].label: factor for i, factor in departures(macs, latencies).items()},
        inversion=_inversion(rows) if with_inversion else None,
    )


def _points(rows: Sequence[Row]) -> Iterator[tuple[Row, float, float]]:
    for row in rows:
        if row.measurement.macs and row.latency.median_s:
            yield row, float(row.measurement.macs), row.latency.median_s


def _inversion(rows: Sequence[Row]) -> tuple[str, str, float, float] | None:
    """The pair in which the network with fewer multiply-adds is slower by the largest ratio."""
    worst = None
    for (small, small_macs, small_s), (large, large_macs, large_s) in permutations(_points(rows), 2):
        slow, fast = small.latency.sure_interval, large.latency.sure_interval
        if slow is None or fast is None or small_macs >= large_macs:
            continue
        ratio = small_s / large_s
        if slow.low > fast.high and (worst is None or ratio > worst[3]):
            worst = (small.label, large.label, small_macs / large_macs, ratio)
    return worst
