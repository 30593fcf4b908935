"""Report -> text for a terminal."""

from __future__ import annotations

import textwrap

from edgeeff.report import _table
from edgeeff.report._document import Section, document
from edgeeff.report.values import Report
from edgeeff.wording import printable

WIDTH = 110
"""Sentences are wrapped here; tables take what they need."""

UNBROKEN = "\N{NO-BREAK SPACE}%"


def render(report: Report) -> str:
    """Ends in a line break."""
    return "\n".join(_section(section) for section in document(report))


def _section(section: Section) -> str:
    parts = [printable(section.title) + "\n"]
    if section.level == 1:
        parts.append("=" * len(section.title) + "\n")
    if section.table is not None:
        parts.append(_table.text(section.table))
    for line in map(printable, section.lines):
        line = line.replace(" %", UNBROKEN)  # no line begins with a unit
        wrapped = textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        parts.append(wrapped.replace(UNBROKEN, " %") + "\n")
    return "".join(parts)
