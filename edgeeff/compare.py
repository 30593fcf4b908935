"""What comes of comparing a candidate with a baseline: verdicts, and the values they rest on.

The measurements are paired: in each launch both sides run, call by call in random order where the runner can, and
the launch gives one number, the median of log(candidate / baseline). `edgeeff.gate` measures and decides.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from edgeeff.stats import launch_median_s, runs
from edgeeff.values import DeviceState, Launch, Measurement, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.99
"""Of the intervals that a verdict shows."""


class Verdict(StrEnum):
    """What is said of a candidate."""

    PASSED = "passed"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"

    @property
    def exit_code(self) -> int:
        return {"regressed": 1, "inconclusive": 3, "refused": 4}.get(self.value, 0)


GRAVITY = (Verdict.REGRESSED, Verdict.REFUSED, Verdict.INCONCLUSIVE, Verdict.PASSED, Verdict.IMPROVED)
"""Of several models the gravest verdict is the build's: a proven regression first, then what was not compared at all,
then what could not be decided. Only a build of passed and improved models is fine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something beside latency that both sides have.

    Args:
        name: "size", "memory", "startup" or "delegated".
        unit: "bytes", "s" or "share".
        limit: greatest relative growth that was allowed (0.05 is 5 %); None where it does not gate.
        exceeded: whether it went beyond its limit, or could not be read or told where it has one.
        low, high: ends of the 99 % interval of the growth, where it varies from launch to launch and gates.
    """

    name: str
    unit: str
    baseline: float | None
    candidate: float | None
    limit: float | None = None
    exceeded: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def growth(self) -> float | None:
        if self.baseline is None or self.candidate is None or self.baseline <= 0:
            return None
        return self.candidate / self.baseline - 1


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one candidate.

    Args:
        name: as people say it: "b0 int8 tflite".
        ratio: of the latencies, candidate / baseline; 1.03 is a slowdown of 3 %. None where nothing was measured.
        low: end of the interval of `ratio`, at the level `level`.
        launches: that gave a ratio.
        reasons: why it is so, one sentence each; never empty where the verdict is inconclusive or refused.
        coarse: the sides were paired by process and not by call.
        no_baseline: there is none yet, and that was allowed: nothing is said of the candidate. Its verdict is
            inconclusive all the same, since nothing that was not compared has passed.
        clock: that the ratio is of: "wall", or "cpu" (see `Comparison.clock`).
        needed: launches that are still needed, by what was seen, where it is inconclusive.
    """

    name: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = LEVEL
    launches: int = 0
    needed: int | None = None
    seconds: float = 0.0
    max_slowdown: float = 0.03
    coarse: bool = False
    no_baseline: bool = False
    clock: str = "wall"
    candidate: str = ""
    baseline: str = ""
    candidate_sha256: str = ""
    baseline_sha256: str = ""
    format: str = ""
    precision: str = ""
    variant: str | None = None
    device: str = ""
    runtime: str = ""
    threads: int = 1
    runtime_build: str | None = None
    """The runtime's version and how it was compiled, of both sides where they differ."""
    comparison: str = ""
    """The id of what was measured, in the results file."""
    figures: tuple[Figure, ...] = ()


def told_apart(checks: Sequence[Check]) -> list[Check]:
    """Checks whose models are called alike have their files behind their names: reports know a model by its name."""
    names = Counter(check.name for check in checks)
    return [replace(c, name=f"{c.name} ({c.candidate})") if names[c.name] > 1 else c for c in checks]


def worst(checks: Iterable[Check]) -> Verdict:
    """The verdict on all of them together, by `GRAVITY`; nothing checked is refused.

    What has no baseline yet does not count beside what has one.
    """
    everything = list(checks)
    verdicts = [check.verdict for check in everything if not check.no_baseline]
    verdicts = verdicts or [check.verdict for check in everything]
    return min(verdicts, key=GRAVITY.index) if verdicts else Verdict.REFUSED


def exit_code(checks: Sequence[Check]) -> int:
    """Of all of them together: that of the verdict, and 0 where none has a baseline yet, which was allowed."""
    return 0 if checks and all(check.no_baseline for check in checks) else worst(checks).exit_code


