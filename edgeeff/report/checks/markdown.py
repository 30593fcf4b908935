"""Checks -> Markdown, for a comment on a pull request or a step's summary."""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.compare import Check, Figure
from edgeeff.report import _table
from edgeeff.report._table import Column, Table
from edgeeff.report.checks.sentence import NAMES, amount, conditions, headline, percent, word

FIGURES = ("size", "memory", "startup", "delegated")
"""What stands beside latency, in this order."""

MARKER = "<!-- edgeeff check -->"
"""The first line, by which a bot finds its earlier comment and replaces it."""


def render(checks: Sequence[Check]) -> str:
    """The verdict, a table of the models, and what is to be said of those that are not fine."""
    columns = [
        Column("model"),
        Column("verdict"),
        Column("latency, %", "decimal"),
        Column("99 % interval, %", "decimal"),
    ]
    columns += [*(Column(NAMES.get(name, name)) for name in FIGURES), Column("launches", "decimal")]
    rows = [_cells(check) for check in checks]
    parts = [MARKER, f"### edgeeff check: {_table.escape(headline(checks))}\n", _table.markdown(Table(columns, rows))]
    told = [f"- **{_table.escape(check.name)}**: {_table.escape(line)}\n" for check in checks for line in check.reasons]
    told += [f"- {_table.escape(line)}\n" for line in dict.fromkeys(conditions(check) for check in checks) if line]
    return "\n".join(parts) + ("\n" + "".join(told) if told else "")


def _cells(check: Check) -> list[str]:
    ratio = "-" if check.ratio is None else percent(check.ratio)
    interval = "-" if check.low is None or check.high is None else f"{percent(check.low)} .. {percent(check.high)}"
    figures = {figure.name: figure for figure in check.figures}
    shown = [_shown(figures.get(name)) for name in FIGURES]
    return [check.name, word(check), ratio, interval, *shown, str(check.launches)]


def _shown(figure: Figure | None) -> str:
    """Both sides, or the one value that both have; the growth is that of the file alone, which does not vary."""
    if figure is None or (figure.baseline is None and figure.candidate is None):
        return "-"
    before, now = (amount(value, figure.unit) for value in (figure.baseline, figure.candidate))
    growth = f" ({figure.growth * 100:+.1f} %)" if figure.name == "size" and figure.growth is not None else ""
    return f"{now if before == now else f'{before} -> {now}'}{growth}"
