"""What the recorded runs of `int8` say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeeff.evaluation.scores import Comparison
from edgeeff.report._table import Column, Table

from ._measure import Cost
from ._tables import call_ratio

FLOAT = "float"


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool made of a network; `error` where it made nothing."""

    network: str
    format: str
    route: str
    cost: Cost
    path: Path | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A file that was made, against the float file: on crops of the photos held out, and on more photos if given."""

    result: Result
    size_bytes: int
    comparison: Comparison
    more: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """One process: for each route, and for `FLOAT`, the nanoseconds of its calls; the n-th of all in one round."""

    network: str
    format: str
    threads: int
    samples_ns: dict[str, tuple[int, ...]]


def table(results: Sequence[Result], judged: Sequence[Judged], timed: Sequence[Timed]) -> Table:
    """A row for each file, and one for the float file loaded twice, which shows how far the ratios can be trusted."""
    columns = [Column("network"), Column("format"), Column("tool")]
    titles = ["SQNR, dB", "same class"]
    more = [found.more.agreement for found in judged if found.more]
    if more:
        count = next((share.total for share in more if share), 0)
        titles += [f"SQNR, {count} photos", "same class of them"]
    columns += [Column(title, "decimal") for title in (*titles, "size, MB")]
    columns += [Column(title, "decimal") for title in ("time / float, 1 thread", "2 threads", "CPU, s")]
    rows = []
    for network, format_name in dict.fromkeys((r.network, r.format) for r in results):
        for found in judged:
            if (found.result.network, found.result.format) == (network, format_name):
                rows.append([network, format_name, *_row(found, timed, bool(more))])
        again = _ratios(timed, network, format_name, f"{FLOAT} again")
        rows.append([network, format_name, f"{FLOAT} again", *[""] * (len(titles) + 1), *again, ""])
    return Table(columns, rows)


def _row(found: Judged, timed: Sequence[Timed], more: bool) -> list[str]:
    result = found.result
    share = None if found.comparison.agreement is None else found.comparison.agreement.value
    shown = [_sqnr(found.comparison), "-" if share is None else f"{share:.3f}"]
    if more:
        shown += ["-", "-"] if found.more is None else [_sqnr(found.more), _share(found.more)]
    ratios = _ratios(timed, result.network, result.format, result.route)
    return [result.route, *shown, f"{found.size_bytes / 1e6:.2f}", *ratios, f"{result.cost.cpu_s:.0f}"]


def _sqnr(comparison: Comparison) -> str:
    interval = comparison.sqnr_interval
    return f"{comparison.sqnr_db:.1f}" + (f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else "")


def _share(comparison: Comparison) -> str:
    """With its interval: these photos do not share scenes."""
    if comparison.agreement is None:
        return "-"
    low, high = comparison.agreement.interval
    return f"{comparison.agreement.value:.3f} [{low:.3f}, {high:.3f}]"


def _ratios(timed: Sequence[Timed], network: str, format_name: str, route: str) -> list[str]:
    """The median over processes of the calls' median ratio, with the least and most, for one thread and for two."""
    shown = []
    for threads in (1, 2):
        ratios = [
            call_ratio(t.samples_ns[route], t.samples_ns[FLOAT])
            for t in timed
            if (t.network, t.format, t.threads) == (network, format_name, threads)
        ]
        ends = f" ({min(ratios):.2f} - {max(ratios):.2f})" if len(ratios) > 1 else ""
        shown.append(f"{statistics.median(ratios):.2f}{ends}" if ratios else "-")
    return shown
