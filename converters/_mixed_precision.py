"""Which ops stay in float, so that the rest can be int8 at the accuracy asked for.

Greedy, one value after the other, each choice measured on images: a list of sensitivities taken once is fragile,
since what one op spoils depends on the others. A value is exact when the node that makes it and all that read it
compute in float, so these go together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgeeff.graph import Graph

_CANDIDATES = 2
"""So many of the values with the most estimated noise, and as many of those with the most for their cost, are
measured in each step."""

_GAIN_DB = 0.2
"""What a choice must gain; otherwise others are measured first, until there are `_PATIENCE` of them."""

_PATIENCE = 10

_ELEMENT_COST = 8
"""What reading and converting an element is taken to cost, in multiply-adds: a guess, not measured on a device."""


@dataclass(frozen=True, slots=True)
class Step:
    """A value that was left in float: the nodes that this took, and the SQNR with it, in dB."""

    value: str
    alone_db: float
    nodes: frozenset[str]
    sqnr_db: float


def leave_in_float(
    graph: Graph,
    integer: frozenset[str],
    noise: Mapping[str, float],
    measure: Callable[[frozenset[str]], float],
) -> Iterator[Step]:
    """Yields one choice after the other, as long as there is one; the caller stops when it has enough.

    Args:
        integer: the nodes that can be integer.
        noise: of each value, see `_sensitivity.noise_shares`.
        measure: nodes in float -> SQNR in dB.
    """
    around = _around(graph, integer)
    chosen: frozenset[str] = frozenset()
    reached = -math.inf
    measured: dict[str, float] = {}
    while True:
        left = {
            value: nodes - chosen for value, nodes in around.items() if nodes - chosen and noise.get(value, 0.0) > 0
        }
        fresh = [value for value in left if value not in measured]
        if not left:
            return
        for value in _candidates(graph, left, fresh, noise):
            measured[value] = measure(chosen | around[value])
        best = max(measured, key=lambda value: measured[value])
        patient = fresh and len(measured) < _PATIENCE
        if measured[best] < reached + _GAIN_DB and patient:
            continue
        chosen, reached = chosen | around[best], measured[best]
        measured = {}
        yield Step(best, -10 * math.log10(noise[best]), chosen, reached)


def _candidates(
    graph: Graph, left: Mapping[str, frozenset[str]], fresh: Iterable[str], noise: Mapping[str, float]
) -> list[str]:
    """The values to measure next, among those that were not measured since the last choice."""
    loudest = sorted(fresh, key=lambda value: -noise[value])
    worthiest = sorted(fresh, key=lambda value: -noise[value] / _cost(graph, left[value]))
    return list(dict.fromkeys(loudest[:_CANDIDATES] + worthiest[:_CANDIDATES]))


def _around(graph: Graph, integer: frozenset[str]) -> dict[str, frozenset[str]]:
    """For each value, the integer nodes that make or read it."""
    return {
        value: frozenset({value, *(node.name for node in readers)} & integer) for value, readers in graph.uses().items()
    }


def _cost(graph: Graph, nodes: frozenset[str]) -> float:
    """What computing the nodes in float costs more than in int8, in multiply-adds."""
    cost = 0.0
    for node in graph.nodes:
        if node.name in nodes:
            cost += graph.node_macs(node) + _ELEMENT_COST * math.prod(graph.shapes[node.name])
    return math.sqrt(cost)
