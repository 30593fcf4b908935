"""What `edgeeff convert --explain` says of a network in int8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeeff.report._table import Column, Table, text

_LISTED = 15


def explanation_text(explanation: Mapping[str, Any]) -> str:
    """The techniques that were tried, and what the noisiest values cost.

    Args:
        explanation: as `converters.quantize` makes it, with "network" and "precision".
    """
    parts = [
        f"{explanation['network']} in {explanation['precision']}: what was tried, on images that choices are made on\n"
    ]
    parts.append(_tried(explanation["tried"]))
    values = explanation["values"]
    if values:
        parts.append("\nWhat each value costs in int8, alone and by estimate (first order), the noisiest first\n")
        parts.append(_values(values[:_LISTED]))
        if len(values) > _LISTED:
            parts.append(f"{len(values) - _LISTED} more are in --json.\n")
    return "".join(parts)


def _tried(rows: list[Mapping[str, Any]]) -> str:
    columns = [Column("values"), Column("weights"), Column("SQNR, dB", "decimal")]
    return text(Table(columns, [[row["ranges"], row["weights"], f"{row['sqnr_db']:.1f}"] for row in rows]))


def _values(rows: list[Mapping[str, Any]]) -> str:
    columns = [
        Column("value"),
        Column("op"),
        Column("range"),
        Column("held in int8"),
        Column("alone, dB", "decimal"),
        Column("in float costs, us", "decimal"),
        Column("kept in float"),
    ]
    cells = [
        [
            row["value"],
            row["kind"],
            f"{row['low']:.3g} .. {row['high']:.3g}",
            f"{row['held_low']:.3g} .. {row['held_high']:.3g}",
            f"{row['alone_db']:.1f}",
            f"{row['in_float_costs_us']:.0f}",
            "yes" if row["in_float"] else "no",
        ]
        for row in rows
    ]
    return text(Table(columns, cells))
