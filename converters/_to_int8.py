"""From a float graph and calibration images to int8 within limits, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.int8.calibration import judged_for
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.machines import Machine, this_machine
from edgeeff.int8.quantization import Quantization, ValueScale
from edgeeff.proportions import Share

from ._judge import Judge, Score
from ._mixed_precision import Choice
from ._op_cost import LITERT, ONNXRUNTIME, weights_bytes
from ._quantize import SMALL_ELEMENTS, IntegerQuantizer, Trial, quantize_weights
from ._search import Search
from ._weight_rounding import PLAIN, stored_scales

_PAYS = 0.97
"""A mix that is not modelled to run in less than this of float's time does not pay: models are no better."""


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


def integers(
    graph: Graph,
    images: NDArray[np.float32],
    held_out: NDArray[np.float32],
    options: IntegerOptions,
    *,
    machine: Machine | None = None,
    image: ValueScale | None = None,
    known: dict[bool, IntegerQuantizer] | None = None,
) -> Iterator[Found]:
    """All that can be in int8; with limits, what has to stay in float to keep them on held-out images does.

    The cheapest form comes first. The further ones are for a file that does not keep the limits in its own runtime.

    Args:
        images: (count, channels, height, width), to calibrate on.
        held_out: the same, to judge by.
        machine: whose kernels of onnxruntime it is made for; None for LiteRT's, which suit all.
        image: the int8 form of the input, where it is known without looking at images.
        known: what was worked out for the same graph and images, by whether pairs saturate; it is added to.

    Raises:
        ConversionError: no choice keeps the limits, or no other does.
    """
    saturates, known = machine is not None and machine.pairs_saturate, {} if known is None else known
    if saturates not in known:
        without = options.without
        known[saturates] = IntegerQuantizer(graph, images, pairs_saturate=saturates, image=image, without=without)
    quantizer = known[saturates]
    kernels = LITERT if machine is None else ONNXRUNTIME
    judge = Judge(graph, held_out)
    search = Search(quantizer, judge, options, kernels, machine or this_machine())
    best = score = search.judge(quantizer.quantized())
    choice = Choice((), frozenset(), quantizer.trial.sqnr_db)
    notes = [
        f"all in int8 (ranges: {quantizer.trial.ranges}; weights: {quantizer.trial.rounding}): {_told(score)}",
        *_too_few(options.max_drop, len(held_out)),
    ]
    if search.is_met(score):
        yield _found(search, choice, score, notes)
    if options.min_sqnr_db is not None and "other-photos" not in options.without:
        search = Search(quantizer.for_other_photos, judge, options, kernels, machine or this_machine())
    for choice, score in search.found() if options.has_limit else ():
        best = max(best, score, key=lambda score: score.sure_db)
        if search.is_met(score):
            yield _found(search, choice, score, [*notes, *_mixed(search, choice, score)])
    if options.has_limit:
        raise _out_of_reach(search, best)


def _found(search: Search, choice: Choice, score: Score, notes: list[str]) -> Found:
    trials = search.quantizer.trials
    explanation = _explanation(trials, score, search.table(choice.nodes)) if search.options.explain else {}
    return Found(search.quantized(choice), search.judge.expected, tuple(notes), explanation)


def _mixed(search: Search, choice: Choice, score: Score) -> list[str]:
    in_float = f"{len(choice.nodes)} of {len(search.every)} ops in float: {_told(score)}"
    return [in_float, *search.reasons(choice), *_dominated(search, choice, score)]


def _too_few(max_drop: float | None, images: int) -> list[str]:
    """Says so where a share is less than one image: the class of none may change then."""
    if not max_drop or max_drop * images >= 1 - 1e-9:
        return []
    wanted = f"of {math.ceil(4 / max_drop - 1e-9):,} photos" if judged_for(max_drop) * max_drop >= 1 - 1e-9 else ""
    cure = f"; {wanted} in --calibration enough are held out to allow one" if wanted else ""
    return [f"{100 * max_drop:g} % of {images} held-out images is less than one: none may change its class{cure}"]


def _out_of_reach(search: Search, best: Score) -> ConversionError:
    graph, options = search.quantizer.graph, search.options
    limits = [] if options.min_sqnr_db is None else [f"{options.min_sqnr_db:g} dB"]
    limits += [] if options.max_drop is None else [f"{100 * (1 - options.max_drop):g} % agreement"]
    return ConversionError(
        f"{graph.name} int8: the limit is {' and '.join(limits)}, and no choice of its {len(search.every)} ops and "
        f"their weights in float reaches it; the best is {_told(best)}",
        "--precision fp16 keeps all in float, at half the size",
    )


def _dominated(search: Search, choice: Choice, score: Score) -> list[str]:
    """Says so where int8-weights is the better file on the machine at hand: as small, as fast and closer."""
    quantizer = search.quantizer
    in_float = search.latency_s(search.every)
    share = search.latency_s(choice.nodes) / in_float
    stored = stored_scales(quantizer.graph, SMALL_ELEMENTS, False)
    weights = replace(quantizer.rounding.graph, quantization=Quantization(stored))
    other = search.judge(weights)
    mixed = quantizer.plan(choice.nodes, choice.restored).weights
    sizes = [weights_bytes(quantizer.graph, names) for names in (mixed, stored)]
    told = f"modelled at {share:.2f} of fp32's time in {search.kernels.name} on {search.machine.name}"
    if share < _PAYS or other.sqnr_db <= score.sqnr_db or not search.is_met(other):
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


def _explanation(
    trials: list[Trial] | tuple[Trial, ...], score: Score, values: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    tried = [{"ranges": t.ranges, "weights": t.rounding, "sqnr_db": t.sqnr_db} for t in trials]
    where = score.elsewhere
    expected = None if where is None else {"low": where.low_db, "mean": where.mean_db, "high": where.high_db}
    held_out = {"sqnr_db": score.sqnr_db, "expected_db": expected, "agree": score.agree, "images": score.images}
    return {"tried": tried, "held_out": held_out, "values": values or []}
