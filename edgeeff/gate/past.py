"""A candidate without a baseline artifact: its ratio to the reference model now, against the same ratio as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgeeff.compare import Comparison, Verdict
from edgeeff.gate.comparable import differences
from edgeeff.gate.decision import (
    Decision,
    Interval,
    Plan,
    by_interval,
    shown_tails,
    too_coarse,
    too_few,
    verdict_of,
)
from edgeeff.gate.rank_sum import shift
from edgeeff.values import Measurement

FIRST = 20
"""Launches of the first look, and of a run that only records: two sides have their own noise each."""

RUNS = 4
"""Earlier runs than each of which a candidate must be slower to be blamed. Two runs of one file, at two times, differ
by more than the launches of either tell: benchmarks/against/README.md has by how much, and what this number does."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs left of a model.

    Args:
        comparison: the latest of the same model; None where there is none.
        before: up to RUNS - 1 before that one, in the same conditions.
    """

    comparison: Comparison | None = None
    before: tuple[Comparison, ...] = ()

    @property
    def runs(self) -> int:
        """How many earlier runs count, at most RUNS."""
        return 0 if self.comparison is None else 1 + len(self.before)


def latest(candidate: Measurement, reference_sha256: str, stored: Iterable[Comparison]) -> Past:
    """The latest earlier runs of the same model against the same reference: of what came before this file.

    The same model is the same variant, format and precision; of files without a manifest, the same path.
    """
    same = [c for c in stored if c.baseline.sha256 == reference_sha256 and _same(c.candidate, candidate)]
    same = [c for c in same if len(c.log_ratios) >= FIRST // 2]
    if not same:
        return Past()
    *older, newest = _before(candidate.sha256, sorted(same, key=lambda c: c.created_unix_s))
    alike = [c for c in older if not any(differences(c.candidate, newest.candidate))]
    return Past(newest, tuple(alike[1 - RUNS :]))


def _before(sha256: str, runs: Sequence[Comparison]) -> Sequence[Comparison]:
    """Of a model's runs in their order, those that a file of this hash is compared with; at least one.

    A file's own runs would clear it when it is checked once more, so what counts is what ran before it came in: for
    the first time, or once more after RUNS of others in a row, as a file does that is put back. Where nothing did, or
    the device has changed since, an unchanged file is compared with itself.
    """
    own = [run for run in runs if run.candidate.sha256 == sha256]
    came = others_in_a_row = 0
    for place, run in enumerate(runs, 1):
        others_in_a_row = 0 if run.candidate.sha256 == sha256 else others_in_a_row + 1
        if others_in_a_row == place or others_in_a_row >= RUNS:
            came = place
    others = [run for run in runs[:came] if run.candidate.sha256 != sha256]
    if not own:
        return others
    return [run for run in others if not any(differences(run.candidate, own[-1].candidate))] or own


def _same(a: Measurement, b: Measurement) -> bool:
    if a.format != b.format or a.precision != b.precision or a.threads != b.threads:
        return False
    return a.variant == b.variant and (a.variant is not None or a.path == b.path)


def decide_shift(
    now: Sequence[float],
    then: Sequence[float],
    plan: Plan,
    *,
    before: Sequence[Sequence[float]] = (),
    spent: bool = False,
) -> Decision:
    """As `decision.decide`, of the shift between two sets of log-ratios to the reference model.

    Args:
        then: of the latest earlier run; empty where there is none, and then this run is only recorded.
        before: of the runs before that one.
    """
    count = len(now)
    if count < FIRST and not spent:
        return Decision(None, None, count, FIRST - count)
    if not then:
        reason = "there is no earlier run to compare with; this one is recorded, and the next is compared with it"
        return Decision(Verdict.INCONCLUSIVE, None, count, reason=reason)
    if count < plan.first:
        reason = too_few(count, plan)
        return Decision(Verdict.INCONCLUSIVE, None, count, needed=FIRST, reason=reason)
    interval = partial(shift, now, then)
    if min(now) == max(now) or min(then) == max(then):
        return too_coarse(interval, count)
    decision = by_interval(interval, count, plan, spent=spent)
    if decision.verdict not in (Verdict.REGRESSED, Verdict.IMPROVED):
        return decision
    agree = sum(verdict_of(partial(shift, now, run), plan) is decision.verdict for run in before)
    return _upheld(decision, interval, agree, len(before), plan, spent=spent)


def _upheld(decision: Decision, interval: Interval, agree: int, others: int, plan: Plan, *, spent: bool) -> Decision:
    """A change against the latest run, where it shows against enough of the runs before it as well.

    Args:
        agree: how many of those `others` show it.
    """
    if agree == others and others + 1 >= RUNS:
        return decision
    if decision.verdict is Verdict.IMPROVED:
        return replace(decision, verdict=Verdict.PASSED)
    shown = interval(*shown_tails(None))
    if agree < others and not spent and decision.launches < plan.most:
        return replace(decision, verdict=None, interval=shown, next=1)
    reason = (
        f"slower than the latest run and not than {others - agree} of the {others} before it: "
        "runs of one file at two times differ so much here; a kept baseline (--against) is measured beside it"
        if agree < others
        else f"slower than {_runs(others + 1)}, too few to blame the file by, since runs of one differ too"
    )
    return replace(decision, verdict=Verdict.INCONCLUSIVE, interval=shown, reason=reason)


def _runs(count: int) -> str:
    return "the one earlier run" if count == 1 else f"each of the {count} earlier runs"
