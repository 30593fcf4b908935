"""Predicted latencies as a table and as JSON: always called estimates, with the model's error beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgeeff.latency_model import Costs, Estimate, Setting, Stored
from edgeeff.report import _table
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table
from edgeeff.values import Variant

Networks = Sequence[tuple[Variant, Costs]]


def prediction_text(stored: Sequence[Stored], networks: Networks) -> str:
    """The estimates, then how far each model was off; ends in a line break."""
    parts = []
    if networks:
        names = ("variant", "format", "precision", "runtime")
        numbers = ("threads", "estimate, ms", "usual error, %")
        columns = [*map(Column, names), *(Column(name, "decimal") for name in numbers)]
        rows = [_cells(*estimate) for estimate in _estimates(stored, networks)]
        parts.append(_table.text(Table(columns, rows)))
    parts.append("".join(f"{line}\n" for line in _models(stored)))
    return "\n".join(parts)


def _cells(variant: Variant, setting: Setting, found: Estimate) -> list[str]:
    names = [variant.name, setting.format, setting.precision, setting.runtime, str(setting.threads)]
    return [*names, significant(found.latency_s * 1e3), f"{found.error * 100:.1f}"]


def _estimates(stored: Sequence[Stored], networks: Networks) -> Iterator[tuple[Variant, Setting, Estimate]]:
    for variant, found in networks:
        for model in stored:
            yield variant, model.setting, model.model.predict(found)


def _models(stored: Sequence[Stored]) -> Iterator[str]:
    for found in stored:
        model = found.model
        errors = f"{model.error * 100:.1f} % (median) and {model.worst * 100:.1f} % at the worst"
        yield (
            f"{found.device.name}, {found.setting}: fitted to {len(model.samples)} measured networks; "
            f"each predicted from the others, the error is {errors}."
        )
    yield (
        "Estimates of a run that nothing disturbs (the lower edge of the samples); edgeeff bench measures the "
        "latency itself."
    )


def prediction_json(stored: Sequence[Stored], networks: Networks) -> dict[str, Any]:
    """The same for scripts, in seconds."""
    return {
        "estimates": [
            {
                "variant": variant.name,
                "format": setting.format,
                "precision": setting.precision,
                "runtime": setting.runtime,
                "threads": setting.threads,
                "latency_s": found.latency_s,
                "provenance": "estimate",
                "relative_error": {"median": found.error, "worst": found.worst},
            }
            for variant, setting, found in _estimates(stored, networks)
        ],
        "models": [
            {
                "device": found.device.name,
                "setting": str(found.setting),
                "runtime_version": found.runtime_version,
                "networks": [sample.name for sample in found.model.samples],
                "relative_error": {"median": found.model.error, "worst": found.model.worst},
            }
            for found in stored
        ],
    }
