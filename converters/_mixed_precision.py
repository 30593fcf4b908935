"""Which ops stay in float, so that the rest can be int8 at the accuracy asked for, at the least cost in time.

A value is exact when the node that makes it and all that read it compute in float, so these go together. Values are
added in the order of estimated noise for modelled time, a few at once, until the network as a whole, measured, is close
enough; then those that it does as well without go back. A list of sensitivities alone is fragile, since what one op
spoils depends on the others: here it only orders what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgeeff.graph import Graph

_BATCH_SHARE = 0.3
"""Of the noise that is left by estimate, so much is taken away between two measurements."""

_RETURNED = 8
"""So many of the values are tried in int8 again, the costliest first."""

_SPARED_SHARE = 0.25
"""A value that makes more of the noise that is left than this is not tried again."""

Nodes = frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """Values that are left exact, the nodes in float that this takes, and the SQNR that they surely give, in dB.

    Args:
        restored: of these, the layers whose weights are float32 too.
    """

    values: tuple[str, ...]
    nodes: Nodes
    sure_db: float
    restored: Nodes = frozenset()


class Selection:
    """The values of a graph, and what each costs and spoils.

    Args:
        graph: the network.
        integer: the nodes that can be integer.
        noise: of each value, its share of the outputs' power.
        cost: nodes in float -> seconds that this takes longer than all in int8.
        measure: nodes in float -> SQNR in dB, the lower end of its interval.
        from_db: below this SQNR by estimate nothing is measured.
    """

    def __init__(
        self,
        graph: Graph,
        integer: Nodes,
        noise: Mapping[str, float],
        cost: Callable[[Nodes], float],
        measure: Callable[[Nodes], float],
        from_db: float = -math.inf,
    ) -> None:
        self.around = {
            value: frozenset({value, *(node.name for node in readers)} & integer)
            for value, readers in graph.uses().items()
        }
        self.noise = {value: noise.get(value, 0.0) for value, nodes in self.around.items() if nodes}
        self.cost = cost
        self.measure = measure
        self.most_noise = 10 ** (-from_db / 10)

    def grow(self) -> Iterator[Choice]:
        """More and more in float; the caller stops when it has enough."""
        chosen: list[str] = []
        while self._left(chosen):
            wanted = _BATCH_SHARE * sum(self.noise[value] for value in self._left(chosen))
            taken = 0.0
            while taken < wanted or not taken:
                value = self._worthiest(chosen)
                if value is None:
                    break
                before = self._left(chosen)
                chosen.append(value)
                taken += sum(self.noise[name] for name in set(before) - set(self._left(chosen)))
            if not taken:
                return
            if sum(self.noise[value] for value in self._left(chosen)) <= self.most_noise:
                yield self._choice(chosen)

    def shrink(self, choice: Choice, enough: Callable[[Choice], bool]) -> Choice:
        """The choice less what is not needed for enough."""
        left = sum(self.noise[value] for value in self._left(choice.values))
        spared = [value for value in choice.values if self.noise[value] < _SPARED_SHARE * left]
        costs = {
            value: self.cost(choice.nodes) - self.cost(self._nodes(set(choice.values) - {value})) for value in spared
        }
        for value in sorted(spared, key=lambda value: -costs[value])[:_RETURNED]:
            fewer = [name for name in choice.values if name != value]
            if self._nodes(fewer) == choice.nodes:
                choice = Choice(tuple(fewer), choice.nodes, choice.sure_db)
                continue
            smaller = self._choice(fewer)
            if enough(smaller):
                choice = smaller
        return choice

    def _nodes(self, values: Iterable[str]) -> Nodes:
        return frozenset().union(*(self.around[value] for value in values))

    def _choice(self, values: Iterable[str]) -> Choice:
        nodes = self._nodes(values)
        return Choice(tuple(values), nodes, self.measure(nodes))

    def _left(self, chosen: Iterable[str]) -> list[str]:
        """The values that are still rounded and make noise."""
        nodes = self._nodes(chosen)
        return [value for value, noise in self.noise.items() if noise > 0 and not self.around[value] <= nodes]

    def _worthiest(self, chosen: Iterable[str]) -> str | None:
        """The value that takes away the most noise for the time that it costs."""
        nodes = self._nodes(chosen)
        spent = self.cost(nodes)
        left = self._left(chosen)

        def worth(value: str) -> float:
            together = nodes | self.around[value]
            gained = sum(self.noise[name] for name in left if self.around[name] <= together)
            return gained / max(self.cost(together) - spent, _LEAST_COST_S)

        return max(left, key=worth, default=None)


_LEAST_COST_S = 1e-7