@dataclass(frozen=True, slots=True)
class Pair:
    """One launch of both sides: the raw samples and what went with them.

    Args:
        candidate: its samples; the n-th of both sides were taken right after one another where `interleaved`.
        candidate_first: for each pair of calls, whether the candidate was called first.
        candidate_loaded_first: whether the candidate was loaded before the baseline.
        interleaved: whether the sides took turns call by call; else each ran in a process of its own.
        elapsed_s: of the calls, by the monotonic clock that times them.
        clock_s: the same by the clock of the day: far from elapsed_s, one of the two has jumped.
        error: why this launch gave no ratio.
        clock_fault: it gave none because of its clock, which is no fault of either model.
    """

    index: int
    candidate: Launch
    baseline: Launch
    candidate_first: tuple[bool, ...] = ()
    candidate_loaded_first: bool | None = None
    interleaved: bool = True
    seed: int = 0
    elapsed_s: float | None = None
    clock_s: float | None = None
    involuntary_switches: int | None = None
    error: str | None = None
    clock_fault: bool = False
    started_unix_s: float = 0.0
    state_before: DeviceState | None = None
    state_after: DeviceState | None = None

    @property
    def log_ratio(self) -> float | None:
        """The median of log(candidate / baseline) over the pairs of calls; of the medians where there were no turns."""
        if self.error is not None or not runs(self.candidate) or not runs(self.baseline):
            return None
        if not self.interleaved:
            return math.log(launch_median_s(self.candidate) / launch_median_s(self.baseline))
        return _median_log_ratio(self.candidate.samples_ns, self.baseline.samples_ns)

    @property
    def cpu_log_ratio(self) -> float | None:
        """The same of the calling thread's CPU time; None where it was not taken."""
        candidate, baseline = self.candidate.cpu_ns, self.baseline.cpu_ns
        if self.error is not None or not self.interleaved or not candidate or not baseline:
            return None
        return _median_log_ratio(candidate, baseline) if min(*candidate, *baseline) > 0 else None


def _median_log_ratio(candidate_ns: Sequence[int], baseline_ns: Sequence[int]) -> float:
    pairs = zip(candidate_ns, baseline_ns, strict=True)
    return statistics.median(math.log(candidate / baseline) for candidate, baseline in pairs)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side was given and what it gave, in a launch that was asked to tell.

    Args:
        outputs: arrays of real numbers, of the first 2^20 values each.
        shapes: of the outputs.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[NDArray[np.generic], ...]
    shapes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class PairResult:
    """A paired launch as a runner gives it; index, start and states are the caller's to set."""

    pair: Pair
    candidate: Answer | None = None
    baseline: Answer | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All paired launches of a candidate and a baseline; the measurements are the sides' context.

    Args:
        policy: how it was measured and decided, as text: max_slowdown, seconds, pairs ...
    """

    id: str
    session: str
    candidate: Measurement
    baseline: Measurement
    created_unix_s: float
    pairs: tuple[Pair, ...] = ()
    policy: Mapping[str, str] = field(default_factory=dict)

    @property
    def clock(self) -> str:
        """ "cpu" where the calling thread does all the work and never waits by itself, else "wall".

        Its CPU time is then the latency without what other programs took of it. On a busy machine it is three to five
        times more precise than the wall clock; on a quiet one the two agree.
        """
        if self.candidate.threads != 1 or self.candidate.accelerator != "cpu":
            return "wall"
        good = [pair for pair in self.pairs if pair.error is None]
        if not good or any(pair.cpu_log_ratio is None for pair in good):
            return "wall"
        sides = ([pair.candidate for pair in good], [pair.baseline for pair in good])
        return "cpu" if all(map(_never_waits, sides)) else "wall"

    @property
    def log_ratios(self) -> tuple[float, ...]:
        """Of the launches that gave one, in the order in which they ran, by `clock`."""
        return self.ratios_by(self.clock)

    def ratios_by(self, clock: str) -> tuple[float, ...]:
        """The same by one of the clocks, "cpu" or "wall"."""
        found = [pair.cpu_log_ratio if clock == "cpu" else pair.log_ratio for pair in self.pairs]
        return tuple(ratio for ratio in found if ratio is not None)


WAITING_CALLS = 0.05
"""Part of the calls that may have waited for something once."""

WAITING = 0.02
"""Part of a call's time off the CPU that counts as waiting, where only the times tell."""

SHORTEST_NS = 200_000
"""Calls that are shorter are timed by the wall clock: to read the CPU's takes some 0.8 us."""


def _never_waits(launches: Sequence[Launch]) -> bool:
    """Whether a model's calls are on the CPU all the time, but for what other programs take of it.

    The system counts how often the thread gave up its core by itself. Where it does not, the least disturbed call of
    a launch tells: what a model waits for, it waits for in every call.
    """
    if statistics.median(launch_median_s(launch) for launch in launches) * 1e9 < SHORTEST_NS:
        return False
    counted = [launch.voluntary_switches for launch in launches if launch.voluntary_switches is not None]
    if len(counted) == len(launches):
        return sum(counted) <= WAITING_CALLS * sum(map(runs, launches))
    return statistics.median(map(_least_off_cpu, launches)) < WAITING


def _least_off_cpu(launch: Launch) -> float:
    return min(1 - cpu / wall for wall, cpu in zip(launch.samples_ns, launch.cpu_ns or (), strict=True))
