"""The largest compound scaling whose latency is within a target: with few measurements, or with estimates.

maximise phi, LAT(N(phi)) <= T: equation 2 of Tan & Le 2019 (arXiv 1905.11946) with the device's latency in place of
FLOPS. `edgeeff.scaling.solve` has the ladder of networks, and the other limits that hold at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgeeff.errors import UsageError
from edgeeff.scaling.solve import Ladder, Limits, Scaled, largest, require_growth

LATENCY_STEP = 0.1
"""Finer steps change latency by less than a measurement can tell: 0.1 is 7 % more multiply-adds."""
VERIFIED, ESTIMATES = 3, 200
"""Networks that are measured, and estimates that are asked for, where estimates lead."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A network and how long one image took: the median, and its interval where there is one; or an estimate of it."""

    scaled: Scaled
    latency_s: float
    low_s: float | None = None
    high_s: float | None = None
    provenance: str = "measured"

    @property
    def is_estimate(self) -> bool:
        return self.provenance == "estimate"


Timer = Callable[[Scaled], Timed]
"""Measures a network, or predicts it: the seam for a latency model."""


def largest_in_time(ladder: Ladder, target_s: float, limits: Limits, time: Timer, most: int = 8) -> list[Timed]:
    """Brackets the largest phi whose latency is within the target, with few measurements.

    Each is chosen where a power law through the two nearest ones meets the target, and between what fits and what
    does not. What fits by median counts as fitting; the interval says how sure that is.

    Returns:
        All that was timed, in order. The answer is `best_in_time` of it.

    Raises:
        UsageError: as `largest`.
    """
    require_growth(ladder.bases)
    top = round(largest(ladder, limits).best.phi / ladder.step)
    done: dict[int, Timed] = {}
    index = min(0, top)
    while len(done) < most:
        made = ladder.at(index)
        if isinstance(made, UsageError):
            raise made
        done[index] = time(made)
        fits = [i for i, timed in done.items() if timed.latency_s <= target_s]
        misses = [i for i, timed in done.items() if timed.latency_s > target_s]
        low, high = max(fits, default=ladder.lowest - 1), min(misses, default=top + 1)
        if high - low <= 1 or low >= top:
            break
        index = min(max(_guess(ladder, done, target_s), low + 1), high - 1)
    return list(done.values())


def _guess(ladder: Ladder, done: dict[int, Timed], target_s: float) -> int:
    """The step at which latency would meet the target if it grew as a power of multiply-adds."""
    nearest = sorted(done, key=lambda i: abs(math.log(done[i].latency_s / target_s)))[:2]
    first = done[nearest[0]]
    power = 1.0
    if len(nearest) == 2:
        other = done[nearest[1]]
        ratio = math.log(other.scaled.macs / first.scaled.macs)
        power = math.log(other.latency_s / first.latency_s) / ratio if ratio else 1.0
    steps = math.log(target_s / first.latency_s) / min(max(power, 0.3), 2.0) / math.log(ladder.bases.growth)
    return nearest[0] + math.floor(steps / ladder.step)


def best_in_time(timed: list[Timed], target_s: float) -> Timed | None:
    """The largest that fits, None where none does; where anything was measured, estimates do not count."""
    judged = [t for t in timed if not t.is_estimate] or timed
    return max((t for t in judged if t.latency_s <= target_s), key=lambda t: t.scaled.phi, default=None)


def estimated_then_measured(
    ladder: Ladder, target_s: float, limits: Limits, estimate: Timer, measure: Timer, most: int = VERIFIED
) -> list[Timed]:
    """The largest phi by estimates, then measured; where that misses, again with estimates corrected by it.

    Each measurement says by how much the estimate is off there, and all estimates are taken to be off so.

    Returns:
        What the estimates ended on, and what was measured. The answer is `best_in_time` of it.

    Raises:
        UsageError: as `largest`; or the model does not reach to where the target is.
    """
    done: list[Timed] = []
    wanted_s = target_s
    for _ in range(most):
        found = largest_in_time(ladder, wanted_s, limits, estimate, most=ESTIMATES)
        best = best_in_time(found, wanted_s)
        if best is None or any(t.scaled.phi == best.scaled.phi for t in done):
            return done or found
        measured = measure(best.scaled)
        done += [best, measured]
        if measured.latency_s <= target_s:
            break
        wanted_s = target_s * best.latency_s / measured.latency_s
    return done
