"""Report -> one JSON document for scripts, in SI units. `null` is "unknown", or an open end of a range of T."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from edgeeff.objective import Scored
from edgeeff.report.values import Group, Report, Row
from edgeeff.stats import Latency

DIGITS = 9
"""Significant digits of the numbers: more than is measured, fewer than where platforms' libraries differ."""


def render(report: Report) -> str:
    """Ends in a line break."""
    return json.dumps(plain(_report(report)), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Dataclasses to objects, floats rounded, what is not finite to null."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return value


def _report(report: Report) -> dict[str, Any]:
    settings = report.settings
    w = settings.exponents
    return {
        "target_s": settings.target_s,
        "target_macs": settings.target_macs,
        "objective": {"name": w.name, "alpha": w.alpha, "beta": w.beta},
        "rows": row_fields(report),
        "groups": [_group(group) for group in report.groups],
        "notes": list(report.notes),
    }


def row_fields(report: Report) -> list[dict[str, Any]]:
    """The rows of all groups, by the names that scripts read; every row has the same names."""
    return [_row(row, group, number) for number, group in enumerate(report.groups) for row in group.rows]


def _row(row: Row, group: Group, number: int) -> dict[str, Any]:
    """One row; `number` is its group's place in "groups", and ranks are within the group."""
    m, accuracy = row.measurement, row.accuracy
    return {
        "group": number,
        "rank": row.rank,
        "variant": m.variant,
        "path": m.path,
        "sha256": m.sha256,
        "format": m.format,
        "precision": m.precision,
        "weights": m.weights,
        "runtime": m.runtime,
        "accelerator": m.accelerator,
        "threads": m.threads,
        "device": m.device.name,
        "latency_s": _latency(row.latency),
        "meets_target": row.meets_target,
        "accuracy": {
            "top1": accuracy.top1 if accuracy else None,
            "low": accuracy.interval[0] if accuracy and accuracy.interval else None,
            "high": accuracy.interval[1] if accuracy and accuracy.interval else None,
            "provenance": accuracy.provenance if accuracy else None,
            "note": row.accuracy_note,
        },
        "objective": {name: _scored(row.objectives.get(name)) for name in group.winners},
        "objective_macs": row.macs_objective,
        "rank_macs": row.macs_rank,
        "macs": m.macs,
        "parameters": m.parameters,
        "size_bytes": m.size_bytes,
        "launches": row.latency.launches,
        "failed_launches": row.latency.failed,
        "session": m.session,
        "measurement": m.id,
        "warnings": row.caveats,
    }


def _latency(latency: Latency) -> dict[str, float | None]:
    interval = {name: getattr(latency.interval, name, None) for name in ("low", "high", "level")}
    return {"median": latency.median_s, **interval, "p90": latency.p90_s}


def _scored(score: Scored | None) -> dict[str, float | None]:
    return {name: getattr(score, name, None) for name in ("value", "low", "high")}


def _group(group: Group) -> dict[str, Any]:
    return {
        "device": group.device,
        "threads": group.threads,
        "winners": {
            name: [
                {"from_s": piece.low, "to_s": piece.high, "winner": group.rows[piece.winner].label} for piece in ranges
            ]
            for name, ranges in group.winners.items()
        },
        "flops_against_latency": group.correlations,
        "published": [
            {**dataclasses.asdict(entry), "measured_s": row.latency.median_s if row else None}
            for entry, row in group.published
        ],
        "paired": [
            {
                "row": found.row.label,
                "other": found.other.label,
                "images": found.right.total,
                "top1_difference": found.right.difference,
                "top1_difference_interval": found.right.interval,
                "objective_ratio": found.ratio,
            }
            for found in group.paired
        ],
        "notes": group.notes,
        "verdict": group.verdict,
    }
