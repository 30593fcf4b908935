"""From a float graph and calibration images to int8 within limits: the search, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.machines import Machine, this_machine
from edgeeff.int8.quantization import Quantization, ValueScale
from edgeeff.ops import op_kind
from edgeeff.proportions import Share

from ._integer_plan import integer_nodes
from ._judge import Judge, Score
from ._mixed_precision import Choice, Nodes, Selection
from ._op_cost import latency_s, weights_bytes
from ._quantize import SMALL_ELEMENTS, IntegerQuantizer, Trial, quantize_weights
from ._weight_rounding import PLAIN, stored_scales

_MARGIN_DB = 0.3
"""By which the images that choices are made on must exceed the limit before the held-out ones are asked."""

_PAYS = 0.97
"""A mix that is not modelled to run in less than this of float's time does not pay: models are no better."""

_LISTED = 12


@dataclass(frozen=True, slots=True)
class Found:
    """A quantised graph, and what was found on the way.

    Args:
        held_out: the float network's outputs for the held-out images; empty without such images.
        notes: for the user, one sentence each.
        explanation: for `--explain`, as JSON holds it; empty where it was not asked for.
    """

    graph: Graph
    held_out: tuple[NDArray[np.float32], ...]
    notes: tuple[str, ...]
    explanation: Mapping[str, Any]


def weights_to_int8(
    graph: Graph,
    images: NDArray[np.float32] | None,
    held_out: NDArray[np.float32] | None,
    options: IntegerOptions,
    pairs_saturate: bool = False,
) -> Found:
    """Weights in int8, arithmetic in float; see `_quantize.quantize_weights`."""
    made, trials = quantize_weights(graph, images, pairs_saturate=pairs_saturate, without=options.without)
    if images is None or held_out is None:
        return Found(made, (), ("int8 weights, rounded one by one: more needs --calibration",), {})
    judge = Judge(graph, held_out)
    plain = replace(graph, quantization=made.quantization)
    score, plain_score = judge(made), judge(plain)
    rounding = max(trials, key=lambda trial: trial.sqnr_db).rounding
    where = f"dB on {score.images} held-out images"
    note = f"int8 weights, {rounding}: {plain_score.sqnr_db:.1f} -> {score.sqnr_db:.1f} {where}"
    if plain_score.sqnr_db > score.sqnr_db:
        made, note = plain, f"int8 weights, {PLAIN}: {plain_score.sqnr_db:.1f} {where}; {rounding} not kept"
        score = plain_score
    return Found(made, judge.expected, (note,), _explanation(trials, score) if options.explain else {})


class _Search:
    """The search for what stays in float, and the sentences about it."""

    def __init__(self, quantizer: IntegerQuantizer, judge: Judge, options: IntegerOptions, machine: Machine) -> None:
        self.quantizer = quantizer
        self.judge = judge
        self.options = options
        self.machine = machine
        self.every = integer_nodes(quantizer.graph)
        self.all_s = self.latency_s(frozenset())
        self.noise = quantizer.noise
        self.selection = Selection(quantizer.graph, self.every, self.noise, self._cost_s, self._measured_db)

    def latency_s(self, in_float: Nodes) -> float:
        return latency_s(self.quantizer.graph, self.every - in_float, self.machine)

    def _cost_s(self, in_float: Nodes) -> float:
        return self.latency_s(in_float) - self.all_s

    def _measured_db(self, in_float: Nodes) -> float:
        return self.quantizer.judge(self.quantizer.quantized(in_float)).sure_db

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
        return self.quantizer.judge(self.quantizer.quantized(choice.nodes)).drop <= options.max_drop + 1e-9

    def found(self) -> Iterator[tuple[Choice, Score]]:
        """Choices that look good enough, and what the held-out images say of them: the first good one ends it."""
        last: Choice | None = None
        for choice in self.selection.grow():
            if choice.nodes == self.every:
                break
            last = choice
            if not self.is_promising(choice):
                continue
            last = None
            smaller = self.selection.shrink(choice, self.is_promising)
            for tried in dict.fromkeys((smaller, choice)):
                score = self.judge(self.quantizer.quantized(tried.nodes))
                yield tried, score
                if self.is_met(score):
                    return
        if last is not None:
            yield last, self.judge(self.quantizer.quantized(last.nodes))

    def reasons(self, choice: Choice) -> list[str]:
        """Which values are exact, the noisiest first, and why."""
        lines = []
        for value in sorted(choice.values, key=lambda value: -self.noise[value])[:_LISTED]:
            profile = self.quantizer.profiles[value]
            lines.append(
                f"{value} ({self._kind(value)}) in float: range {profile.low:.3g} .. {profile.high:.3g}, "
                f"{_db(self.noise[value]):.1f} dB alone"
            )
        more = len(choice.values) - _LISTED
        return [*lines, f"and {more} values more: --explain lists them"] if more > 0 else lines

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
                    "alone_db": _db(noise),
                    "in_float_costs_us": 1e6 * self._cost_s(self.selection.around.get(value, frozenset())),
                    "in_float": value in in_float,
                }
            )
        return rows


