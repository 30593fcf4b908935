"""Report -> the page's figures as image files for papers, PNG and SVG, by matplotlib."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff import stats
from edgeeff.errors import MissingExtraError
from edgeeff.files import replacing
from edgeeff.objective import Exponents
from edgeeff.report._plots import ISO_LOSSES, pareto, precision_pairs
from edgeeff.report._verdict import milliseconds
from edgeeff.report.values import Group, Report, Row, Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLOURS = {
    "fp32": "#0072B2", "fp16": "#56B4E9", "int8": "#D55E00", "mixed": "#E69F00", "int8-weights": "#009E73",
    "dynamic": "#CC79A7",
}  # fmt: skip
"""Okabe and Ito's, which colour-blind readers tell apart; the page has the same."""
MARKERS = {"tflite": "o", "onnx": "D"}
SIZE_IN = (6.4, 4.0)
MOST_TOLD = 6
"""Correlations above a figure."""
PNG_DPI = 200

WIDE = 3.0
"""Samples of so many times the median would press all others together: they are drawn on a logarithmic axis."""


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Writes each figure of each group as GROUP-FIGURE.png and .svg; a figure that would be empty is left out.

    The same report gives the same bytes.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: the folder cannot be written.
    """
    pyplot = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    used: set[str] = set()  # titles that differ only in signs make one name
    for title, group in zip(report.group_names, report.groups, strict=True):
        for name, figure in _figures(group, report.settings):
            plain = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{title}-{name}").strip("-.")
            numbered = (f"{plain}-{number}" for number in count(2))
            stem = next(stem for stem in chain([plain], numbered) if stem.lower() not in used)
            used.add(stem.lower())  # some file systems do not tell a from A
            for path in (folder / f"{stem}.png", folder / f"{stem}.svg"):
                with replacing(path) as temporary:
                    form = path.suffix[1:]
                    # No date, so that the bytes are reproducible.
                    metadata = {"Date": None} if form == "svg" else {"Software": "edgeeff"}
                    figure.savefig(temporary, format=form, dpi=PNG_DPI, bbox_inches="tight", metadata=metadata)
                written.append(path)
            pyplot.close(figure)
    return written


def _pyplot() -> Any:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "report", "figures") from error
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "edgeeff"
    from matplotlib import pyplot

    return pyplot


def _figures(group: Group, settings: Settings) -> Iterator[tuple[str, Figure]]:
    """The group's figures by name."""
    for name, draw in (
        ("accuracy", _accuracy),
        ("flops", _flops),
        ("precisions", _precisions),
        ("launches", _launches),
    ):
        figure = _figure(group, settings, draw)
        if figure is not None:
            yield name, figure


def _figure(group: Group, settings: Settings, draw: Callable[[Figure, Group, Settings], bool]) -> Figure | None:
    """The figure that `draw` fills; None where it says that there is nothing to show."""
    figure: Figure = _pyplot().figure(figsize=SIZE_IN, layout="constrained")
    if draw(figure, group, settings):
        return figure
    _pyplot().close(figure)
    return None


Ends = Callable[[Row], tuple[float, float] | None]
"""Of a row's interval, where it has one."""

MOST_BARS = 100
"""Points with bars of their intervals; more would hide one another."""


def _scatter(axes: Axes, rows: Sequence[Row], y: Callable[[Row], float], y_ends: Ends = lambda row: None) -> None:
    """One series for each precision and format, over the median latency in ms, with bars of the intervals."""
    series: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        series.setdefault((row.measurement.precision, row.measurement.format), []).append(row)
    for (precision, form), members in series.items():
        xs = [_ms(row) for row in members]
        colour, marker = COLOURS.get(precision, "#999999"), MARKERS.get(form, "s")
        ys = [y(row) for row in members]
        if len(rows) <= MOST_BARS:
            across, up = _bars(members, _ms, _latency_ends), _bars(members, y, y_ends)
            axes.errorbar(xs, ys, up, across, fmt="none", ecolor=colour, elinewidth=0.8, capsize=2, zorder=2)
        faces = ["none" if y is _top1 and not _is_own(row) else colour for row in members]
        label = f"{precision} {form}"
        axes.scatter(xs, ys, s=28, facecolors=faces, edgecolors=colour, marker=marker, label=label, zorder=3)
    axes.set_xscale("log")
    _round_ticks(axes.xaxis)
    axes.set_xlabel("median latency, ms")
    axes.grid(alpha=0.3)


def _round_ticks(axis: Axis) -> None:
    """Labels of a logarithmic axis that stand apart: at 1, 2 and 5, or where that makes too few, at more."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    steps = (1.0, 2.0, 5.0) if 0.7 < decades <= 4 else (1.0,) if decades > 4 else tuple(range(1, 10))
    axis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axis.set_major_formatter(lambda value, _: f"{value:.10g}")
    axis.set_minor_formatter(NullFormatter())


def _bars(rows: Sequence[Row], value: Callable[[Row], float], ends: Ends) -> list[list[float]]:
    """How far the intervals reach below and above; not-a-number where there is none, of which nothing is drawn."""
    pairs = [(value(row), ends(row) or (math.nan, math.nan)) for row in rows]
    return [[abs(middle - found[side]) for middle, found in pairs] for side in (0, 1)]


def _latency_ends(row: Row) -> tuple[float, float] | None:
    interval = row.latency.interval
    return None if interval is None else (interval.low * 1e3, interval.high * 1e3)


def _is_own(row: Row) -> bool:
    """Whether the accuracy was measured on the file; the symbol is open where it is the network's published one."""
    return row.accuracy is not None and row.accuracy.provenance == "measured"


