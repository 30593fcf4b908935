"""What benchmark_model prints, in all forms that are known: TFLite's since 2019 (v1) and LiteRT's (v2).

Both give microseconds, `count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450` with percentiles
behind it in newer ones, once for the warm-up and once for the runs. v2 adds a block of its own, in milliseconds with
two decimals. Log prefixes ("INFO: ", "INFO: [file.h:94] ") come and go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeeff.values import Summary

_NUMBER = r"([-+]?[\d.]+(?:e[-+]?\d+)?)"
_PREFIX = r"^(?:[A-Z]+: ?)?(?:\[[^\]]*\] ?)?"


@dataclass(frozen=True, slots=True)
class Timings:
    """What a run took; the unit of the summary is the nanosecond."""

    summary: Summary
    startup_s: float | None = None
    first_inference_s: float | None = None
    warmup_runs: int | None = None
    memory_delta_bytes: int | None = None
    peak_memory_bytes: int | None = None


_BLOCK = ("startup_s", "memory_delta_bytes", "peak_memory_bytes")
"""What v2 says only in its block."""


def read_timings(lines: Sequence[str]) -> Timings | None:
    """The timings; None where there are none. Microseconds are preferred to v2's rounded milliseconds."""
    text = "\n".join(lines)
    exact, rounded = _v1(text), _v2(text)
    if exact is None or rounded is None:
        return exact or rounded
    said = {name: getattr(rounded, name) for name in _BLOCK if getattr(exact, name) is None}
    return replace(exact, **said)


def _v1(text: str) -> Timings | None:
    counts = re.findall(rf"(?m){_PREFIX}(count=\d+.*)$", text)
    fields = [_fields(line) for line in counts]
    if not fields or not fields[-1].get("count"):
        return None
    run = fields[-1]
    warmup = fields[-2] if len(fields) > 1 else {}
    mean = run.get("avg", run.get("curr"))  # "count=7 curr=12(all same)"
    if mean is None:
        return None
    us = 1e3
    spread = {"std_ns": "std", "median_ns": "median", "p5_ns": "p5", "p95_ns": "p95"}
    same = {"std_ns": 0.0, "median_ns": mean * us} if "avg" not in run else {}
    extra = {name: run[key] * us for name, key in spread.items() if key in run}
    summary = Summary(
        int(run["count"]), mean * us, run.get("min", mean) * us, run.get("max", mean) * us, **{**same, **extra}
    )
    first = _value(text, rf"First inference: {_NUMBER}") or warmup.get("first", warmup.get("curr"))
    delta = _value(
        text, rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint).*overall={_NUMBER}"
    )
    return Timings(
        summary,
        startup_s=_scaled(_value(text, rf"\bInit: {_NUMBER}"), 1e-6),
        first_inference_s=_scaled(first, 1e-6),
        warmup_runs=int(warmup["count"]) if "count" in warmup else None,
        memory_delta_bytes=_megabytes(delta),
        peak_memory_bytes=_megabytes(_value(text, rf"Overall peak memory footprint \(MB\).*: {_NUMBER}")),
    )


def _fields(line: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(rf"(\w+)={_NUMBER}", line)}


def _v2(text: str) -> Timings | None:
    block = text.rpartition("BENCHMARK RESULTS")[2] if "BENCHMARK RESULTS" in text else ""
    found = re.search(rf"Inference \(avg\): +{_NUMBER} ms \((\d+) runs\)", block)
    if found is None or found[2] == "0":
        return None
    mean = float(found[1]) * 1e6
    low, high, std = (_value(block, rf"Inference \({name}\): +{_NUMBER}") for name in ("min", "max", "std"))
    warmups = re.search(r"Warmup \(avg\): .*\((\d+) runs\)", block)
    return Timings(
        Summary(
            int(found[2]),
            mean,
            mean if low is None else low * 1e6,
            mean if high is None else high * 1e6,
            None if std is None else std * 1e6,
        ),
        startup_s=_scaled(_value(block, rf"Model initialization: +{_NUMBER} ms"), 1e-3),
        first_inference_s=_scaled(_value(block, rf"Warmup \(first\): +{_NUMBER} ms"), 1e-3),
        warmup_runs=int(warmups[1]) if warmups else None,
        memory_delta_bytes=_megabytes(_value(block, rf"Overall footprint: +{_NUMBER} MB")),
        peak_memory_bytes=_megabytes(_value(block, rf"Peak memory: +{_NUMBER} MB")),
    )


def _value(text: str, pattern: str) -> float | None:
    found = re.search(pattern, text)
    return float(found[1]) if found else None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _megabytes(value: float | None) -> int | None:
    return None if not value else round(value * 1024 * 1024)


def last_error(lines: Sequence[str]) -> str:
    """The last line that a person would look at."""
    told = [line for line in lines if line.startswith("ERROR")] or [line for line in lines if line.strip()]
    return told[-1].removeprefix("ERROR: ").strip() if told else "nothing was printed"
