"""Report -> one HTML file that opens offline: plots by plotly.js, which is inside it.

The page's rows and samples are data; ranks, iso-lines and tables are computed in the page, since they move with
its sliders. A content security policy forbids it every request.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeeff.errors import MissingExtraError
from edgeeff.profiling.profiles import Profile
from edgeeff.report._document import Section, document
from edgeeff.report._page_data import page_data
from edgeeff.report._table import Table
from edgeeff.report.values import Report
from edgeeff.wording import printable

LEVEL = 4
"""Of compression: 9 takes five times as long and saves a tenth."""

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("objective.js", "rows.js", "plots.js", "figures.js", "main.js")


def render(report: Report, profiles: Sequence[Profile] = ()) -> str:
    """The whole page.

    Args:
        profiles: of which files the page shows where their time goes; the oldest first.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    data = json.dumps(page_data(report, profiles), separators=(",", ":"), allow_nan=False)
    # Compressed, so that 100,000 rows open fast from a disk or a mail; without a date, so that it is reproducible.
    packed = base64.b64encode(gzip.compress(data.encode(), compresslevel=LEVEL, mtime=0)).decode()
    parts = {
        "TITLE": html.escape(_title(report)),
        "STYLE": _asset("page.css"),
        "SECTIONS": "\n".join(_sections(report)),
        "DATA": packed,
        "PLOTLY": _plotly(),
        "SCRIPT": "\n".join(_asset(name) for name in SCRIPTS),
    }
    pieces = _asset("page.html").split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, rest in (piece.split("}}", 1) for piece in pieces[1:]))


def _asset(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise MissingExtraError("plotly", "report", "an HTML report") from error
    # A script element ends at the first "</script"; plotly.js has none today.
    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _title(report: Report) -> str:
    names = dict.fromkeys(group.device.name for group in report.groups)
    return f"edgeeff report: {', '.join(names)}"


def _sections(report: Report) -> Iterator[str]:
    """The sections that no slider moves: text and tables."""
    for section in document(report, rows=False):
        yield _section(section)


def _section(section: Section) -> str:
    level = section.level + 1
    parts = [f"<h{level}>{html.escape(section.title)}</h{level}>"]
    if section.table is not None:
        parts.append(_html_table(section.table, section.title))
    parts += [f"<p>{html.escape(printable(line))}</p>" for line in section.lines]
    return "\n".join(parts)


def _html_table(table: Table, caption: str) -> str:
    kinds = ["number" if column.align == "decimal" else "text" for column in table.columns]
    head = "".join(
        f'<th scope="col" class="{kind}">{html.escape(column.title)}</th>'
        for kind, column in zip(kinds, table.columns, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f'<td class="{kind}">{html.escape(printable(cell))}</td>' for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    label = html.escape(caption)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
