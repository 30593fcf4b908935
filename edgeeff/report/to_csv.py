"""Report -> CSV, one line a row, in SI units; an empty cell is "unknown"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgeeff.report import _table
from edgeeff.report._table import Column, Table
from edgeeff.report.to_json import plain, row_fields
from edgeeff.report.values import Report


def render(report: Report) -> str:
    """The rows of the JSON document, nested names joined by dots ("latency_s.median")."""
    rows = [dict(_flat(plain(fields))) for fields in row_fields(report)]
    columns = [Column(name) for name in (rows[0] if rows else ())]
    cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
    return _table.csv(Table(columns, cells))


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):  # of warnings
            yield prefix + name, " ".join(warning["code"] for warning in value)
        else:
            yield prefix + name, value