def _top1_ends(row: Row) -> tuple[float, float] | None:
    if row.accuracy is None or row.accuracy.interval is None:
        return None
    low, high = row.accuracy.interval
    return low * 100, high * 100


def _ms(row: Row) -> float:
    assert row.latency.median_s is not None
    return row.latency.median_s * 1e3


def _top1(row: Row) -> float:
    assert row.accuracy is not None
    return row.accuracy.top1 * 100


def _accuracy(figure: Figure, group: Group, settings: Settings) -> bool:
    """Accuracy against latency, with the Pareto front, T, and lines of equal objective."""
    rows = [row for row in group.rows if row.rank is not None]
    if not rows:
        return False
    axes = figure.add_subplot()
    _scatter(axes, rows, _top1, _top1_ends)
    front = [group.rows[index] for index in pareto(group.rows)]
    steps = [_ms(row) for row in front], [_top1(row) for row in front]
    axes.step(*steps, where="post", color="black", ls="--", lw=1, label="Pareto front")
    target_ms = settings.target_s * 1e3
    axes.axvline(target_ms, color="#0b5cad", ls=":", lw=1, label=f"T = {target_ms:g} ms")
    limits = axes.get_xlim(), axes.get_ylim()
    _iso_lines(axes, rows[0].objectives[settings.exponents.name].value, target_ms, settings.exponents)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    kinds = {row.accuracy.provenance for row in rows if row.accuracy}
    opened = "; open: published" if len(kinds) > 1 else ""
    axes.set_ylabel(f"top-1, % ({', '.join(sorted(kinds))}{opened})")
    axes.legend(fontsize=7)
    return True


def _iso_lines(axes: Axes, best: float, target_ms: float, w: Exponents) -> None:
    low, high = axes.get_xlim()
    xs = [low * (high / low) ** (i / 120) for i in range(121)]
    for number, loss in enumerate(ISO_LOSSES):
        ys = [100 * best * (1 - loss) * (x / target_ms) ** -(w.alpha if x <= target_ms else w.beta) for x in xs]
        label = f"equal {w.name} objective" if number == 0 else None
        axes.plot(xs, ys, color="grey", lw=0.7, zorder=1, label=label)


def _flops(figure: Figure, group: Group, settings: Settings) -> bool:
    """Multiply-adds against latency, with the rank correlations."""
    rows = [row for row in group.rows if row.measurement.macs and row.latency.median_s]
    if not rows:
        return False
    axes = figure.add_subplot()
    _scatter(axes, rows, lambda row: (row.measurement.macs or 0) / 1e6)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.2, high * 1.2)  # networks of one size would stretch over the whole height
    _round_ticks(axes.yaxis)
    axes.set_ylabel("multiply-adds, M")
    found = [f"{c.configuration}: {c.rho:.2f} ({c.networks} networks)" for c in group.correlations if c.rho is not None]
    if found:
        more = [f"and {len(found) - MOST_TOLD} more: edgeeff report tells them"] if len(found) > MOST_TOLD else []
        axes.set_title("\n".join(["Spearman's rank correlation", *found[:MOST_TOLD], *more]), fontsize=8)
    axes.legend(fontsize=7)
    return True


def _precisions(figure: Figure, group: Group, settings: Settings) -> bool:
    """Latency and size of other precisions over fp32's, and what top-1 changes where it was measured."""
    pairs = precision_pairs(group.rows)
    if not pairs:
        return False
    figure.set_size_inches(SIZE_IN[0], 1.2 + 0.35 * len(pairs))
    names = [group.rows[pair.other].label for pair in pairs]
    changes = [math.nan if pair.top1_change is None else pair.top1_change * 100 for pair in pairs]
    parts = [
        ("latency / fp32", [pair.latency_ratio for pair in pairs], "#0072B2", ".2f"),
        ("size / fp32", [pair.size_ratio for pair in pairs], "#009E73", ".2f"),
        ("top-1 change, points", changes, "#D55E00", "+.1f"),
    ]
    parts = [part for part in parts if not all(map(math.isnan, part[1]))]
    for number, (title, values, colour, form) in enumerate(parts):
        axes = figure.add_subplot(1, len(parts), number + 1)
        bars = axes.barh(range(len(pairs)), values, color=colour)
        axes.set_ylim(len(pairs) - 0.5, -0.5)  # the same in all: of what is unknown there is no bar
        axes.set_yticks(range(len(pairs)), names if number == 0 else [""] * len(pairs), fontsize=7)
        axes.set_xlabel(title, fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.bar_label(bars, [f"{value:{form}}" for value in values], padding=2, fontsize=7)
        for place in (place for place, value in enumerate(values) if math.isnan(value)):
            axes.text(0, place, " unknown ", va="center", ha="right" if axes.get_xlim()[1] <= 0 else "left", fontsize=7)
        axes.margins(x=0.4)  # for the labels beyond the bars
    return True


def _launches(figure: Figure, group: Group, settings: Settings) -> bool:
    """Raw samples of the first-ranked file, launch by launch."""
    row = group.rows[0]
    samples = [[ns / 1e6 for ns in launch.samples_ns] for launch in stats.succeeded(row.measurement)]
    if not any(samples):  # none ran, or the runner keeps no raw samples
        return False
    axes = figure.add_subplot()
    axes.boxplot(samples, flierprops={"markersize": 2})
    if max(max(run, default=0.0) for run in samples) > WIDE * _ms(row):
        axes.set_yscale("log")
        _round_ticks(axes.yaxis)
    axes.set_xlabel("launch")
    axes.set_ylabel("latency, ms")
    axes.set_title(f"{row.label}: median {milliseconds(row)} ms", fontsize=9)
    return True
