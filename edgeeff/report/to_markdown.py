"""Report -> Markdown, as GitHub shows it."""

from __future__ import annotations

from edgeeff.report import _table
from edgeeff.report._document import Section, document
from edgeeff.report.values import Report


def render(report: Report) -> str:
    """Ends in a line break."""
    return "\n".join(_section(section) for section in document(report))


def _section(section: Section) -> str:
    parts = [f"{'#' * (section.level + 1)} {_table.escape(section.title)}\n"]
    if section.table is not None:
        parts.append(_table.markdown(section.table))
    if section.lines:
        parts.append("".join(f"- {_table.escape(line)}\n" for line in section.lines))
    return "\n".join(parts)
