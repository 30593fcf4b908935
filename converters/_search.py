"""The search for what stays in float, so that the rest can be int8 within limits; and the sentences about it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from edgeeff.graph import Graph
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.machines import Machine
from edgeeff.ops import op_kind

from ._integer_plan import integer_nodes
from ._judge import Judge, Score
from ._mixed_precision import Choice, Nodes, Selection
from ._op_cost import Kernels, latency_s
from ._quantize import IntegerQuantizer
from ._restored_weights import restorations

_MARGIN_DB = 0.3
"""By which the images that choices are made on must exceed the limit before the held-out ones are asked."""

_OTHERS_DB = 2.0
"""By which the SQNR on these few images must exceed it where ranges and order allow for other photos. The lower end of
an interval from 12 images jumps by 10 dB from choice to choice (B0): only the held-out images are held to theirs."""

_ESTIMATE_DB = 3.0
"""An estimate of the SQNR may be too low by so much."""

_LISTED = 12


class Search:
    """Choices of what stays in float, held against the limits.

    Args:
        quantizer: of the network, all in int8.
        judge: by the held-out images.
        kernels, machine: which the time is modelled for.
    """

    def __init__(
        self,
        quantizer: IntegerQuantizer,
        judge: Judge,
        options: IntegerOptions,
        kernels: Kernels,
        machine: Machine,
    ) -> None:
        self.quantizer = quantizer
        self.judge = judge
        self.options = options
        self.kernels = kernels
        self.machine = machine
        self.every = integer_nodes(quantizer.graph)
        self.all_s = self.latency_s(frozenset())
        self.noise = quantizer.noise
        from_db = -math.inf if options.min_sqnr_db is None else options.min_sqnr_db - _ESTIMATE_DB
        self.selection = Selection(quantizer.graph, self.every, self.noise, self._cost_s, self._measured_db, from_db)

    def latency_s(self, in_float: Nodes) -> float:
        return latency_s(self.quantizer.graph, self.every - in_float, self.kernels, self.machine)

    def quantized(self, choice: Choice) -> Graph:
        return self.quantizer.quantized(choice.nodes, choice.restored)

    def _cost_s(self, in_float: Nodes) -> float:
        return self.latency_s(in_float) - self.all_s

    def _measured_db(self, in_float: Nodes) -> float:
        score = self.quantizer.judge(self.quantizer.quantized(in_float))
        return score.sqnr_db - _OTHERS_DB if self.quantizer.expects_others else score.sure_db

    def is_met(self, score: Score) -> bool:
        """Whether the limits are kept on the held-out images, and the SQNR surely on others."""
        options = self.options
        if options.min_sqnr_db is not None and not score.sure_db >= options.min_sqnr_db:
            return False
        return options.max_drop is None or score.drop <= options.max_drop + 1e-9

    def is_promising(self, choice: Choice) -> bool:
        """Whether the images that choices are made on keep the limits, with some room."""
        options = self.options
        if options.min_sqnr_db is not None and choice.sure_db < options.min_sqnr_db + _MARGIN_DB:
            return False
        if options.max_drop is None:
            return True
        return self.quantizer.judge(self.quantized(choice)).drop <= options.max_drop + 1e-9

    def candidates(self) -> Iterator[tuple[Choice, Score]]:
        """Choices that look good enough, the cheapest first, and what the held-out images say of them.

        There are more behind one that keeps the limits: its file may not keep them.
        """
        last: Choice | None = None
        for choice in self._choices():
            last = choice
            if not self.is_promising(choice):
                continue
            last = None
            # `shrink` judges by the calibration photos, which cannot show what was left exact for unlike ones.
            as_is = choice.restored or self.quantizer.expects_others
            smaller = choice if as_is else self.selection.shrink(choice, self.is_promising)
            for tried in dict.fromkeys((smaller, choice)):
                yield tried, self.judge(self.quantized(tried))
        if last is not None:
            yield last, self.judge(self.quantized(last))

    def _choices(self) -> Iterator[Choice]:
        """More and more arithmetic in float, then all of it and more and more weights."""
        for choice in self.selection.grow():
            if choice.nodes == self.every:
                break
            yield choice
        noise = self.quantizer.rounding_noise()
        for restored in (frozenset[str](), *restorations(noise, self._weight_elements)):
            sure_db = self.quantizer.judge(self.quantizer.quantized(self.every, restored)).sure_db
            yield Choice((), self.every, sure_db, restored)

    @property
    def _weight_elements(self) -> Mapping[str, int]:
        weights = {node.name: getattr(node.op, "weight", None) for node in self.quantizer.graph.nodes}
        return {name: weight.size for name, weight in weights.items() if weight is not None}

    def reasons(self, choice: Choice) -> list[str]:
        """Which values are exact, the noisiest first, and why; where all are, which weights."""
        if choice.nodes == self.every:
            return self._restored(choice)
        lines = []
        for value in sorted(choice.values, key=lambda value: -self.noise[value])[:_LISTED]:
            profile = self.quantizer.profiles[value]
            lines.append(
                f"{value} ({self._kind(value)}) in float: range {profile.low:.3g} .. {profile.high:.3g}, "
                f"{db(self.noise[value]):.1f} dB alone"
            )
        more = len(choice.values) - _LISTED
        return [*lines, f"and {more} values more: --explain lists them"] if more > 0 else lines

    def _restored(self, choice: Choice) -> list[str]:
        sizes = self._weight_elements
        names = [f"{name} ({sizes[name]:,} weights)" for name in sorted(choice.restored, key=lambda name: sizes[name])]
        more = [f"{len(names) - _LISTED} more"] if len(names) > _LISTED else []
        if not names:
            return []
        return [f"int8 weights alone miss the limit: float32 weights for {', '.join(names[:_LISTED] + more)}"]

    def _kind(self, value: str) -> str:
        return next((op_kind(node.op) for node in self.quantizer.graph.nodes if node.name == value), "input")

    def table(self, in_float: Nodes) -> list[dict[str, Any]]:
        """What each value costs, the noisiest first."""
        forms = self.quantizer.plan().values
        rows = []
        for value, noise in sorted(self.noise.items(), key=lambda item: -item[1]):
            profile, form = self.quantizer.profiles[value], forms[value]
            rows.append(
                {
                    "value": value,
                    "kind": self._kind(value),
                    "low": profile.low,
                    "high": profile.high,
                    "held_low": (-128 - form.zero_point) * form.scale,
                    "held_high": (127 - form.zero_point) * form.scale,
                    "alone_db": db(noise),
                    "in_float_costs_us": 1e6 * self._cost_s(self.selection.around.get(value, frozenset())),
                    "in_float": value in in_float,
                }
            )
        return rows


def db(noise: float) -> float:
    """Noise as a share of the signal's power, in dB."""
    return -10 * math.log10(noise) if noise > 0 else 200.0
