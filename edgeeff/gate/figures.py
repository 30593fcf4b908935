"""Size, memory, start-up and delegation of both sides, beside latency, and their own limits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgeeff.compare import LEVEL, Figure, Verdict
from edgeeff.gate import rank_sum
from edgeeff.measuring.checks import outside_delegate
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
    """The figures of both sides, by the launches that ran one side alone: of memory the least, else their median."""
    return (
        _judged(Figure("size", "bytes", baseline.size_bytes, candidate.size_bytes, limits.max_size_growth)),
        _memory_figure(candidate, baseline, limits.max_memory_growth),
        Figure("startup", "s", _startup(baseline), _startup(candidate)),
        Figure("delegated", "share", _delegated(baseline), _delegated(candidate)),
    )


def failures(found: Sequence[Figure], candidate: Measurement, limits: Limits) -> Iterator[tuple[Verdict, str]]:
    """The verdicts of the figures that gate and do not hold."""
    for figure in found:
        if not figure.exceeded or figure.limit is None:
            continue
        growth, limit = figure.growth, f"the limit is {figure.limit * 100:g} %"
        if growth is None:
            yield Verdict.INCONCLUSIVE, f"the {figure.name} of a side cannot be read, and its growth is limited"
        elif figure.name == "memory" and (figure.low is None or figure.low <= figure.limit):
            yield Verdict.INCONCLUSIVE, f"{figure.name} varies too much from launch to launch to tell: {limit}"
        else:
            yield Verdict.REGRESSED, f"{figure.name} grew by {growth * 100:.1f} %, {limit}"
    if limits.require_delegation:
        yield from _fallback(candidate)


def _judged(figure: Figure) -> Figure:
    growth = figure.growth
    if figure.limit is None or (growth is not None and growth <= figure.limit):
        return figure
    return Figure(figure.name, figure.unit, figure.baseline, figure.candidate, figure.limit, exceeded=True)


def memory_is_open(candidate: Measurement, baseline: Measurement, limit: float) -> bool:
    """Whether further launches may tell if memory grew beyond a limit."""
    interval = _growth_of_memory(candidate, baseline)
    return interval is not None and interval[0] <= limit < interval[1]


def _memory_figure(candidate: Measurement, baseline: Measurement, limit: float | None) -> Figure:
    """With the interval of its growth where that gates: a peak varies by 10 % between launches of one file."""
    least = [min(_memory(m), default=None) for m in (baseline, candidate)]
    figure = Figure("memory", "bytes", least[0], least[1], limit)
    if limit is None:
        return figure
    low, high = _growth_of_memory(candidate, baseline) or (None, None)
    return replace(figure, low=low, high=high, exceeded=high is None or high > limit)


def _growth_of_memory(candidate: Measurement, baseline: Measurement) -> tuple[float, float] | None:
    """The interval of the relative growth, by ranks: where peaks come in steps, as of allocators and huge pages, no
    mean or standard deviation says much. None where it cannot be told of so few launches, or not be read."""
    tail = (1 - LEVEL) / 2
    new, old = _memory(candidate), _memory(baseline)
    if not new or not old or min(*new, *old) <= 0 or 1 / math.comb(len(new) + len(old), len(old)) > tail:
        return None
    found = rank_sum.shift([*map(math.log, new)], [*map(math.log, old)], tail)
    return round(math.expm1(found.low), 9), round(math.expm1(found.high), 9)


def _memory(m: Measurement) -> list[int]:
    return [value for launch in succeeded(m) if (value := _own_memory(launch)) is not None]


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
        outside = outside_delegate(launch, m.accelerator)
        if outside is not None:
            yield Verdict.REGRESSED, outside
        elif launch.fully_delegated is None and None in (launch.ops, launch.delegated_ops):
            yield Verdict.INCONCLUSIVE, "the runtime does not say which ops are delegated, and all were to be"
        return


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
