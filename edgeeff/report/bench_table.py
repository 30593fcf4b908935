"""What `edgeeff bench` says: measurements as a table for people and as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgeeff import stats
from edgeeff.codec import encode
from edgeeff.int8.pays import no_gain
from edgeeff.measuring import checks
from edgeeff.report._numbers import significant, with_interval
from edgeeff.report._table import Column, Table, text
from edgeeff.values import Launch, Measurement

COLUMNS = (
    Column("#"),
    Column("variant"),
    Column("format"),
    Column("precision"),
    Column("runtime"),
    Column("threads", "decimal"),
    Column("median [95 %], ms", "decimal"),
    Column("p90, ms", "decimal"),
    Column("MACs, M", "decimal"),
    Column("GMAC/s", "decimal"),
    Column("params, M", "decimal"),
    Column("size, MB", "decimal"),
    Column("peak, MB", "decimal"),
    Column("delegated"),
)
UNKNOWN = "?"


def bench_text(measurements: Sequence[Measurement]) -> str:
    """The table, one row a measurement, and under it what its reader must know, each thing once."""
    rows = [[str(number), *_cells(m)] for number, m in enumerate(measurements, 1)]
    columns = list(COLUMNS)
    if len({m.device for m in measurements}) > 1:
        columns.insert(1, Column("device"))
        for row, m in zip(rows, measurements, strict=True):
            row.insert(1, m.device.name)
    return text(Table(columns, rows)) + "".join(f"{line}\n" for line in _warnings(measurements))


def bench_json(measurements: Iterable[Measurement]) -> dict[str, Any]:
    """The same and more, in base units; null is unknown. Raw samples are in the results file."""
    every = list(measurements)
    return {"measurements": [_document(m, every) for m in every]}


def _cells(m: Measurement) -> list[str]:
    latency = stats.latency(m)
    median_s = latency.median_s
    speed = m.macs / median_s / 1e9 if m.macs and median_s else None
    peak = _typical(m, "peak_memory_bytes")
    return [
        m.variant or Path(m.path).name,
        m.format,
        m.precision,
        m.runtime,
        str(m.threads),
        _median(latency),
        UNKNOWN if latency.p90_s is None else significant(latency.p90_s * 1e3),
        UNKNOWN if m.macs is None else f"{m.macs / 1e6:.1f}",
        UNKNOWN if speed is None else significant(speed),
        UNKNOWN if m.parameters is None else f"{m.parameters / 1e6:.2f}",
        f"{m.size_bytes / 1e6:.2f}",
        UNKNOWN if peak is None else f"{peak / 1e6:.0f}",
        _delegation(m),
    ]


def _median(latency: stats.Latency) -> str:
    if latency.median_s is None:
        return "failed"
    interval = latency.interval
    if interval is None:
        return significant(latency.median_s * 1e3)
    shown = with_interval(latency.median_s * 1e3, interval.low * 1e3, interval.high * 1e3)
    return shown if interval.level >= stats.CONFIDENCE else f"{shown} ({interval.level * 100:.0f} %)"


def _delegation(m: Measurement) -> str:
    """ "60/60 XNNPACK": the ops that run in the delegate, of all; with the partitions where they are many."""
    launch = _last(m)
    if launch is None:
        return UNKNOWN
    if launch.ops is None or launch.delegated_ops is None:
        share = {True: "all", False: "some"}.get(launch.fully_delegated)  # type: ignore[arg-type]
        return UNKNOWN if share is None else f"{share} {launch.delegate or 'none'}"
    parts = f" in {launch.partitions} parts" if (launch.partitions or 0) > 1 else ""
    return f"{launch.delegated_ops}/{launch.ops} {launch.delegate or 'none'}{parts}"


def _last(m: Measurement) -> Launch | None:
    good = stats.succeeded(m)
    return good[-1] if good else None


def _typical(m: Measurement, name: str) -> float | None:
    """The (lower) median over the launches of a field that each of them has one value of."""
    values = [value for value in (getattr(launch, name) for launch in stats.succeeded(m)) if value is not None]
    return statistics.median_low(values) if values else None


def _warnings(measurements: Sequence[Measurement]) -> Iterable[str]:
    """For each kind of caveat: what it is in which rows, then its remedy."""
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for number, measurement in enumerate(measurements, 1):
        for caveat in (*checks.caveats(measurement), *no_gain(measurement, measurements)):
            messages = found.setdefault((caveat.code, caveat.remedy), {})
            messages.setdefault(caveat.message, []).append(number)
    for (_, remedy), messages in found.items():
        yield ""
        for message, numbers in messages.items():
            rows = f"row {numbers[0]}" if len(numbers) == 1 else f"rows {', '.join(map(str, numbers))}"
            yield f"{rows}: {message}"
        yield f"  {remedy}"


def _document(m: Measurement, every: Sequence[Measurement]) -> dict[str, Any]:
    latency, launch = stats.latency(m), _last(m)
    interval = latency.interval
    return {
        "id": m.id,
        "path": m.path,
        "variant": m.variant,
        "weights": m.weights,
        "format": m.format,
        "precision": m.precision,
        "resolution": m.resolution,
        "sha256": m.sha256,
        "size_bytes": m.size_bytes,
        "runtime": m.runtime,
        "runtime_version": launch.runtime_version if launch else None,
        "threads": m.threads,
        "cpus": m.cpus,
        "accelerator": m.accelerator,
        "device": encode(m.device),
        "latency_s": {
            "median": latency.median_s,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "level": interval.level if interval else None,
            "p90": latency.p90_s,
            "spread": latency.spread,
        },
        "launches": latency.launches,
        "failed_launches": latency.failed,
        "samples": latency.samples,
        "startup_s": _typical(m, "startup_s"),
        "first_inference_s": _typical(m, "first_inference_s"),
        "peak_memory_bytes": _typical(m, "peak_memory_bytes"),
        "baseline_memory_bytes": _typical(m, "baseline_memory_bytes"),
        "macs": m.macs,
        "parameters": m.parameters,
        "conditions": {
            "before": encode(m.launches[0].state_before) if m.launches and m.launches[0].state_before else None,
            "after": encode(m.launches[-1].state_after) if m.launches and m.launches[-1].state_after else None,
        },
        "ops": launch.ops if launch else None,
        "delegated_ops": launch.delegated_ops if launch else None,
        "delegate": launch.delegate if launch else None,
        "partitions": launch.partitions if launch else None,
        "fully_delegated": launch.fully_delegated if launch else None,
        "warnings": [encode(caveat) for caveat in (*checks.caveats(m), *no_gain(m, every))],
    }