def integers(
    graph: Graph,
    images: NDArray[np.float32],
    held_out: NDArray[np.float32],
    options: IntegerOptions,
    *,
    machine: Machine | None = None,
    image: ValueScale | None = None,
) -> Found:
    """All that can be in int8; with limits, what has to stay in float to keep them on held-out images does.

    Args:
        images: (count, channels, height, width), to calibrate on.
        held_out: the same, to judge by.
        machine: whose kernels it is made for; None where they suit all.
        image: the int8 form of the input, where it is known without looking at images.

    Raises:
        ConversionError: no choice keeps the limits.
    """
    quantizer = IntegerQuantizer(
        graph,
        images,
        pairs_saturate=machine is not None and machine.pairs_saturate,
        image=image,
        without=options.without,
    )
    judge = Judge(graph, held_out)
    search = _Search(quantizer, judge, options, machine or this_machine())
    choice = Choice((), frozenset(), quantizer.trial.sqnr_db)
    score = judge(quantizer.quantized())
    notes = [f"all in int8 (ranges: {quantizer.trial.ranges}; weights: {quantizer.trial.rounding}): {_told(score)}"]
    if not search.is_met(score):
        choice, score, more = _mixed(search, score)
        notes += more
    explanation = _explanation(quantizer.trials, score, search.table(choice.nodes)) if options.explain else {}
    return Found(quantizer.quantized(choice.nodes), judge.expected, tuple(notes), explanation)


def _mixed(search: _Search, all_in_int8: Score) -> tuple[Choice, Score, list[str]]:
    best = all_in_int8
    for choice, score in search.found():
        best = max(best, score, key=lambda score: score.sure_db)
        if search.is_met(score):
            notes = [
                f"{len(choice.nodes)} of {len(search.every)} ops in float: {_told(score)}",
                *search.reasons(choice),
            ]
            return choice, score, [*notes, *_dominated(search, choice, score)]
    graph, options = search.quantizer.graph, search.options
    limits = [] if options.min_sqnr_db is None else [f"{options.min_sqnr_db:g} dB"]
    limits += [] if options.max_drop is None else [f"{100 * (1 - options.max_drop):g} % agreement"]
    raise ConversionError(
        f"{graph.name} int8: the limit is {' and '.join(limits)}, and no choice of its {len(search.every)} ops in "
        f"float reaches it; the best is {_told(best)}",
        "--precision int8-weights keeps every op in float, at a quarter of the size",
    )


def _dominated(search: _Search, choice: Choice, score: Score) -> list[str]:
    """Says so where int8-weights is the better file on the machine at hand: as small, as fast and closer."""
    quantizer = search.quantizer
    in_float = search.latency_s(search.every)
    share = search.latency_s(choice.nodes) / in_float
    stored = stored_scales(quantizer.graph, SMALL_ELEMENTS, False)
    weights = replace(quantizer.rounding.graph, quantization=Quantization(stored))
    other = search.judge(weights)
    sizes = [weights_bytes(quantizer.graph, names) for names in (quantizer.plan(choice.nodes).weights, stored)]
    told = f"modelled at {share:.2f} of fp32's time on {search.machine.name}"
    if share < _PAYS or other.sqnr_db <= score.sqnr_db:
        return [told]
    return [
        f"{told}: --precision int8-weights is the better file here: {other.sqnr_db:.1f} dB at fp32's speed, "
        f"{sizes[1] / 1e6:.2f} MB of weights against {sizes[0] / 1e6:.2f} MB"
    ]


def _told(score: Score) -> str:
    low, high = Share(score.agree, score.images).interval
    where = score.elsewhere
    others = "" if where is None else f" (of others [{where.low_db:.1f}, {where.high_db:.1f}] dB expected)"
    return (
        f"{score.sqnr_db:.1f} dB on {score.images} held-out images{others}, {score.agree} of them keep their first "
        f"class [{100 * low:.0f}, {100 * high:.0f}] %"
    )


def _db(noise: float) -> float:
    return -10 * math.log10(noise) if noise > 0 else 200.0


def _explanation(
    trials: list[Trial] | tuple[Trial, ...], score: Score, values: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    tried = [{"ranges": t.ranges, "weights": t.rounding, "sqnr_db": t.sqnr_db} for t in trials]
    where = score.elsewhere
    expected = None if where is None else {"low": where.low_db, "mean": where.mean_db, "high": where.high_db}
    held_out = {"sqnr_db": score.sqnr_db, "expected_db": expected, "agree": score.agree, "images": score.images}
    return {"tried": tried, "held_out": held_out, "values": values or []}
