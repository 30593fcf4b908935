"""One check: a candidate against a baseline on a device, launch by launch, until the answer is clear.

First each side runs alone a few times, for start-up, memory and delegation; then both run paired, in fresh processes.
Everything that forbids the comparison ends it at once, and nothing that goes wrong ends in a pass.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from edgeeff.compare import Comparison, Pair, PairResult
from edgeeff.errors import EdgeeffError
from edgeeff.gate.agreement import disagreements
from edgeeff.gate.answers import answer
from edgeeff.gate.comparable import changes, differences, throttled, too_hot_to_compare, unfit
from edgeeff.gate.decision import Decision, Plan
from edgeeff.gate.evidence import evidence
from edgeeff.gate.figures import Limits, memory_is_open
from edgeeff.gate.pairing import Bench, GateCase
from edgeeff.measuring.commands import LaunchPolicy, PairPolicy
from edgeeff.measuring.conditions import Gate
from edgeeff.measuring.device_checks import states_of
from edgeeff.measuring.launch import Case, Pushed, push, run_launch
from edgeeff.protocols import Device, PairingRunner
from edgeeff.stats import succeeded
from edgeeff.values import Launch, Measurement

ALONE = 3
"""Launches of each side on its own."""

ALONE_FOR_MEMORY = (8, 40)
"""The same where memory gates: at least, and at most where the growth is not clear before."""

ALONE_POLICY = LaunchPolicy(warmup_runs=1, warmup_s=0.0, min_runs=3, max_runs=10, max_s=0.1)

MAX_FAILURES = 3
"""So many failed launches in a row end the check."""


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How it is measured and judged.

    Args:
        seconds: for the check; a launch that has begun is not cut short.
        allowed: what may differ (`comparable.ALLOWABLE`).
        first_time: whether it is fine that there is no baseline, or no earlier run, yet.
    """

    plan: Plan = field(default_factory=Plan)
    seconds: float = 180.0
    allowed: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    pair: PairPolicy = field(default_factory=PairPolicy)
    cooldown_s: float | None = None
    first_time: bool = False


@dataclass(frozen=True, slots=True)
class AloneDone:
    """A launch of one side on its own has ended."""

    measurement: Measurement
    launch: Launch
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class PairDone:
    """A paired launch has ended; `decision` is where all of them stand."""

    comparison: Comparison
    pair: Pair
    decision: Decision
    elapsed_s: float


