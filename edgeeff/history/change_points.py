"""Where a series changed its level, and whether it creeps.

A step is found by the energy statistic of Matteson & James 2014, "A nonparametric approach for multiple change point
analysis of multivariate data" (E-divisive), which assumes nothing of the distribution: the series is divided where the
two parts differ most, as long as a permutation test says that chance alone would not. MongoDB's performance
testing (Daly et al. 2020) and Apache Otava rest on the same method.

Creep, many steps each too small to be seen, is what Mann and Kendall's test for a trend finds.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from edgeeff import stats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIGNIFICANCE = 0.01
"""How often chance alone may show a step, or a creep, where there is none."""

PERMUTATIONS = 499
LEAST_SEGMENT = 4
"""Points on each side of a step; of 3 and 3 there are only 20 divisions, so that no test could reach 0.01."""

LEAST_STEP = 0.01
"""Steps and creeps below 1 % are nobody's concern, however sure they are."""

MOST_POINTS = 400
"""The latest are looked at; the statistic takes the square of their number."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of level between two neighbouring points.

    Args:
        index: of the first point after it.
        change: relative, from the median before to the median after.
        p_value: of the permutation test.
    """

    index: int
    change: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Creep:
    """A trend over the whole series.

    Args:
        change: relative, over the whole series, by the median slope of all pairs (Theil-Sen).
        z: Mann-Kendall's score.
    """

    change: float
    z: float


def steps(values: Sequence[float], seed: int = 0) -> list[Step]:
    """The steps of a series of positive values, in their order.

    Args:
        values: latencies or ratios, the oldest first; their logarithms are compared.
        seed: of the permutations, so that the same series gives the same answer.
    """
    import numpy as np

    logs = np.array([math.log(value) for value in values])
    edges = [0, len(logs)]
    found: dict[int, float] = {}
    pending = [(0, len(logs))]
    rng = random.Random(seed)
    while pending:
        begin, end = pending.pop()
        part = logs[begin:end]
        place, statistic = _division(part)
        if place is None:
            continue
        p_value = _p_value(part, statistic, rng)
        if p_value <= SIGNIFICANCE:
            found[begin + place] = p_value
            edges.append(begin + place)
            pending += [(begin, begin + place), (begin + place, end)]
    edges.sort()
    made = []
    for before, index, after in zip(edges, edges[1:], edges[2:], strict=False):
        change = math.exp(statistics.median(logs[index:after]) - statistics.median(logs[before:index])) - 1
        if abs(change) >= LEAST_STEP:
            made.append(Step(index, change, found[index]))
    return made


def creep(values: Sequence[float]) -> Creep | None:
    """The trend of a series of positive values; None where there is none to speak of.

    A series with one large step has a trend as well: look for steps first, and for creep between them.
    """
    logs = [math.log(value) for value in values]
    if len(logs) < 2 * LEAST_SEGMENT:
        return None
    z = stats.trend_z(logs)
    slope = statistics.median((logs[j] - logs[i]) / (j - i) for i, j in combinations(range(len(logs)), 2))
    change = math.exp(slope * (len(logs) - 1)) - 1
    limit = statistics.NormalDist().inv_cdf(1 - SIGNIFICANCE / 2)
    return Creep(change, z) if abs(z) > limit and abs(change) >= LEAST_STEP else None


def _division(values: Array) -> tuple[int | None, float]:
    """Where the two parts differ most by the energy statistic, and that statistic.

    Sums of distances over the first m rows and columns give those within and between the parts for every m at once.
    """
    import numpy as np

    n = len(values)
    if n < 2 * LEAST_SEGMENT:
        return None, 0.0
    sums = np.abs(values[:, None] - values).cumsum(axis=0).cumsum(axis=1)
    m = np.arange(LEAST_SEGMENT, n - LEAST_SEGMENT + 1)
    k = n - m
    within_left = sums[m - 1, m - 1]
    between = sums[m - 1, -1] - within_left
    within_right = sums[-1, -1] - within_left - 2 * between
    statistic = (2 * between / (m * k) - within_left / (m * m) - within_right / (k * k)) * m * k / n
    best = int(statistic.argmax())
    return int(m[best]), float(statistic[best])


def _p_value(values: Array, statistic: float, rng: random.Random) -> float:
    """How often the same values in random order divide as well."""
    import numpy as np

    order = list(range(len(values)))
    # Sums in another order differ in their last digits: what is equal but for these divides as well.
    as_well = statistic * (1 - 1e-9) - 1e-12
    as_good = 0
    allowed = int(SIGNIFICANCE * (PERMUTATIONS + 1)) - 1
    for done in range(PERMUTATIONS):
        rng.shuffle(order)
        as_good += _division(values[np.array(order)])[1] >= as_well
        if as_good > allowed:  # it cannot become significant any more
            return (as_good + 1) / (done + 2)
    return (as_good + 1) / (PERMUTATIONS + 1)
