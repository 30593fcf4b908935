"""A session: several launches of each case, in random order, until the answer is narrow enough or time is up.

Each launch is a process of its own, and every round runs all cases once in a new random order: what differs
between two launches (memory layout, placement, the machine's load of the moment) then falls on all cases alike.

The intervals are looked at after each round, which makes a session that stops on its target a little too sure of
itself (Wald 1947, "Sequential analysis"). No verdict rests on them: `edgeeff check` has its own rule.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from edgeeff import stats
from edgeeff.commands import LaunchPolicy
from edgeeff.launch import Case, Pushed, push, run_launch
from edgeeff.protocols import Device
from edgeeff.values import Launch, Measurement

MIN_LAUNCHES = 6
"""Fewer cannot give a 95 % interval of a median: their whole range covers it with 1 - 2^(1 - n)."""

MAX_FAILURES = 3
"""A case whose launches failed so many times in a row is given up."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a session stops.

    Args:
        seconds: for the whole session. Each case gets one launch in any case, and none is cut short.
        precision_target: half-width of the interval over the median at which a case is finished.
    """

    seconds: float = 60.0
    precision_target: float = 0.02
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


def run_session(cases: Sequence[Case], device: Device, policy: Policy, rng: random.Random) -> Iterator[LaunchDone]:
    """Runs the cases' launches one after the other and yields each as it ends.

    A launch that fails, hangs or dies costs that launch alone.

    Raises:
        DeviceError: the device was lost; what was yielded before holds.
    """
    began = time.monotonic()
    active = [_Progress(case, push(case, device), case.measurement) for case in cases]
    while active:
        rng.shuffle(active)
        for progress in active:
            elapsed = time.monotonic() - began
            if progress.measurement.launches and elapsed + progress.longest_s > policy.seconds:
                continue
            index = len(progress.measurement.launches)
            launch = run_launch(progress.case, device, progress.pushed, policy.launch, index)
            ended = time.monotonic() - began
            progress.longest_s = max(progress.longest_s, ended - elapsed)
            launches = (*progress.measurement.launches, launch)
            progress.measurement = replace(progress.measurement, launches=launches)
            yield LaunchDone(progress.measurement, launch, ended)
        left = policy.seconds - (time.monotonic() - began)
        active = [p for p in active if p.longest_s <= left and not p.finished(policy.precision_target)]
