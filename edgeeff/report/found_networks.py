"""What a search found, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeeff.report import _table
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table
from edgeeff.search.loop import Outcome
from edgeeff.search.networks import Description, short

SHOWN = 10


def search_text(outcomes: Sequence[Outcome], winner: Description, path: Path) -> str:
    """The best trials, and how to go on with the winner; ends in a line break."""
    tried = [outcome for outcome in outcomes if not outcome.repeated]
    rewarded = [outcome for outcome in tried if outcome.reward is not None]
    ranked = sorted(rewarded, key=lambda outcome: -(outcome.reward or 0.0))
    kinds = {outcome.cost.provenance for outcome in ranked if outcome.cost is not None}
    latency = f"latency, ms ({', '.join(sorted(kinds))})"
    columns = [Column("trial", "decimal"), Column("reward", "decimal"), Column("top-1, %", "decimal")]
    columns += [Column(latency, "decimal"), Column("blocks")]
    rows = [_cells(outcome) for outcome in ranked[:SHOWN]]
    weights = path.with_suffix(".safetensors")
    accuracy = path.with_suffix(".accuracy.csv")
    return (
        f"{_table.text(Table(columns, rows))}\n"
        f"{len(tried)} networks, {len(tried) - len(rewarded)} of them too slow to win and not trained; top-1 of the "
        f"images held out, after a short training: it ranks networks, and is no network's final accuracy.\n"
        f"edgeeff convert --variant {path} --weights {weights}; edgeeff bench; "
        f"edgeeff report --accuracy {accuracy}\n"
    )


def _cells(outcome: Outcome) -> list[str]:
    latency = "unknown" if outcome.cost is None else significant(outcome.cost.latency_s * 1e3)
    top1 = "unknown" if outcome.top1 is None else f"{outcome.top1 * 100:.1f}"
    return [str(outcome.number), f"{outcome.reward or 0.0:.4f}", top1, latency, short(outcome.network.blocks)]


def search_json(outcomes: Sequence[Outcome], winner: Description, path: Path) -> dict[str, Any]:
    """Every trial that was rewarded or pruned, and the winner."""
    return {
        "winner": {"path": str(path), **asdict(winner)},
        "trials": [
            {
                "number": outcome.number,
                "reward": outcome.reward,
                "top1": outcome.top1,
                "latency_s": outcome.cost.latency_s if outcome.cost else None,
                "latency_provenance": outcome.cost.provenance if outcome.cost else None,
                "repeated": outcome.repeated,
                "pruned": outcome.pruned,
                "blocks": [asdict(block) for block in outcome.network.blocks],
            }
            for outcome in outcomes
        ],
    }
