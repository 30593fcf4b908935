"""An estimate of the accuracy of a scaled network: a law fitted to the published points.

The error falls by parts, one for each dimension, and each part is spent as its dimension grows:

    error / error of the base = 1 - sum of share_i * (1 - cost_i ^ -power)

where cost_i is by how much dimension i alone makes the network dearer: depth, width^2, resolution^2. So one dimension
alone saturates and all three together do not, which is what Tan & Le 2019 (arXiv 1905.11946) found: their Table 7.
Depth is that of the network as built, by its layers: repeats round up in each stage, so that B1's coefficient of 1.1
makes 23 layers of 16, and the coefficients themselves would fit the published points half as well.
The three shares and the power are fitted by least squares. What comes out is an estimate, and is labelled so; how good
it is says `cv_error`: each point was predicted by the law that was fitted to the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeeff import registry
from edgeeff.costs import Costs
from edgeeff.errors import UsageError
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.solve import Bases, Scaled, scaled
from edgeeff.values import Accuracy, Variant

LEAST_POINTS = 8
"""A family with so many points of its own gets a law of its own."""
POWERS = np.arange(0.1, 6.05, 0.1)
EXTRAPOLATION = 1.2
"""How far beyond the largest cost ratio of a dimension among the points the law is trusted."""
TABLE_7 = "Tan & Le 2019, arXiv 1905.11946, Tables 3 and 7"

# family, architecture, depth, width, resolution as multiples, top-1 %. The coefficients of the compound scalings of
# MobileNetV2 (77.4 %) and ResNet-50 (78.8 %) are not published.
SINGLE = (
    ("efficientnet", "b0", 4.0, 1.0, 1.0, 79.0),
    ("efficientnet", "b0", 1.0, 2.0, 1.0, 78.9),
    ("efficientnet", "b0", 1.0, 1.0, 2.0, 79.1),
    ("mobilenetv1", "mobilenetv1", 1.0, 2.0, 1.0, 74.2),
    ("mobilenetv1", "mobilenetv1", 1.0, 1.0, 2.0, 72.7),
    ("mobilenetv1", "mobilenetv1", 1.4, 1.2, 1.3, 75.6),
    ("mobilenetv2", "mobilenetv2", 4.0, 1.0, 1.0, 76.8),
    ("mobilenetv2", "mobilenetv2", 1.0, 2.0, 1.0, 76.4),
    ("mobilenetv2", "mobilenetv2", 1.0, 1.0, 2.0, 74.8),
    ("resnet", "resnet50", 4.0, 1.0, 1.0, 78.1),
    ("resnet", "resnet50", 1.0, 2.0, 1.0, 77.7),
    ("resnet", "resnet50", 1.0, 1.0, 2.0, 77.5),
)


@dataclass(frozen=True, slots=True)
class Point:
    """A published scaling: layers, width and resolution as multiples of the base's; top-1 of both as fractions."""

    name: str
    family: str
    depth: float
    width: float
    resolution: float
    top1: float
    base_top1: float
    source: str


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law.

    Args:
        shares: of depth, width and resolution in the error of the base.
        power: at which each part is spent.
        points: that it was fitted to.
        cv_error: root mean square of the cross-validated errors, as a fraction of top-1.
        cv_worst: the largest of them.
    """

    shares: tuple[float, float, float]
    power: float
    points: tuple[Point, ...]
    cv_error: float = math.nan
    cv_worst: float = math.nan

    def top1(self, base_top1: float, depth: float, width: float, resolution: float) -> float:
        """Top-1 as a fraction; the coefficients are multiples of the base's."""
        gain = float(np.dot(_parts(depth, width, resolution, self.power), self.shares))
        return 1 - (1 - base_top1) * (1 - gain)

    def estimate(self, base: Variant, depth: float, width: float, resolution: float) -> Accuracy:
        """The same, labelled.

        Raises:
            UsageError: the base has no published accuracy, or the scaling is beyond the points.
        """
        if base.published is None:
            raise UsageError(f"{base.name} has no published accuracy to start from", "start from a published network")
        for name, value in (("depth", depth), ("width", width), ("resolution", resolution)):
            seen = max(getattr(point, name) for point in self.points)
            if not 1 <= value <= EXTRAPOLATION * seen:
                raise UsageError(
                    f"{name} x {value:.3g} is beyond what the law was fitted to (1 to {seen:.3g})",
                    "it only interpolates",
                )
        top1 = self.top1(base.published.top1, depth, width, resolution)
        return Accuracy(top1, f"{self}, from {base.name}", "estimate")

    def __str__(self) -> str:
        return f"law fitted to {len(self.points)} published points, +-{self.cv_error * 100:.2f} points cross-validated"


def points() -> tuple[Point, ...]:
    """All published scalings: the paper's Tables 3 and 7, and the members of each family that scale one network."""
    found = []
    for family in registry.families().values():
        for variant in family.variants.values():
            base = family.variants.get(variant.architecture)
            if base is None or variant is base or base.published is None or variant.published is None:
                continue
            ratios = (
                deepening(family, base, variant),
                variant.width / base.width,
                variant.resolution / base.resolution,
            )
            if min(ratios) >= 1:
                accuracies = (variant.published.top1, base.published.top1)
                found.append(Point(variant.name, family.name, *ratios, *accuracies, variant.published.source))
    for name, architecture, depth, width, resolution, top1 in SINGLE:
        family = registry.families()[name]
        base = family.variants[architecture]
        base_top1 = 0.760 if architecture == "resnet50" else base.published.top1 if base.published else math.nan
        label = f"{architecture} d={depth:g} w={width:g} r={resolution:g}"
        deeper = family.scaled(base, width=base.width, depth=base.depth * depth, resolution=base.resolution)
        layers = deepening(family, base, deeper)
        found.append(Point(label, name, layers, width, resolution, top1 / 100, base_top1, TABLE_7))
    return tuple(found)


