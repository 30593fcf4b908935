"""Compound scaling for a device: depth, width and resolution that gain the most within T, in place of within FLOPs.

Both sides are estimates and are called so: the latency by a model of the device (`edgeeff.prediction`), the accuracy
by the law that was fitted to published scalings (`edgeeff.scaling.law`). Each triple (alpha, beta, gamma) gives a
ladder of networks; its network is the largest that the model says is within T.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeeff.errors import UsageError
from edgeeff.objective import Exponents, objective
from edgeeff.prediction.latency_model import LatencyModel, costs_without_graph
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.law import Law, layers
from edgeeff.scaling.solve import Bases, Scaled, scaled
from edgeeff.values import Variant

PHI_STEP = 0.1
PHI_MOST = 8.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """The largest network of a triple within T.

    Args:
        latency_s, top1, score: estimates; the score is the objective's.
        limited_by: "T", or what of law or model ended the ladder before T.
    """

    bases: Bases
    scaled: Scaled
    latency_s: float
    top1: float
    score: float
    limited_by: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: of which base, on which device, within which time."""

    base: Variant
    family: ModelFamily
    law: Law
    model: LatencyModel
    target_s: float
    exponents: Exponents


def fit_in_time(question: Question, triples: Iterable[Bases]) -> list[Fitted]:
    """Each triple's network within T, the highest objective first.

    Raises:
        UsageError: not even the base is within T, or nothing lies within what law and model cover.
    """
    first = _fitted(question, Bases(), 0.0)
    if isinstance(first, str):
        raise UsageError(f"{question.base.name} itself cannot be estimated: {first}")
    if first.latency_s > question.target_s:
        raise UsageError(
            f"{question.base.name} itself takes an estimated {first.latency_s * 1e3:.3g} ms, "
            f"{first.latency_s / question.target_s:.2f} times the target of {question.target_s * 1e3:g} ms",
            "take a smaller base, or a longer target",
        )
    found = [fitted for bases in triples if (fitted := _largest(question, bases)) is not None]
    return sorted(found, key=lambda fitted: (-fitted.score, fitted.latency_s))


def _largest(question: Question, bases: Bases) -> Fitted | None:
    """Steps of phi up to the first that is too slow; latency jumps with rounding, so steps are not skipped."""
    best: Fitted | None = None
    for index in range(1, round(PHI_MOST / PHI_STEP) + 1):
        made = _fitted(question, bases, index * PHI_STEP)
        if isinstance(made, str):
            return None if best is None else Fitted(*_fields(best), limited_by=made)
        if made.latency_s > question.target_s:
            break
        best = made
    return best


def _fields(fitted: Fitted) -> tuple[Bases, Scaled, float, float, float]:
    return fitted.bases, fitted.scaled, fitted.latency_s, fitted.top1, fitted.score


def _fitted(question: Question, bases: Bases, phi: float) -> Fitted | str:
    """The network at phi, or why law or model say nothing of it."""
    base = question.base
    try:
        made = scaled(base, question.family, phi, bases, "fp32")
        costs = question.family.costs(made.variant)
        deeper = layers(costs) / layers(question.family.costs(base))
        ratios = (deeper, bases.beta**phi, made.variant.resolution / base.resolution)
        top1 = question.law.estimate(base, *ratios).top1
        latency_s = question.model.predict(costs_without_graph(costs)).latency_s
    except UsageError as error:
        return error.message
    score = objective(top1, latency_s, question.target_s, question.exponents)
    return Fitted(bases, made, latency_s, top1, score, "T")


def slower_for_the_same(question: Question, paper: Bases, top1: float) -> float | None:
    """What the paper's triple takes for an accuracy, in seconds; None where law or model do not reach it."""
    for index in range(round(PHI_MOST / PHI_STEP) + 1):
        made = _fitted(question, paper, index * PHI_STEP)
        if isinstance(made, str):
            return None
        if made.top1 >= top1:
            return made.latency_s
    return None


def directions(growths: Sequence[float] = (1.0, 1.05, 1.1, 1.2, 1.3)) -> list[Bases]:
    """Triples in all directions, scaled so that FLOPs about double a step; each stands for its own ladder."""
    found: dict[tuple[float, float, float], None] = {}
    for alpha in growths:
        for beta in growths:
            for gamma in growths:
                growth = math.log(alpha * beta**2 * gamma**2)
                if growth > 0:
                    power = math.log(2) / growth
                    found[round(alpha**power, 4), round(beta**power, 4), round(gamma**power, 4)] = None
    return [Bases(*triple) for triple in found]
