"""A table of text, and its three renderings. Numbers are formatted by whoever knows their precision."""

from __future__ import annotations

import csv as csv_writer
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from edgeeff.wording import printable

Align = Literal["left", "decimal"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, with the unit ("median, ms"), and how its cells line up.

    "decimal" lines up the decimal points, so that cells may show different numbers of digits.
    """

    title: str
    align: Align = "left"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of ready text; every row has one cell a column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def _head(cell: str) -> int:
    """Length of what stands before the decimal point of the cell's first number; 0 for a word."""
    return len(cell.partition(" ")[0].partition(".")[0]) if cell.lstrip("-+")[:1].isdigit() else 0


def _aligned(column: Column, cells: Sequence[str]) -> list[str]:
    """The title and the cells, padded to one width."""
    if column.align == "decimal":
        head = max(map(_head, cells), default=0)
        numbers = {cell: " " * (head - _head(cell)) + cell for cell in cells if _head(cell)}
        body = max(map(len, numbers.values()), default=0)
        cells = [numbers[cell].ljust(body) if cell in numbers else cell for cell in cells]
    width = max(len(text) for text in (column.title, *cells))
    pad = str.rjust if column.align == "decimal" else str.ljust
    return [pad(text, width) for text in (column.title, *cells)]


def text(table: Table) -> str:
    """Aligned columns, a rule under the titles; for a terminal. Ends in a line break."""
    columns = [
        _aligned(replace(column, title=printable(column.title)), [printable(row[i]) for row in table.rows])
        for i, column in enumerate(table.columns)
    ]
    lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    rule = "  ".join("-" * len(cells[0]) for cells in columns)
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def escape(cell: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\|`*<])", r"\\\1", printable(cell))


def markdown(table: Table) -> str:
    """A GitHub-flavoured Markdown table. Ends in a line break."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(escape, cells)) + " |"

    rule = "|" + "|".join(" ---: " if c.align == "decimal" else " --- " for c in table.columns) + "|"
    return "\n".join([line([c.title for c in table.columns]), rule, *map(line, table.rows)]) + "\n"


def csv(table: Table) -> str:
    """Comma-separated values (RFC 4180's quoting), one line a row after the titles."""
    out = io.StringIO()
    writer = csv_writer.writer(out, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    writer.writerows(table.rows)
    return out.getvalue()
