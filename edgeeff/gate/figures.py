"""Size, memory, start-up and delegation of both sides, beside latency, and their own limits."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeeff.compare import Figure, Verdict
from edgeeff.stats import succeeded
from edgeeff.values import Launch, Measurement


@dataclass(frozen=True, slots=True)
class Limits:
    """What else must hold for a candidate to pass; None does not gate.

    Args:
        max_size_growth: of the file, relative: 0.05 is 5 %.
        max_memory_growth: of the memory that loading and running it takes.
        require_delegation: whether every op must run in the delegate.
    """

    max_size_growth: float | None = None
    max_memory_growth: float | None = None
    require_delegation: bool = False


def figures(candidate: Measurement, baseline: Measurement, limits: Limits) -> tuple[Figure, ...]:
    """The figures of both sides; those of launches are the medians of the launches that ran one side alone."""
    return (
        _judged(Figure("size", "bytes", baseline.size_bytes, candidate.size_bytes, limits.max_size_growth)),
        _judged(Figure("memory", "bytes", _memory(baseline), _memory(candidate), limits.max_memory_growth)),
        Figure("startup", "s", _startup(baseline), _startup(candidate)),
        Figure("delegated", "share", _delegated(baseline), _delegated(candidate)),
    )


def failures(found: Sequence[Figure], candidate: Measurement, limits: Limits) -> Iterator[tuple[Verdict, str]]:
    """The verdicts of the figures that gate and do not hold."""
    for figure in found:
        if not figure.exceeded or figure.limit is None:
            continue
        growth = figure.growth
        if growth is None:
            yield Verdict.INCONCLUSIVE, f"the {figure.name} of a side cannot be read, and its growth is limited"
        else:
            limit = f"the limit is {figure.limit * 100:g} %"
            yield Verdict.REGRESSED, f"{figure.name} grew by {growth * 100:.1f} %, {limit}"
    if limits.require_delegation:
        yield from _fallback(candidate)


def _judged(figure: Figure) -> Figure:
    growth = figure.growth
    if figure.limit is None or (growth is not None and growth <= figure.limit):
        return figure
    return Figure(figure.name, figure.unit, figure.baseline, figure.candidate, figure.limit, exceeded=True)


def _memory(m: Measurement) -> float | None:
    """The least of the launches: what a peak has above it is chance (threads that allocate at the same moment)."""
    return min((value for launch in succeeded(m) if (value := _own_memory(launch)) is not None), default=None)


def _own_memory(launch: Launch) -> int | None:
    """What the model took: the process's peak without what it had before the model was there."""
    if launch.peak_memory_bytes is not None and launch.baseline_memory_bytes is not None:
        return launch.peak_memory_bytes - launch.baseline_memory_bytes
    return launch.memory_delta_bytes


def _startup(m: Measurement) -> float | None:
    return _median([launch.startup_s for launch in succeeded(m) if launch.startup_s is not None])


def _delegated(m: Measurement) -> float | None:
    for launch in succeeded(m):
        if launch.ops and launch.delegated_ops is not None:
            return launch.delegated_ops / launch.ops
        if launch.fully_delegated:
            return 1.0
    return None


def _fallback(m: Measurement) -> Iterator[tuple[Verdict, str]]:
    for launch in succeeded(m):
        delegate = launch.delegate or m.accelerator
        if launch.ops is not None and launch.delegated_ops is not None:
            if launch.delegated_ops < launch.ops:
                outside = launch.ops - launch.delegated_ops
                yield Verdict.REGRESSED, f"{outside} of {launch.ops} ops do not run in the {delegate} delegate"
        elif launch.fully_delegated is False:
            yield Verdict.REGRESSED, f"not all ops run in the {delegate} delegate"
        elif launch.fully_delegated is None:
            yield Verdict.INCONCLUSIVE, "the runtime does not say which ops are delegated, and all were to be"
        return


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
