"""A session: several launches of each case, in random order, until the answer is narrow enough or time is up.

Each launch is a process of its own, and every round runs all cases once in a new random order: what differs
between two launches (memory layout, placement, the machine's load of the moment) then falls on all cases alike.

The intervals are looked at after each round, which makes a session that stops on its target a little too sure of
itself (Wald 1947, "Sequential analysis"). No verdict rests on them: `edgeeff check` has its own rule.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

from edgeeff import stats
from edgeeff.measuring.commands import LaunchPolicy
from edgeeff.measuring.conditions import Gate
from edgeeff.measuring.launch import Case, Pushed, push, run_launch
from edgeeff.measuring.sustained import SUSTAINED
from edgeeff.protocols import Device
from edgeeff.values import Launch, Measurement

MIN_LAUNCHES = 6
"""Fewer cannot give a 95 % interval of a median: their whole range covers it with 1 - 2^(1 - n)."""

MAX_FAILURES = 3
"""A case whose launches failed so many times in a row is given up."""


SUSTAINED_POLICY = LaunchPolicy(max_runs=100_000, max_s=5.0, warmup_s=0.0, warmup_runs=1)
"""Long processes, so that starting them leaves the device little time to rest."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a session stops.

    Args:
        seconds: for the whole session. Each case gets one launch in any case, and none is cut short.
        precision_target: half-width of the interval over the median at which a case is finished.
        cooldown_s: how long to wait, at most, for a hot device before a launch; None takes the device's own.
    """

    seconds: float = 60.0
    precision_target: float = 0.02
    cooldown_s: float | None = None
    launch: LaunchPolicy = field(default_factory=LaunchPolicy)


@dataclass(frozen=True, slots=True)
class LaunchDone:
    """A launch has ended.

    Args:
        measurement: the case's, with all its launches so far.
        elapsed_s: since the session began.
    """

    measurement: Measurement
    launch: Launch
    elapsed_s: float


@dataclass(slots=True)
class _Progress:
    """A case on its way; `longest_s` is what its longest launch took."""

    case: Case
    pushed: Pushed
    measurement: Measurement
    longest_s: float = 0.0

    def finished(self, precision_target: float) -> bool:
        recent = self.measurement.launches[-MAX_FAILURES:]
        if len(recent) == MAX_FAILURES and all(launch.error is not None for launch in recent):
            return True
        return precise_enough(self.measurement, precision_target)


def precise_enough(measurement: Measurement, precision_target: float) -> bool:
    """Whether there are launches enough, and the interval is as narrow as was asked for."""
    latency = stats.latency(measurement)
    half_width = latency.relative_half_width
    return latency.launches >= MIN_LAUNCHES and half_width is not None and half_width <= precision_target


def run_session(
    cases: Sequence[Case],
    device: Device,
    policy: Policy,
    rng: random.Random,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[LaunchDone]:
    """Runs the cases' launches one after the other and yields each as it ends.

    A launch that fails, hangs or dies costs that launch alone. One that the device throttled is dropped, and measured
    again when it has cooled; the waiting is not the session's time.

    Args:
        on_wait: is told why there is a wait.

    Raises:
        DeviceError: the device was lost; what was yielded before holds.
    """
    gate = Gate(device, policy.cooldown_s, on_wait)
    clock = _Clock(gate)
    active = [_Progress(case, push(case, device), case.measurement) for case in cases]
    while active:
        rng.shuffle(active)
        for progress in active:
            elapsed = clock.elapsed()
            if progress.measurement.launches and elapsed + progress.longest_s > policy.seconds:
                continue
            launch = _gated(gate, progress, device, policy.launch)
            ended = clock.elapsed()
            progress.longest_s = max(progress.longest_s, ended - elapsed)
            launches = (*progress.measurement.launches, launch)
            progress.measurement = replace(progress.measurement, launches=launches)
            yield LaunchDone(progress.measurement, launch, ended)
        left = policy.seconds - clock.elapsed()
        active = [p for p in active if p.longest_s <= left and not p.finished(policy.precision_target)]


class _Clock:
    """Time since the session began, without what it waited for the device to cool."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._began = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self._began - self._gate.waited_s


def _gated(gate: Gate, progress: _Progress, device: Device, policy: LaunchPolicy) -> Launch:
    """A launch on a cool device, or one that says why there was none."""
    index = len(progress.measurement.launches)
    before, problem = gate.open()
    if problem is not None:
        return Launch(index, (), time.time(), state_before=before, error=problem)
    return gate.judged(run_launch(progress.case, device, progress.pushed, policy, index, before))


def run_sustained(
    case: Case, device: Device, seconds: float, policy: LaunchPolicy = SUSTAINED_POLICY
) -> Iterator[LaunchDone]:
    """Runs launches back to back until the time is over; yields each as it ends.

    Raises:
        DeviceError: the device was lost; what was yielded before holds.
    """
    as_run = {name: str(value) for name, value in asdict(policy).items()}
    context = {**case.measurement.context, **as_run, SUSTAINED: f"{seconds:g}"}
    measurement = replace(case.measurement, context=context)
    pushed = push(case, device)
    began = time.monotonic()
    while not measurement.launches or time.monotonic() - began < seconds:
        launch = run_launch(case, device, pushed, policy, len(measurement.launches))
        measurement = replace(measurement, launches=(*measurement.launches, launch))
        yield LaunchDone(measurement, launch, time.monotonic() - began)