_PLACE = re.compile(r"[a-z]+\.?\d+\.\d+\.")
"""Stage and place in it, as the names of ops begin: "blocks.3.1.", SqueezeNet's "fires2.0."."""


def layers(costs: Costs) -> int:
    """How many blocks a network has in all its stages: what its depth scales."""
    return len({place[0] for op in costs.ops if (place := _PLACE.match(op.name))})


def deepening(family: ModelFamily, base: Variant, made: Variant) -> float:
    """The layers of a scaling as a multiple of the base's, as built: repeats round up in each stage."""
    return layers(family.costs(made)) / layers(family.costs(base))


def law_for(family: str) -> Law:
    """The law of a family's own points where there are enough of them, else of all."""
    every = points()
    own = tuple(point for point in every if point.family == family)
    return fit(own if len(own) >= LEAST_POINTS else every)


def fit(found: Sequence[Point]) -> Law:
    """Fits the law, and says how well it predicts points that it has not seen."""
    errors = []
    for index, point in enumerate(found):
        law = _fit([*found[:index], *found[index + 1 :]])
        errors.append(law.top1(point.base_top1, point.depth, point.width, point.resolution) - point.top1)
    squares = np.square(errors)
    return replace(_fit(found), cv_error=float(np.sqrt(squares.mean())), cv_worst=float(np.sqrt(squares.max())))


def _parts(depth: float, width: float, resolution: float, power: float) -> NDArray[np.float64]:
    return 1 - np.array([depth, width**2, resolution**2]) ** -power


def _fit(found: Sequence[Point]) -> Law:
    """Least squares of the errors in top-1: linear in the shares, and the power is tried."""
    weight = np.array([1 - point.base_top1 for point in found])
    gained = np.array([point.top1 - point.base_top1 for point in found])
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for power in POWERS:
        parts = np.array([_parts(p.depth, p.width, p.resolution, float(power)) for p in found]) * weight[:, None]
        shares = np.maximum(np.linalg.lstsq(parts, gained, rcond=None)[0], 0)
        residual = float(np.square(parts @ shares - gained).sum())
        if best is None or residual < best[0]:
            best = (residual, float(power), shares)
    assert best is not None
    depth, width, resolution = (float(share) for share in best[2])
    return Law((depth, width, resolution), round(best[1], 1), tuple(found))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A triple of the grid.

    Args:
        estimate: top-1 as a fraction at phi = 1 by the law, after the triple was brought to exactly the target cost.
        scaled: the network at phi = 1.
        layers: that it has.
    """

    bases: Bases
    estimate: float
    scaled: Scaled
    layers: int


def grid(growth: float = 2.0, tolerance: float = 0.1, step: float = 0.05) -> Iterator[Bases]:
    """All triples from 1 upwards, in steps, whose alpha * beta^2 * gamma^2 is the growth within the tolerance.

    Raises:
        UsageError: the step or the tolerance is out of bounds, or no triple is there.
    """
    if not 0.005 <= step <= 1:
        raise UsageError(f"--grid-step {step:g} is not within 0.005 and 1", "the paper's triple is on a grid of 0.05")
    if not 0 <= tolerance < growth - 1:
        raise UsageError(f"--tolerance {tolerance:g} is not within 0 and {growth - 1:g}")
    steps = [round(1 + index * step, 6) for index in range(1 + math.floor((growth + tolerance - 1) / step))]
    found = False
    for alpha in steps:
        for beta in steps:
            for gamma in steps:
                bases = Bases(alpha, beta, gamma)
                if abs(bases.growth - growth) <= tolerance + 1e-9:
                    found = True
                    yield bases
    if not found:
        raise UsageError(
            f"no triple in steps of {step:g} has alpha * beta^2 * gamma^2 within {tolerance:g} of {growth:g}",
            "a smaller --grid-step or a larger --tolerance",
        )


def search(
    law: Law, base: Variant, family: ModelFamily, triples: Iterator[Bases], growth: float = 2.0
) -> list[Candidate]:
    """The triples, best first; of those that tie, the one whose cost is nearest to the growth.

    Each is judged by the network that it makes at phi = 1: by its layers, and by its resolution in whole steps. Within
    the tolerance the dearer would win, so all are brought to the same cost: by a power, as another phi would.

    Raises:
        UsageError: the base has no published accuracy, or a triple makes a network that cannot be built.
    """
    if base.published is None:
        raise UsageError(f"{base.name} has no published accuracy to start from", "start from a published network")
    found = []
    before = layers(family.costs(base))
    for bases in triples:
        made = scaled(base, family, 1.0, bases, "fp32")
        now = layers(family.costs(made.variant))
        ratios = (now / before, bases.beta, made.variant.resolution / base.resolution)
        power = math.log(growth) / math.log(ratios[0] * ratios[1] ** 2 * ratios[2] ** 2)
        depth, width, resolution = (ratio**power for ratio in ratios)
        found.append(Candidate(bases, law.top1(base.published.top1, depth, width, resolution), made, now))
    return sorted(found, key=lambda candidate: (-round(candidate.estimate, 6), abs(candidate.bases.growth - growth)))
