"""MnasNet's objective: ACC(m) * (COST(m) / T)^w, to be maximised (Tan et al. 2019, arXiv 1807.11626, section 3.1).

w is alpha for a network within the target (COST <= T) and beta for one beyond it. COST is latency in MnasNet,
multiply-adds in EfficientNet (Tan & Le 2019, arXiv 1905.11946, section 4). Cost and target share a unit, of
which the objective is free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from edgeeff.errors import UsageError

TARGET_S = 0.075
"""MnasNet's T: 75 ms on one big core of a Pixel 1 (Tan et al. 2019, section 6.1)."""

TARGET_MACS = 400_000_000
"""The T of EfficientNet-B0's search, in multiply-adds (Tan & Le 2019, section 4)."""


@dataclass(frozen=True, slots=True)
class Exponents:
    """The two values of w: alpha where the cost is within the target, beta beyond it.

    Neither is above 0, so that a cheaper network never scores lower; the objective is then continuous in the
    cost and falls or stays level everywhere.

    Raises:
        UsageError: one is positive or not finite.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not math.isfinite(value):
                raise UsageError(f"w is not a finite number: {name} is {value}", "give soft, hard or, say, -0.07")
            if value > 0:
                raise UsageError(
                    f"w must not be positive, and {name} is {value:g}: the slower network would score higher",
                    f"did you mean {-value:g}?",
                )

    @property
    def name(self) -> str:
        """ "soft", "hard", or the numbers, as `parse_exponents` reads them."""
        known = {SOFT: "soft", HARD: "hard"}
        return known.get(self) or (f"{self.alpha:g}" if self.alpha == self.beta else f"{self.alpha:g},{self.beta:g}")


SOFT = Exponents(-0.07, -0.07)
"""The paper's default: 5 % more accuracy is worth twice the latency (section 3.1)."""

HARD = Exponents(0.0, -1.0)
"""Within the target only accuracy counts; beyond it the objective falls as 1 / COST (section 3.1)."""


def parse_exponents(text: str) -> Exponents:
    """Reads "soft", "hard", one number for both exponents, or "alpha,beta".

    Raises:
        UsageError: it is none of these, or a number is positive or not finite.
    """
    named = {"soft": SOFT, "hard": HARD}
    if text.strip().lower() in named:
        return named[text.strip().lower()]
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise UsageError(f"w is not understood: {text!r}", "give soft, hard, a number such as -0.07, or alpha,beta")
    return Exponents(numbers[0], numbers[-1])


def objective(accuracy: float, cost: float, target: float, exponents: Exponents = SOFT) -> float:
    """ACC * (COST / T)^w.

    Args:
        accuracy: top-1 as a fraction in [0, 1].
        cost: latency in seconds, or multiply-adds.
        target: T in the unit of cost.
        exponents: `SOFT`, `HARD` or others.

    Raises:
        UsageError: an argument is out of its domain.
    """
    _check_accuracy(accuracy)
    _check_positive("the cost", cost)
    _check_positive("the target", target)
    exponent = exponents.alpha if cost <= target else exponents.beta
    try:
        return float(accuracy * (cost / target) ** exponent)
    except (OverflowError, ZeroDivisionError):
        fault = f"the objective of a cost of {cost:g} against a target of {target:g} is infinite with w = {exponent:g}"
        raise UsageError(fault, "take a target or w of usual size: the paper has 75 ms and -0.07") from None


@dataclass(frozen=True, slots=True)
class Scored:
    """An objective, or a factor of one, with its interval; None where what it is computed from has none."""

    value: float
    low: float | None = None
    high: float | None = None


def scored(
    accuracy: float,
    cost: float,
    target: float,
    exponents: Exponents = SOFT,
    interval: tuple[float, float] | None = None,
    accuracy_interval: tuple[float, float] | None = None,
) -> Scored:
    """The objective with its interval.

    The objective never rises with the cost, so the ends of the cost's interval give those of the objective's,
    swapped. With the hard constraint the part of the interval within the target collapses to ACC itself: an
    interval across T is then one-sided, [ACC * T / high, ACC].

    Args:
        interval: low and high end of the cost; otherwise as for `objective`.
        accuracy_interval: of the accuracy, where it was measured on some images only.
    """
    value = objective(accuracy, cost, target, exponents)
    by_cost = Scored(value)
    if interval is not None:
        low, high = (objective(accuracy, end, target, exponents) for end in reversed(interval))
        by_cost = Scored(value, low, high)
    if accuracy_interval is None:
        return by_cost
    if accuracy == 0:  # has no logarithm: the most that both intervals allow
        return Scored(0.0, 0.0, objective(accuracy_interval[1], interval[0] if interval else cost, target, exponents))
    return combined([by_cost, Scored(1.0, accuracy_interval[0] / accuracy, accuracy_interval[1] / accuracy)])


