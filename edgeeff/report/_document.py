"""The report as sections of tables and sentences, which the renderers for people share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgeeff.objective import objective
from edgeeff.report._numbers import percent, significant, with_interval
from edgeeff.report._table import Column, Table
from edgeeff.report._verdict import milliseconds
from edgeeff.report.values import Correlation, Group, Paired, Report, Row, Settings
from edgeeff.values import Accuracy

UNKNOWN = "unknown"
NONE = "-"
"""Where there is nothing to know: the rank of a row that is not ranked."""

SCORE_DIGITS = 3
"""Significant digits of an objective: accuracies have no more."""


@dataclass(frozen=True, slots=True)
class Section:
    """A title, a table and the lines under it; either may be missing. `level` 1 opens a group."""

    title: str
    table: Table | None = None
    lines: tuple[str, ...] = ()
    level: int = 2


def document(report: Report, *, rows: bool = True) -> Iterator[Section]:
    """All that a person reads, in order; the verdict comes last.

    Args:
        rows: whether the tables of all rows are wanted; a page that lets its reader sort them has its own.
    """
    for group in report.groups:
        yield Section(group.title, level=1)
        if rows:
            yield _standing(group, report.settings)
        yield _ranges(group, report.settings)
        table = _flops_table(group, report.settings) if rows else None
        yield Section("Do FLOPS stand for latency here?", table, tuple(_flops_lines(group, report.settings)))
        yield _published(group, report.settings)
    prefixes = [f"{name}: " for name in report.group_names] if len(report.groups) > 1 else [""]
    named = list(zip(prefixes, report.groups, strict=False))
    notes = [f"{name}{note}" for name, group in named for note in group.notes] + list(report.notes)
    if notes:
        yield Section("Notes", lines=tuple(notes))
    yield Section("Verdict", lines=tuple(f"{name}{group.verdict}" for name, group in named))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:g}"


def _formula(settings: Settings) -> str:
    w = settings.exponents
    values = f"{w.alpha:g}" if w.alpha == w.beta else f"{w.alpha:g} within T and {w.beta:g} beyond it"
    return f"Ranked by the {w.name} objective ACC * (LAT / {_ms(settings.target_s)} ms)^w, w = {values}"


def _standing(group: Group, settings: Settings) -> Section:
    """The main table: latency, target, accuracy, objectives and rank."""
    chosen = settings.exponents.name
    others = [name for name in ("soft", "hard") if name != chosen]
    footnotes = _numbered(row.accuracy_note for row in group.rows)
    accelerated = _accelerated(group)
    columns = [Column("rank", "decimal"), Column("variant"), Column("format"), Column("precision"), Column("runtime")]
    columns += [Column("accelerator")] if _accelerated(group) else []
    columns += [Column("median, ms", "decimal"), Column(f"meets {_ms(settings.target_s)} ms")]
    columns += [Column("top-1, %", "decimal")]
    columns += [Column(name, "decimal") for name in (chosen, *others)]
    rows = []
    for row in group.rows:
        accuracy = f"{_top1(row.accuracy)} {row.accuracy.provenance}" if row.accuracy else UNKNOWN
        cells = [NONE if row.rank is None else str(row.rank), *_identity(row, accelerated)]
        cells += [milliseconds(row), row.meets_target]
        cells += [f"{accuracy} [{footnotes[row.accuracy_note]}]", _score(row, chosen, interval=True)]
        cells += [_score(row, name) for name in others]
        rows.append(cells)
    lines = [f"{_formula(settings)} (MnasNet, section 3.1); more is better.", _interval_line(group)]
    lines += [f"[{number}] {note}" for note, number in footnotes.items()]
    lines += [_paired_line(found, chosen) for found in group.paired]
    return Section("Against the target", Table(columns, rows), tuple(lines))


def _top1(accuracy: Accuracy) -> str:
    """In percent, with its interval where it has one."""
    if accuracy.interval is None:
        return percent(accuracy.top1)
    low, high = (f"{end * 100:.1f}" for end in accuracy.interval)
    return f"{accuracy.top1 * 100:.1f} [{low}, {high}]"


def _paired_line(found: Paired, exponents: str) -> str:
    """A file beside the one that it was evaluated against."""
    right, ratio = found.right, found.ratio
    points = f"{right.difference * 100:+.1f} [{', '.join(f'{end * 100:+.1f}' for end in right.interval)}] points"
    times = with_interval(ratio.value, ratio.low, ratio.high, digits=SCORE_DIGITS)
    return (
        f"On the same {right.total} images {found.row.label} has {points} of top-1 against {found.other.label}, and "
        f"{times} times its {exponents} objective."
    )


def _numbered(notes: Iterable[str]) -> dict[str, int]:
    """Each note once, with its number from 1."""
    return {note: number for number, note in enumerate(dict.fromkeys(notes), 1)}


def _accelerated(group: Group) -> bool:
    return any(row.measurement.accelerator != "cpu" for row in group.rows)


def _identity(row: Row, accelerated: bool) -> list[str]:
    m = row.measurement
    return [row.name, m.format, m.precision, m.runtime, *([m.accelerator] if accelerated else [])]


def _score(row: Row, exponents: str, *, interval: bool = False) -> str:
    score = row.objectives.get(exponents)
    if score is None:
        return UNKNOWN
    if interval:
        return with_interval(score.value, score.low, score.high, digits=SCORE_DIGITS)
    return significant(score.value, SCORE_DIGITS)


def _interval_line(group: Group) -> str:
    levels = {row.latency.interval.level for row in group.rows if row.latency.interval is not None}
    if not levels:
        return "Median of the launches' medians; no interval, since no file was launched more than once."
    low, high = (f"{level * 100:.3g}" for level in (min(levels), max(levels)))
    level = f"{low} %" if low == high else f"{low} to {high} %"
    few = "" if min(levels) >= 0.95 else " (fewer than six launches cannot reach 95 %)"
    follows = "the objective's follows from it"
    if any(row.accuracy and row.accuracy.interval for row in group.rows):
        follows = "the objective's follows from it and from that of a counted top-1 (Wilson's, 95 %)"
    return f"Median of the launches' medians, with its {level} interval in brackets{few}; {follows}."


def _ranges(group: Group, settings: Settings) -> Section:
    """Who wins for which T."""
    title = "Which target makes whom the winner"
    names = {name: ranges for name, ranges in group.winners.items() if ranges}
    if not names:
        return Section(title, lines=("Unknown: no row has both an accuracy and a latency.",))
    columns = [Column("objective"), Column("T from, ms", "decimal"), Column("to, ms", "decimal"), Column("winner")]
    cells = []
    for name, ranges in names.items():
        for piece in ranges:
            ends = (_ms_end(piece.low), "any" if math.isinf(piece.high) else _ms_end(piece.high))
            cells.append([name, *ends, group.rows[piece.winner].label])
    lines = ["From the medians. Of rows that tie, the faster wins."]
    if "soft" in names:
        lines.append("With one w for all latencies (soft), T scales every row alike: the order does not depend on it.")
    return Section(title, Table(columns, cells), tuple(lines))


def _ms_end(seconds: float) -> str:
    return significant(seconds * 1e3, 3)


def _flops_table(group: Group, settings: Settings) -> Table:
    """FLOPS against latency, and the objective on FLOPS."""
    accelerated = _accelerated(group)
    columns = [Column("rank on FLOPS", "decimal"), Column("variant"), Column("format"), Column("precision")]
    columns += [Column("runtime"), *([Column("accelerator")] if _accelerated(group) else [])]
    columns += [Column("multiply-adds, M", "decimal"), Column("median, ms", "decimal"), Column("GMAC/s", "decimal")]
    columns += [Column("objective on FLOPS", "decimal")]
    rows = []
    for row in sorted(group.rows, key=lambda row: row.macs_rank or math.inf):
        macs, median = row.measurement.macs, row.latency.median_s
        cells = [NONE if row.macs_rank is None else str(row.macs_rank), *_identity(row, accelerated)]
        cells += [f"{macs / 1e6:.1f}" if macs else UNKNOWN, significant(median * 1e3) if median else UNKNOWN]
        cells += [significant(macs / median / 1e9) if macs and median else UNKNOWN]
        cells += [UNKNOWN if row.macs_objective is None else significant(row.macs_objective, SCORE_DIGITS)]
        rows.append(cells)
    return Table(columns, rows)


def _flops_lines(group: Group, settings: Settings) -> Iterator[str]:
    target = f"{settings.target_macs / 1e6:g} M"
    yield f"ACC * (FLOPS / {target})^w with FLOPS in multiply-adds, as EfficientNet-B0 was searched (its section 4)."
    yield from _correlation_lines(group.correlations)


def _correlation_lines(correlations: Sequence[Correlation]) -> Iterator[str]:
    unknown = [found.configuration for found in correlations if found.rho is None]
    for found in correlations:
        yield from _correlation_line(found)
    if unknown:
        yield (
            f"Spearman's rank correlation is unknown for {'; '.join(unknown)}: "
            "fewer than three different networks; bench more variants."
        )


def _correlation_line(found: Correlation) -> Iterator[str]:
    if found.rho is not None:
        yield (
            f"{found.configuration}: Spearman's rank correlation of multiply-adds and latency is {found.rho:.2f} "
            f"({found.points} files, {found.networks} networks)."
        )
    for label, factor in found.outliers.items():
        pace = f"{factor:.2f} times slower" if factor > 1 else f"{1 / factor:.2f} times faster"
        line = "the common line (Theil-Sen on logarithms)"
        yield f"Outlier of {found.configuration}: {label} is {pace} than {line} says."
    if found.inversion is not None:
        small, large, macs, latency = found.inversion
        share = "about" if macs > 0.995 else f"{macs:.2f} times"
        yield f"FLOPS mislead: {small} has {share} the multiply-adds of {large}, yet takes {latency:.2f} times as long."


def _published(group: Group, settings: Settings) -> Section:
    """Other people's latencies beside the ones measured here."""
    columns = [
        Column("network"),
        Column("precision"),
        Column("device"),
        Column("accelerator"),
        Column("threads", "decimal"),
    ]
    columns += [
        Column("published, ms", "decimal"),
        Column("here, ms", "decimal"),
        Column("here / published", "decimal"),
    ]
    columns += [Column("runtime here"), Column("source")]
    sources = list(dict.fromkeys(entry.source for entry, _ in group.published))
    rows, anchors = [], []
    for entry, row in group.published:
        here = row.latency.median_s if row else None
        cells = [entry.network, entry.precision, entry.device, entry.accelerator]
        cells += [UNKNOWN if entry.threads is None else str(entry.threads), significant(entry.latency_s * 1e3)]
        # One thread against four, or against nobody knows how many, is no ratio of two devices.
        alike = here is not None and entry.threads == group.threads
        cells += [significant(here * 1e3) if here else NONE]
        cells += [significant(here / entry.latency_s) if here and alike else NONE]
        cells += [row.measurement.runtime if row else NONE, f"[{sources.index(entry.source) + 1}]"]
        rows.append(cells)
        if entry.top1 is not None:
            score = objective(entry.top1, entry.latency_s, settings.target_s, settings.exponents)
            anchors.append(f"{entry.network} {significant(score)}")
    lines = ["Published latencies are another device's: for orientation, never a limit. A ratio needs equal threads."]
    lines.append(f"Their {settings.exponents.name} objective at T = {_ms(settings.target_s)} ms: {', '.join(anchors)}.")
    lines += [f"[{number}] {source}" for number, source in enumerate(sources, 1)]
    return Section("Published latencies, of other devices", Table(columns, rows), tuple(lines))
