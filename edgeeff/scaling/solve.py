"""The largest compound scaling that fits: equation 2 of Tan & Le 2019 (arXiv 1905.11946) with equation 3 put in.

maximise phi, Memory(N(phi)) <= target, FLOPS(N(phi)) <= target, on a grid of steps of phi. Channels, repeats and
resolution are rounded, so costs move in jumps: multiply-adds never fall as phi grows, but memory may (a skip appears
where two roundings meet; a weight grows beyond the size from which it is stored in int8). So the answer is looked for
from above, from the first step that a bound which never falls lets through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from edgeeff.costs import activation_bytes
from edgeeff.errors import UsageError
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.compound import ALPHA, BETA, GAMMA, Scaling, compound
from edgeeff.values import Variant

PHI_LEAST, PHI_MOST = -20.0, 40.0
"""At the least, every stage of every network has one block; at the most, none can be built."""
MOST_STEPS = 100_000
MOST_NAMED_PHI = 1000.0
"""Beyond it, the size of a network is no number that anybody reads."""
STEP = 0.01


def amount(number: float) -> str:
    """Four digits and a decimal unit, to stand before a name or the sign of a unit: "873.6 M"."""
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.4g} {unit}"
    return f"{number:g} "


@dataclass(frozen=True, slots=True)
class Bases:
    """alpha (depth), beta (width) and gamma (resolution)."""

    alpha: float = ALPHA
    beta: float = BETA
    gamma: float = GAMMA

    @property
    def growth(self) -> float:
        """By how much multiply-adds grow with each step of phi, but for rounding."""
        return self.alpha * self.beta**2 * self.gamma**2


@dataclass(frozen=True, slots=True)
class Limits:
    """What a network must not exceed; None is no limit. Memory as `Costs.memory_bytes` counts it."""

    macs: int | None = None
    memory_bytes: int | None = None
    precision: str = "fp32"


@dataclass(frozen=True, slots=True)
class Scaled:
    """The network at one phi: exact coefficients, the variant that rounding makes of them, and its memory."""

    phi: float
    scaling: Scaling
    variant: Variant
    memory_bytes: int
    least_memory_bytes: int = field(repr=False)
    """A bound that never falls as phi grows."""

    @property
    def macs(self) -> int:
        return self.variant.macs or 0

    def excess(self, limits: Limits) -> list[str]:
        """A phrase for each limit that it exceeds."""
        found = []
        if limits.macs is not None and self.macs > limits.macs:
            found.append(f"{amount(self.macs)} multiply-adds, the target is {amount(limits.macs).strip()}")
        if limits.memory_bytes is not None and self.memory_bytes > limits.memory_bytes:
            found.append(f"{amount(self.memory_bytes)}B of memory, the target is {amount(limits.memory_bytes)}B")
        return found


@dataclass(frozen=True, slots=True)
class Solution:
    """The largest phi that fits, the next step, which does not, and why not."""

    best: Scaled
    next_phi: float
    limited_by: str


class Ladder:
    """The networks at the steps of phi."""

    def __init__(
        self, base: Variant, family: ModelFamily, bases: Bases, precision: str = "fp32", step: float = STEP
    ) -> None:
        if not 0 < step <= 10 or (PHI_MOST - PHI_LEAST) / step > MOST_STEPS:
            raise UsageError(f"--step {step:g} is not within 0.001 and 10")
        self.base = base
        self.family = family
        self.bases = bases
        self.precision = precision
        self.step = step
        self.lowest, self.highest = math.ceil(PHI_LEAST / step), math.floor(PHI_MOST / step)
        self._made: dict[int, Scaled | UsageError] = {}

    def phi(self, index: int) -> float:
        return round(index * self.step, 6)

    def at(self, index: int) -> Scaled | UsageError:
        """The network at a step; the error where it cannot be built."""
        if index not in self._made:
            try:
                self._made[index] = scaled(self.base, self.family, self.phi(index), self.bases, self.precision)
            except UsageError as error:
                self._made[index] = error
        return self._made[index]

    def may_fit(self, index: int, limits: Limits) -> bool:
        """False where the network, and so each larger one, surely does not fit."""
        made = self.at(index)
        if isinstance(made, UsageError):
            return False
        return not replace(made, memory_bytes=made.least_memory_bytes).excess(limits)


def scaled(base: Variant, family: ModelFamily, phi: float, bases: Bases, precision: str) -> Scaled:
    """The network at any phi.

    Raises:
        UsageError: it cannot be built; nothing was allocated to find that out.
    """
    try:
        scaling = compound(base, phi, alpha=bases.alpha, beta=bases.beta, gamma=bases.gamma)
    except UsageError as error:
        raise _too_large(base, phi, bases) or error from error
    variant = family.scaled(base, width=scaling.width, depth=scaling.depth, resolution=scaling.resolution)
    return measured(family, variant, phi, scaling, precision)


def _too_large(base: Variant, phi: float, bases: Bases) -> UsageError | None:
    """The error for a phi whose coefficients are beyond all bounds, with the size that it asks for."""
    if not 0 < phi <= MOST_NAMED_PHI or min(bases.alpha, bases.beta, bases.gamma) < 1:
        return None
    macs, parameters = (
        10 ** min(300.0, math.log10(count or 1) + phi * math.log10(growth))
        for count, growth in ((base.macs, bases.growth), (base.parameters, bases.alpha * bases.beta**2))
    )
    return UsageError(
        f"phi {phi:g} makes {base.name} about {parameters:.1e} parameters and {macs:.1e} multiply-adds: too large to "
        "build",
        "a TFLite or ONNX file holds 2.1 GB, which b0 reaches at phi 12.6",
    )


def measured(family: ModelFamily, variant: Variant, phi: float, scaling: Scaling, precision: str) -> Scaled:
    """A variant with its memory."""
    costs = family.costs(variant)
    stored = 4 if precision == "fp32" else 2 if precision == "fp16" else 1
    least = stored * sum(op.weights for op in costs.ops)
    least += costs.peak_layer_activations * activation_bytes(precision)
    return Scaled(phi, scaling, variant, costs.memory_bytes(precision), least)


def largest(ladder: Ladder, limits: Limits) -> Solution:
    """The largest phi of the ladder that fits all limits.

    Raises:
        UsageError: none does, with by how much the smallest misses; or costs do not grow with phi.
    """
    require_growth(ladder.bases)
    low, high = ladder.lowest, ladder.highest + 1
    if not ladder.may_fit(low, limits):
        raise _unmet(ladder, limits)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if ladder.may_fit(middle, limits) else (low, middle)
    for index in range(low, ladder.lowest - 1, -1):
        made = ladder.at(index)
        if isinstance(made, Scaled) and not made.excess(limits):
            above = ladder.at(index + 1)
            why = above.message if isinstance(above, UsageError) else " and ".join(above.excess(limits))
            return Solution(made, ladder.phi(index + 1), why)
    raise _unmet(ladder, limits)


def require_growth(bases: Bases) -> None:
    """Refuses bases with which costs do not grow with phi."""
    values = (bases.alpha, bases.beta, bases.gamma)
    if min(values) < 1 or max(values) == 1:
        raise UsageError(
            f"with alpha, beta and gamma of {', '.join(f'{v:g}' for v in values)} a larger phi is not a larger network",
            "none of them below 1, one of them above",
        )


def _unmet(ladder: Ladder, limits: Limits) -> UsageError:
    smallest = ladder.at(ladder.lowest)
    if isinstance(smallest, UsageError):
        return smallest
    times = max(
        smallest.macs / limits.macs if limits.macs else 0,
        smallest.memory_bytes / limits.memory_bytes if limits.memory_bytes else 0,
    )
    return UsageError(
        f"no scaling of {ladder.base.name} fits: the smallest ({smallest.variant.resolution} px) has "
        f"{' and '.join(smallest.excess(limits))}, {times:,.{0 if times >= 100 else 1}f} times as much",
        "a larger target, or a smaller --variant"
        + (", or a smaller --precision" if limits.memory_bytes and limits.precision != "int8" else ""),
    )
