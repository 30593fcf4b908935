"""Scaling for a device, as a table and as JSON: estimates on both sides, beside the paper's own direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeeff.prediction.latency_model import Stored
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table, text
from edgeeff.report.search_table import PAPER
from edgeeff.scaling.latency_scaling import Fitted, Question


def in_time_text(question: Question, stored: Stored, found: Sequence[Fitted], same_s: float | None, top: int) -> str:
    """The best, the paper's among them, and what lies between; ends in a line break."""
    names = ["rank", "depth", "width", "resolution, px", "multiply-adds, M"]
    names += ["latency estimate, ms", "top-1 estimate, %", "objective"]
    columns = [*(Column(name, "decimal") for name in names), Column("ended by"), Column("")]
    ranked = [(rank, f) for rank, f in enumerate(found, 1) if rank <= top or f.bases == PAPER]
    rows = [_cells(rank, fitted) for rank, fitted in ranked]
    return "\n".join([text(Table(columns, rows)), *_lines(question, stored, found, same_s), ""])


def _cells(rank: int, fitted: Fitted) -> list[str]:
    variant = fitted.scaled.variant
    sizes = [f"{variant.depth:.3g}", f"{variant.width:.3g}", str(variant.resolution)]
    sizes += [f"{fitted.scaled.macs / 1e6:,.1f}", significant(fitted.latency_s * 1e3)]
    end = "T" if fitted.limited_by == "T" else "what law and model cover"
    mark = "the paper's direction" if fitted.bases == PAPER else ""
    return [str(rank), *sizes, f"{fitted.top1 * 100:.2f}", f"{fitted.score:.4f}", end, mark]


def _lines(question: Question, stored: Stored, found: Sequence[Fitted], same_s: float | None) -> list[str]:
    best = found[0]
    paper = next((fitted for fitted in found if fitted.bases == PAPER), None)
    lines = []
    if paper is not None:
        gain = (best.top1 - paper.top1) * 100
        lines.append(
            f"Within {question.target_s * 1e3:g} ms the paper's direction leaves an estimated {gain:.2f} points of "
            "top-1 on the table."
        )
    if same_s is not None and best.latency_s:
        lines.append(
            f"For the best's {best.top1 * 100:.2f} % it would take an estimated {same_s * 1e3:.3g} ms, "
            f"{same_s / best.latency_s:.2f} times as long."
        )
    lines.append(
        f"Estimates on both sides: latency by a model of {stored.device.name} ({stored.setting}), usually "
        f"{stored.model.error * 100:.1f} % off; top-1 by the {question.law}."
    )
    if paper is not None and best.top1 - paper.top1 < question.law.cv_error:
        lines.append("The difference is within the law's own error: the published points cannot tell the two apart.")
    return lines


def in_time_json(question: Question, stored: Stored, found: Sequence[Fitted], same_s: float | None) -> dict[str, Any]:
    """All directions, best first."""
    return {
        "variant": question.base.name,
        "device": stored.device.name,
        "target_s": question.target_s,
        "provenance": "estimate",
        "latency_relative_error": stored.model.error,
        "top1_cv_error": question.law.cv_error,
        "papers_latency_for_the_best_top1_s": same_s,
        "networks": [
            {
                "alpha": fitted.bases.alpha,
                "beta": fitted.bases.beta,
                "gamma": fitted.bases.gamma,
                "phi": fitted.scaled.phi,
                "depth": fitted.scaled.variant.depth,
                "width": fitted.scaled.variant.width,
                "resolution": fitted.scaled.variant.resolution,
                "macs": fitted.scaled.macs,
                "latency_s": fitted.latency_s,
                "top1": fitted.top1,
                "objective": fitted.score,
                "limited_by": fitted.limited_by,
                "papers": fitted.bases == PAPER,
            }
            for fitted in found
        ],
    }
