"""Predicted latencies as a table and as JSON: always called estimates, with the model's error beside them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgeeff.prediction.latency_model import Costs, Estimate, Setting, Stored
from edgeeff.report import _table
from edgeeff.report._numbers import significant
from edgeeff.report._table import Column, Table
from edgeeff.values import Variant

Networks = Sequence[tuple[Variant, Costs]]
Measured = Mapping[tuple[str, Setting], float]
"""Seconds by the variant's name and the setting; empty where nothing was measured."""


def prediction_text(stored: Sequence[Stored], networks: Networks, measured: Measured) -> str:
    """The estimates, then how far each model was off; ends in a line break."""
    parts = []
    if networks:
        names = ("variant", "format", "precision", "runtime")
        numbers = ("threads", "estimate, ms", "usual error, %", *(("measured, ms", "error, %") if measured else ()))
        columns = [*map(Column, names), *(Column(name, "decimal") for name in numbers)]
        rows = [_cells(*estimate, measured) for estimate in _estimates(stored, networks)]
        parts.append(_table.text(Table(columns, rows)))
    if measured:
        errors = [
            abs(_error(found, measured[variant.name, setting]))
            for variant, setting, found in _estimates(stored, networks)
        ]
        off = f"{statistics.median(errors) * 100:.1f} % (median) and {max(errors) * 100:.1f} % at the worst"
        parts.append(f"Measured now, the estimates are off by {off}.\n")
    parts.append("".join(f"{line}\n" for line in _models(stored)))
    return "\n".join(parts)


def _cells(variant: Variant, setting: Setting, found: Estimate, measured: Measured) -> list[str]:
    names = [variant.name, setting.format, setting.precision, setting.runtime, str(setting.threads)]
    cells = [*names, significant(found.latency_s * 1e3), f"{found.error * 100:.1f}"]
    seconds = measured.get((variant.name, setting))
    return cells if seconds is None else [*cells, significant(seconds * 1e3), f"{_error(found, seconds) * 100:+.1f}"]


def _error(found: Estimate, seconds: float) -> float:
    return found.latency_s / seconds - 1


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


def prediction_json(stored: Sequence[Stored], networks: Networks, measured: Measured) -> dict[str, Any]:
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
                "measured_s": measured.get((variant.name, setting)),
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
