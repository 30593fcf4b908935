"""FLOPS against latency: the premise of EfficientNet's search, tested on the device at hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby

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
    """The pair in which the network with fewer multiply-adds is slower by the largest ratio.

    From the most multiply-adds down, `larger` holds rows larger than the present one, ascending by the upper end of
    their interval and each faster than those before it: the best partner is the last that ends below the present
    row's lower end.
    """
    worst = None
    larger: list[tuple[float, float, Row]] = []
    for macs, group in groupby(sorted(_points(rows), key=lambda p: -p[1]), key=lambda p: p[1]):
        sure = [(row, median, row.latency.sure_interval) for row, _, median in group]
        members = [(row, median, interval) for row, median, interval in sure if interval is not None]
        for small, median, interval in members:
            place = bisect_left(larger, interval.low, key=_upper_end)
            if place:
                _, best, large = larger[place - 1]
                if worst is None or median / best > worst[3]:
                    worst = (small.label, large.label, macs / (large.measurement.macs or 1), median / best)
        for row, median, interval in members:
            _insert(larger, interval.high, median, row)
    return worst


def _upper_end(entry: tuple[float, float, Row]) -> float:
    return entry[0]


def _insert(larger: list[tuple[float, float, Row]], high: float, median: float, row: Row) -> None:
    """Adds a row unless one that is there ends earlier and is as fast; those that it beats so fall out."""
    place = bisect_left(larger, high, key=_upper_end)
    if place and larger[place - 1][1] <= median:
        return
    end = place
    while end < len(larger) and larger[end][1] >= median:
        end += 1
    larger[place:end] = [(high, median, row)]
