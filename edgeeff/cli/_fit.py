"""Text for a terminal: a table that is wider is shown in parts, as wrapped lines are no table."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence

import click

from edgeeff.cli._shared import plain

RULE = re.compile(r"-+(?:  -+)+")
"""What stands under the titles of a table: see edgeeff.report._table.text."""

KEYS_SHARE = 1 / 3
"""Of the width: the first columns, which say which row it is, stand in every part up to so much."""

Span = tuple[int, int]
"""Where a column begins and ends in a line."""


def print_text(text: str) -> None:
    """Prints what a command found; into a pipe or a file as it is."""
    text = plain(text)
    click.echo(fitted(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text, nl=False)


def fitted(text: str, width: int) -> str:
    """The text with each table in parts of at most `width` columns; a single column may be wider."""
    lines = text.split("\n")
    shown: list[str] = []
    at = 0
    while at < len(lines):
        rule = lines[at + 1] if at + 1 < len(lines) else ""
        end = at + 1
        if len(rule) > width and RULE.fullmatch(rule):
            spans = [found.span() for found in re.finditer("-+", rule)]
            end = at + 2
            while end < len(lines) and _is_row(lines[end], spans):
                end += 1
            while not lines[end - 1][spans[0][1] :].strip():  # one short sentence is no row
                end -= 1
            shown += _in_parts(lines[at:end], spans, width)
        else:
            shown.append(lines[at])
        at = end
    return "\n".join(shown)


def _is_row(line: str, spans: Sequence[Span]) -> bool:
    """Whether a line under a table has its gaps where the table has them."""
    return bool(line.strip()) and not any(line[end : end + 2].strip() for _, end in spans[:-1])


def _in_parts(table: Sequence[str], spans: Sequence[Span], width: int) -> Iterator[str]:
    for number, part in enumerate(_parts(spans, width)):
        if number:
            yield ""
        for line in table:
            yield "  ".join(line[begin:end].ljust(end - begin) for begin, end in part).rstrip()


def _parts(spans: Sequence[Span], width: int) -> Iterator[list[Span]]:
    keys = [spans[0], *(span for span in spans[1:] if span[1] <= width * KEYS_SHARE)]
    part = list(keys)
    for span in spans[len(keys) :]:
        if len(part) > len(keys) and sum(end - begin + 2 for begin, end in [*part, span]) - 2 > width:
            yield part
            part = list(keys)
        part.append(span)
    yield part