def combined(factors: Sequence[Scored]) -> Scored:
    """The product of independent factors, with its interval: None where no factor has one.

    In logarithms the product is a sum, and the distances from the estimate to the ends of the intervals add up as
    the root of the sum of their squares: the method of variance estimates recovery (Zou & Donner 2008, "Construction
    of confidence limits about effect measures", equation 4).
    """
    value = math.prod(factor.value for factor in factors)
    known = [(f.value, f.low, f.high) for f in factors if f.low is not None and f.high is not None]
    if not known:
        return Scored(value)
    down = math.hypot(*(math.log(middle / low) if low > 0 else math.inf for middle, low, _ in known))
    up = math.hypot(*(math.log(high / middle) for middle, _, high in known))
    return Scored(value, value * math.exp(-down), value * math.exp(up))


@dataclass(frozen=True, slots=True)
class TargetRange:
    """A range of targets, in the unit of the costs, for which one candidate has the highest objective."""

    low: float
    """0 for the first range."""
    high: float
    """Infinite for the last."""
    winner: int
    """Index of the candidate."""


def winners(candidates: Sequence[tuple[float, float]], exponents: Exponents) -> list[TargetRange]:
    """For which range of T each candidate wins: exact breakpoints over all T > 0, in ascending order.

    In logarithms a candidate's objective is piecewise linear in log T: its slope is -beta up to its own cost and
    -alpha from there on. Between two neighbouring costs there are therefore only two slopes, the best line of each
    is found directly, and the two cross at most once. With alpha = beta all slopes are one: the order does not
    depend on T. Of candidates that tie, the cheaper wins, then the earlier.

    Args:
        candidates: (accuracy as a fraction, cost) of each.
    """
    for accuracy, cost in candidates:
        _check_accuracy(accuracy)
        _check_positive("the cost", cost)
    front = _front(candidates)
    merged: list[TargetRange] = []
    for found in _pieces([candidates[i] for i in front], exponents):
        piece = replace(found, winner=front[found.winner])
        if merged and (merged[-1].winner == piece.winner or _is_sliver(piece)):
            merged[-1] = TargetRange(merged[-1].low, piece.high, merged[-1].winner)
        else:
            merged.append(piece)
    return merged


def _front(candidates: Sequence[tuple[float, float]]) -> list[int]:
    """Those that no other beats on accuracy and cost, in their order: nobody else can win, and they are few."""
    best, front = 0.0, []
    for index in sorted(range(len(candidates)), key=lambda i: (candidates[i][1], -candidates[i][0], i)):
        if candidates[index][0] > best:
            best = candidates[index][0]
            front.append(index)
    return sorted(front)


def _is_sliver(piece: TargetRange) -> bool:
    """A range as narrow as the rounding of its ends."""
    return piece.high <= piece.low * (1 + 1e-12)


def _pieces(candidates: Sequence[tuple[float, float]], exponents: Exponents) -> Iterator[TargetRange]:
    """The winners between each two neighbouring costs, not yet merged."""
    edges = [0.0, *sorted({cost for _, cost in candidates}), math.inf] if candidates else []
    for low, high in pairwise(edges):
        within = _best(candidates, exponents.alpha, [i for i, (_, cost) in enumerate(candidates) if cost <= low])
        beyond = _best(candidates, exponents.beta, [i for i, (_, cost) in enumerate(candidates) if cost > low])
        # The lines of one group are parallel; ascending slope is the order in which they lead from left to right.
        leaders = sorted([(-exponents.alpha, *b) for b in within] + [(-exponents.beta, *b) for b in beyond])
        if len(leaders) == 1:
            yield TargetRange(low, high, leaders[0][2])
            continue
        (slope_a, height_a, first), (slope_b, height_b, second) = leaders
        if slope_a == slope_b:
            yield TargetRange(low, high, min(leaders, key=lambda x: (-x[1], candidates[x[2]][1], x[2]))[2])
            continue
        crossing = min(max(_exp((height_a - height_b) / (slope_b - slope_a)), low), high)
        yield from (
            r for r in (TargetRange(low, crossing, first), TargetRange(crossing, high, second)) if r.low < r.high
        )


def _best(
    candidates: Sequence[tuple[float, float]], exponent: float, members: Sequence[int]
) -> list[tuple[float, int]]:
    """Height (log objective at T = 1) and index of the best of the members, or nothing where there are none."""
    heights = [(math.log(candidates[i][0]) + exponent * math.log(candidates[i][1]), i) for i in members]
    return [min(heights, key=lambda h: (-h[0], candidates[h[1]][1], h[1]))] if heights else []


def _exp(value: float) -> float:
    """e^value, infinite where it is too large for a float."""
    return math.exp(value) if value < 709 else math.inf


def _check_accuracy(accuracy: float) -> None:
    if not 0 <= accuracy <= 1:
        raise UsageError(f"accuracy must be a fraction from 0 to 1, not {accuracy:g}", "75.1 % is 0.751")


def _check_positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{what} must be finite and above 0, not {value:g}")
