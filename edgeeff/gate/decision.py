"""The decision: a pure function from the launches' log-ratios to a verdict, or to going on.

    launches 10, 11, 12 ... 128; after each, intervals of the median log-ratio
    low (0.4 %) > +regression and low (0.025 %) > 0     regressed
    high (0.1 %) < -regression                          improved
    high (0.1 %) < +max_slowdown                        passed
    else                                                go on; inconclusive when the budget is spent

In brackets is what lies beyond that end by chance, at each look. `--max-slowdown 3%` is the slowdown that must be
found; a third of it (1 %) is a margin that few are blamed for: of candidates that are slower by just so much, 0.7 to
1.8 % on the recorded launches. A slowdown between the two may get either verdict.

To look again and again is to be misled more often than a single look is (Armitage, McPherson & Rowe 1969). Of two
equal files the margin keeps false alarms away as long as launches differ little. Where they differ so much that 1 % is
nothing beside it, the second condition does: in any noise, all looks together give fewer than 0.4 %. It cannot be met
before the twelfth launch: of eleven, chance alone puts all on one side more often.

What is shown is a 99 % interval of the same launches. Launches that happen to lie far out end the check, so the truth
is beyond the end that decided more often than beyond the other. Of the 1 % that a shown interval leaves out, 0.3 % are
therefore beyond that end and 0.7 % beyond the other. How often it covers the truth on the recorded launches is in
benchmarks/against/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from edgeeff.compare import LEVEL, Verdict
from edgeeff.gate.signed_rank import Estimate, estimate

PASSING_TAIL = 0.001
"""Probability that the truth is beyond the high end that lets a candidate pass, at each look."""

BLAMING_TAIL = 0.004
"""Probability that the truth is below the low end that blames a candidate, at each look."""

EQUAL_TAIL = 0.00025
"""Probability that two equal files give a low end above 0, at each look."""

SHOWN_TAIL = (1 - LEVEL) / 2
"""Probability beyond each end of the interval that is shown where nothing is decided."""

DECIDING_TAIL = 0.3 * (1 - LEVEL)
"""The same beyond the end that decided; what remains of 1 - LEVEL is beyond the other end."""

BLAMELESS = 1 / 3
"""Part of max_slowdown for which nobody is blamed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many launches there may be, and what is looked for.

    Args:
        max_slowdown: 0.03 is 3 %.
        blaming_tail: see BLAMING_TAIL; smaller where several models are judged at once.
    """

    max_slowdown: float = 0.03
    first: int = 10
    most: int = 128
    blaming_tail: float = BLAMING_TAIL

    @property
    def regression(self) -> float:
        """The relative slowdown above which the whole interval must lie to be blamed."""
        return self.max_slowdown * BLAMELESS


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the launches stand.

    Args:
        verdict: None: go on with `next` launches.
        interval: the 99 % interval of the log-ratio; None for fewer launches than the first look has.
        needed: launches in all after which the interval should be narrow enough, where it is not.
    """

    verdict: Verdict | None
    interval: Estimate | None
    launches: int
    next: int = 0
    needed: int | None = None
    reason: str = ""


def decide(log_ratios: Sequence[float], plan: Plan, *, spent: bool = False) -> Decision:
    """The verdict on the launches so far, or how many more are wanted.

    Args:
        log_ratios: a launch's median of log(candidate / baseline) each, in the order in which they ran.
        spent: whether there is no time for more.
    """
    count = len(log_ratios)
    if count < plan.first:
        if not spent:
            return Decision(None, None, count, plan.first - count)
        reason = too_few(count, plan)
        return Decision(Verdict.INCONCLUSIVE, None, count, needed=plan.first, reason=reason)
    interval = partial(estimate, log_ratios)
    if min(log_ratios) == max(log_ratios):
        return too_coarse(interval, count)
    return by_interval(interval, count, plan, spent=spent)


class Interval(Protocol):
    """The interval of some launches that leaves out so much below and so much above it."""

    def __call__(self, below: float, above: float | None = None, /) -> Estimate: ...


def too_few(count: int, plan: Plan) -> str:
    """What is said of fewer launches than the first look has."""
    possible = "1 launch was possible" if count == 1 else f"{count} launches were possible"
    return f"{possible}; a verdict takes {plan.first}"


def too_coarse(interval: Interval, count: int) -> Decision:
    """What is said of launches without any variance."""
    reason = "all launches gave the same ratio to the last digit: the clock is too coarse for this model"
    return Decision(Verdict.INCONCLUSIVE, interval(SHOWN_TAIL), count, reason=reason)


def by_interval(interval: Interval, count: int, plan: Plan, *, spent: bool) -> Decision:
    """What the intervals decide; where it decides nothing, to go on, or what is still missing."""
    verdict = verdict_of(interval, plan)
    shown = interval(*shown_tails(verdict))
    if verdict is not None:
        return Decision(verdict, shown, count)
    needed = launches_needed(interval(PASSING_TAIL), count, plan)
    if not spent and count < plan.most:
        return Decision(None, shown, count, 1, needed)
    reason = f"after {count} launches the interval is still +-{shown.half_width * 100:.1f} %"
    return Decision(Verdict.INCONCLUSIVE, shown, count, needed=needed, reason=reason)


def verdict_of(interval: Interval, plan: Plan) -> Verdict | None:
    """What the intervals of some launches say; None where they say nothing yet."""
    margin = math.log1p(plan.regression)
    if interval(plan.blaming_tail).low > margin and interval(EQUAL_TAIL).low > 0:
        return Verdict.REGRESSED
    highest = interval(PASSING_TAIL).high
    if highest < -margin:
        return Verdict.IMPROVED
    return Verdict.PASSED if highest < math.log1p(plan.max_slowdown) else None


def shown_tails(verdict: Verdict | None) -> tuple[float, float]:
    """What the shown interval leaves out below and above: less beyond the end that gave the verdict."""
    other = 1 - LEVEL - DECIDING_TAIL
    if verdict is Verdict.REGRESSED:
        return DECIDING_TAIL, other
    if verdict in (Verdict.PASSED, Verdict.IMPROVED):
        return other, DECIDING_TAIL
    return SHOWN_TAIL, SHOWN_TAIL


def launches_needed(found: Estimate, count: int, plan: Plan) -> int:
    """How many launches in all would decide, if the estimate stays and the interval narrows with their square root."""
    room = max(abs(found.value - math.log1p(plan.regression)), abs(math.log1p(plan.max_slowdown) - found.value), 1e-4)
    return max(count + 1, math.ceil(count * (found.half_width / room) ** 2))
