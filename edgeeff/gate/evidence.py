"""The log-ratios of a check and what they are held against: no difference at all, or an earlier run's log-ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeeff.compare import Comparison
from edgeeff.gate import rank_sum, signed_rank
from edgeeff.gate.decision import Decision, Plan, decide
from edgeeff.gate.past import Past, decide_shift


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is decided on.

    Args:
        now: a launch's log-ratio each, in the order in which they ran.
        then: the latest earlier run's, which may have none; None where the baseline itself took part.
        before: those of the runs before that one.
    """

    now: tuple[float, ...]
    then: tuple[float, ...] | None = None
    before: tuple[tuple[float, ...], ...] = ()

    def decide(self, plan: Plan, *, spent: bool) -> Decision:
        """The verdict, or how many more launches are wanted."""
        if self.then is None:
            return decide(self.now, plan, spent=spent)
        return decide_shift(self.now, self.then, plan, before=self.before, spent=spent)

    def p_value(self, plan: Plan) -> float:
        """Of "it is slower by no more than the blameless margin"; 1 where there is nothing to tell by."""
        margin = math.log1p(plan.regression)
        if not self.now or (self.then is not None and not self.then):
            return 1.0
        if self.then is None:
            return signed_rank.probability_above(self.now, margin)
        return rank_sum.probability_above(self.now, self.then, margin)


def evidence(comparisons: Sequence[Comparison], past: Past | None) -> Evidence:
    """The log-ratios of comparisons of the same two files, all by one clock.

    Args:
        past: of a candidate that is held against an earlier run; None where it is held against its baseline.
    """
    earlier = () if past is None or past.comparison is None else (past.comparison, *past.before)
    clock = "cpu" if all(c.clock == "cpu" for c in (*comparisons, *earlier)) else "wall"
    now = tuple(ratio for comparison in comparisons for ratio in comparison.ratios_by(clock))
    if past is None:
        return Evidence(now)
    then, *before = [tuple(comparison.ratios_by(clock)) for comparison in earlier] or [()]
    return Evidence(now, then, tuple(before))