class CheckRun:
    """A check on its way. What it has measured stays readable when it is interrupted.

    Args:
        gate: keeps launches from beginning on a hot device.
    """

    def __init__(self, case: GateCase, device: Device, policy: GatePolicy, rng: random.Random, gate: Gate) -> None:
        self.case = case
        self.policy = policy
        self.sides = {"candidate": case.candidate.measurement, "baseline": case.baseline.measurement}
        self.pairs: tuple[Pair, ...] = ()
        self.refusals: list[str] = []
        self.decision: Decision | None = None
        self.gave_up: str | None = None
        self.remarks: list[str] = []
        self.elapsed_s = 0.0
        self.interleaved = True
        self._device = device
        self._rng = rng
        self._gate = gate
        self._began = 0.0
        self._longest_s = 0.0
        self.compared = False

    @property
    def candidate(self) -> Measurement:
        """With the launches that it ran alone."""
        return self.sides["candidate"]

    @property
    def baseline(self) -> Measurement:
        return self.sides["baseline"]

    @property
    def before(self) -> Measurement | None:
        """What the candidate is compared with: the baseline, or itself in the earlier run; None where there is none."""
        past = self.case.past
        if past is None:
            return self.baseline
        return None if past.comparison is None else past.comparison.candidate

    @property
    def comparison(self) -> Comparison:
        policy = {"max_slowdown": str(self.policy.plan.max_slowdown), "seconds": str(self.policy.seconds)}
        created = self.candidate.created_unix_s
        session = self.candidate.session
        return Comparison(self.case.id, session, self.candidate, self.baseline, created, self.pairs, policy)

    def run(self) -> Iterator[AloneDone | PairDone]:
        """Measures until there is a decision, a refusal, or no time left; yields each launch as it ends.

        Raises:
            DeviceError: the device was lost.
        """
        self._began = time.monotonic() - self._gate.waited_s
        self._refuse_differences()
        if self.refusals:
            return
        pushed = push(self.case.candidate, self._device), push(self.case.baseline, self._device)
        yield from self._alone(*pushed)
        if not self.refusals and self.gave_up is None:
            yield from self._paired(Bench(self.case, self._device, *pushed, self.policy.pair))

    def _refuse_differences(self) -> None:
        for side, measurement in self.sides.items():
            self._refuse(*unfit(measurement, side))
        self._refuse_unlike()

    def _refuse_unlike(self) -> None:
        """Either side against the other; with a past, now against then: the reference may differ as it likes."""
        if self.case.past is None:
            self._refuse(*differences(self.candidate, self.baseline, self.policy.allowed))
        elif self.case.past.comparison is not None and self.candidate.launches:
            self._refuse(*differences(self.candidate, self.case.past.comparison.candidate, self.policy.allowed))

    def _refuse(self, *reasons: str) -> None:
        self.refusals.extend(reason for reason in reasons if reason not in self.refusals)

    def _alone(self, candidate: Pushed, baseline: Pushed) -> Iterator[AloneDone]:
        sides = [("candidate", self.case.candidate, candidate), ("baseline", self.case.baseline, baseline)]
        index = -1
        while self._wants_one_alone(index := index + 1):
            self._rng.shuffle(sides)
            for name, case, pushed in sides:
                launch = self._one_alone(case, self._own(name, pushed), index)
                measurement = self.sides[name]
                self.sides[name] = replace(measurement, launches=(*measurement.launches, launch))
                yield AloneDone(self.sides[name], launch, self._clock())
        for name, measurement in self.sides.items():
            if not succeeded(measurement):
                self._refuse(f"the {name} does not run: {measurement.launches[-1].error}")
        states = list(states_of((*self.candidate.launches, *self.baseline.launches)))
        self._refuse(*too_hot_to_compare(states), *changes(states))
        if not self.refusals:
            self._refuse_differences()

    def _wants_one_alone(self, done: int) -> bool:
        """Whether each side runs alone once more; for memory that is to be told, for up to half of the time."""
        limit, (least, most), before = self.policy.limits.max_memory_growth, ALONE_FOR_MEMORY, self.before
        if limit is None or before is None or done < ALONE:
            return done < ALONE
        undecided = done < least or memory_is_open(self.candidate, before, limit)
        return undecided and done < most and self._clock() < self.policy.seconds / 2

    def _one_alone(self, case: Case, pushed: Pushed, index: int) -> Launch:
        before, problem = self._gate.open()
        if problem is not None:
            return Launch(index, (), time.time(), state_before=before, error=problem)
        return run_launch(case, self._device, pushed, ALONE_POLICY, index, before)

    def _own(self, name: str, pushed: Pushed) -> Pushed:
        """With the side's own interpreter."""
        python = self.case.candidate_python if name == "candidate" else self.case.baseline_python
        if python and isinstance(pushed.runner, PairingRunner):
            return replace(pushed, runner=pushed.runner.started_by(python))
        return pushed

    def _paired(self, bench: Bench) -> Iterator[PairDone]:
        self.interleaved = bench.runner is not None
        self.decision = self.decide(spent=False)
        if not self.interleaved:
            self._compare_here()
        while self.decision.verdict is None and self.gave_up is None and not self.refusals:
            began = self._clock()
            pair = self._launch(bench)
            self.pairs = (*self.pairs, pair)
            self._longest_s = max(self._longest_s, self._clock() - began)
            self._judge()
            yield PairDone(self.comparison, pair, self.decision, self._clock())

    def _launch(self, bench: Bench) -> Pair:
        """A paired launch on a cool device; the first of which that ends well tells what both sides compute."""
        index = len(self.pairs)
        before, problem = self._gate.open()
        if problem is not None:
            return _failed(index, problem)
        result = bench.launch(index, self._rng.getrandbits(32), before, outputs=not self.compared)
        self._compare_answers(result)
        return result.pair

    def _judge(self) -> None:
        """What the pairs so far say; a launch that failed is no reason to look again."""
        states = [(pair.state_before, pair.state_after) for pair in self.pairs]
        each = [state for both in states for state in both]
        self._refuse(*too_hot_to_compare(each), *changes(each))
        recent = self.pairs[-MAX_FAILURES:]
        if len(recent) == MAX_FAILURES and all(pair.error is not None for pair in recent):
            self.gave_up = f"{MAX_FAILURES} launches in a row failed: {recent[-1].error}"
        spent = self._clock() + self._longest_s > self.policy.seconds
        ratios = self.comparison.log_ratios
        due = self.decision is None or len(ratios) >= self.decision.launches + self.decision.next
        if due or spent:
            self.decision = self.decide(spent=spent)
            if len(states) >= self.policy.plan.first:
                self._refuse(*throttled(states))
        self.elapsed_s = self._clock()

    def decide(self, *, spent: bool) -> Decision:
        """Where the launches so far stand."""
        return evidence([self.comparison], self.case.past).decide(self.policy.plan, spent=spent)

    def _clock(self) -> float:
        """Time since the check began, without what it waited for the device to cool."""
        return time.monotonic() - self._began - self._gate.waited_s

    def _compare_here(self) -> None:
        """The device's runner gives no outputs: the format's own runtime, on this machine, gives them."""
        try:
            ours, theirs = (
                answer(case.path, case.measurement.format, case.measurement.seed)
                for case in (self.case.candidate, self.case.baseline)
            )
        except EdgeeffError as error:
            self.remarks.append(f"the outputs of the two were not compared: {error.message}")
            return
        self._compare_answers(PairResult(_failed(0, ""), ours, theirs))

    def _compare_answers(self, result: PairResult) -> None:
        if result.candidate is None or result.baseline is None:
            return
        self.compared = True
        if self.case.past is None:
            precisions = self.candidate.precision, self.baseline.precision
            self._refuse(*disagreements(result.candidate, result.baseline, precisions, self.policy.allowed))


def _failed(index: int, error: str) -> Pair:
    nothing = Launch(index, (), time.time(), error=error)
    return Pair(index, nothing, nothing, error=error, started_unix_s=time.time())
