"""A candidate without a baseline artifact: its ratio to the reference model now, against the same ratio as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from edgeeff.compare import Comparison, Verdict
from edgeeff.gate.decision import Decision, Plan, by_interval, too_coarse, too_few
from edgeeff.gate.rank_sum import shift
from edgeeff.values import Measurement

FIRST = 20
"""Launches of the first look, and of a run that only records: two sides have their own noise each."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs left of a model.

    Args:
        comparison: the latest of the same model; None where there is none.
    """

    comparison: Comparison | None = None


def latest(candidate: Measurement, reference_sha256: str, stored: Iterable[Comparison]) -> Past:
    """The latest earlier run of the same model against the same reference.

    The same model is the same variant, format and precision; of files without a manifest, the same path.
    """
    same = [c for c in stored if c.baseline.sha256 == reference_sha256 and _same(c.candidate, candidate)]
    same = [c for c in same if len(c.log_ratios) >= FIRST // 2]
    if not same:
        return Past()
    newest = max(same, key=lambda c: c.created_unix_s)
    return Past(newest)


def _same(a: Measurement, b: Measurement) -> bool:
    if a.format != b.format or a.precision != b.precision or a.threads != b.threads:
        return False
    return a.variant == b.variant and (a.variant is not None or a.path == b.path)


def decide_shift(now: Sequence[float], then: Sequence[float], plan: Plan, *, spent: bool = False) -> Decision:
    """As `decision.decide`, of the shift between two sets of log-ratios to the reference model.

    Args:
        then: of the earlier run; empty where there is none, and then this run is only recorded.
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
    return by_interval(interval, count, plan, spent=spent)
