"""Several checks as one build: more chances for a false alarm, so regressions are confirmed on fresh launches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from edgeeff.compare import Check, Verdict
from edgeeff.gate.decision import Decision, Plan
from edgeeff.gate.evidence import Evidence, evidence
from edgeeff.gate.pairing import GateCase
from edgeeff.gate.session import AloneDone, CheckRun, GatePolicy, PairDone
from edgeeff.gate.verdict import check_of
from edgeeff.measuring.conditions import Gate
from edgeeff.protocols import Device

FAMILY = 0.01
"""How often one model or more of a build may be blamed wrongly, by the confirming launches alone."""


def confirming_plan(plan: Plan, models: int) -> Plan:
    """The plan of the fresh launches that confirm a regression among so many models.

    Its tail is Bonferroni's, the strictest that Holm's rule can ask for.
    """
    return replace(plan, blaming_tail=min(plan.blaming_tail, FAMILY / models))


def holm(p_values: Sequence[float], family: float = FAMILY, models: int | None = None) -> list[bool]:
    """Which of the hypotheses are rejected. Holm 1979, "A simple sequentially rejective multiple test procedure".

    Args:
        models: all that were checked; those without a p-value here were not rejected to begin with.
    """
    count = len(p_values) if models is None else models
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > family / (count - rank):
            break
        rejected[index] = True
    return rejected


class Build:
    """All checks of a build. What was measured stays readable when it is interrupted.

    Args:
        on_wait: is told why there is a wait.
    """

    def __init__(
        self,
        cases: Sequence[GateCase],
        device: Device,
        policy: GatePolicy,
        rng: random.Random,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        gate = Gate(device, policy.cooldown_s, on_wait)
        self._runs = [CheckRun(case, device, policy, rng, gate) for case in cases]
        plan = confirming_plan(policy.plan, len(cases))
        fresh = replace(policy, plan=plan)
        self._fresh = [CheckRun(replace(c, id=f"{c.id}-fresh"), device, fresh, rng, gate) for c in cases]
        self._confirming: list[int] = []

    def run(self) -> Iterator[AloneDone | PairDone]:
        """Measures one model after the other, then those that regressed once more.

        Raises:
            DeviceError: the device was lost.
        """
        for run in self._runs:
            yield from run.run()
        if len(self._runs) > 1:
            self._confirming = [i for i, run in enumerate(self._runs) if _regressed(run)]
        for index in self._confirming:
            yield from self._fresh[index].run()

    def checks(self, *, interrupted: bool = False, lost: str | None = None) -> list[Check]:
        """The verdicts.

        Args:
            interrupted: whether it was stopped before its end.
            lost: why the device is gone, where it is.
        """
        found = [check_of(run, interrupted=interrupted, lost=lost) for run in self._runs]
        fresh = {i: check_of(self._fresh[i], interrupted=interrupted, lost=lost) for i in self._confirming}
        p_values = [_on(self._fresh[i]).p_value(self._fresh[i].policy.plan) for i in fresh]
        for i, rejected in zip(fresh, holm(p_values, models=len(found)), strict=True):
            together = _on(self._runs[i], self._fresh[i]).decide(self._runs[i].policy.plan, spent=True)
            found[i] = settled(found[i], fresh[i], rejected=rejected, together=together)
        return found


def settled(first: Check, second: Check, *, rejected: bool, together: Decision) -> Check:
    """A regressed check after the fresh launches: confirmed, taken back, or undecided.

    Args:
        second: the check on the fresh launches.
        rejected: whether Holm's rule rejects, on them, that there is no regression.
        together: what all launches say.
    """
    seconds = first.seconds + second.seconds
    if second.verdict is Verdict.REFUSED:
        return second
    if second.verdict is Verdict.REGRESSED and rejected:
        told = f"confirmed on {second.launches} fresh launches: {((second.ratio or 1) - 1) * 100:+.1f} %"
        return replace(first, reasons=(*first.reasons, told), seconds=seconds)
    told = f"{first.launches} launches said regressed, {second.launches} fresh ones say {second.verdict}"
    taken_back = together.verdict is Verdict.PASSED and second.verdict in (Verdict.PASSED, Verdict.IMPROVED)
    verdict = Verdict.PASSED if taken_back else Verdict.INCONCLUSIVE
    reasons = tuple(dict.fromkeys((*first.reasons, told, *second.reasons)))
    return replace(second, verdict=verdict, reasons=reasons, seconds=seconds)


def _on(*runs: CheckRun) -> Evidence:
    """The launches of runs of one case."""
    return evidence([run.comparison for run in runs], runs[0].case.past)


def _regressed(run: CheckRun) -> bool:
    return not run.refusals and run.decision is not None and run.decision.verdict is Verdict.REGRESSED
