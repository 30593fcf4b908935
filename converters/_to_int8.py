"""From a float graph and calibration images to int8 within limits, and what is said of it."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import ConversionError
from edgeeff.graph import Graph
from edgeeff.int8.calibration import NO_PHOTOS, Calibration, judged_for
from edgeeff.int8.integer_options import IntegerOptions
from edgeeff.int8.machines import Machine, this_machine
from edgeeff.int8.quantization import Quantization, ValueScale
from edgeeff.int8.techniques import SWISH_EQUALISATION
from edgeeff.proportions import Share

from ._integer_plan import integer_nodes
from ._judge import Judge, Score
from ._mixed_precision import Choice
from ._op_cost import LITERT, ONNXRUNTIME, latency_s, weights_bytes
from ._quantize import SMALL_ELEMENTS, IntegerQuantizer, Trial, quantize_weights
from ._search import Search
from ._swish_equalisation import equalise
from ._weight_rounding import PLAIN, stored_scales

_PAYS = 0.97
"""A mix that is not modelled to run in less than this of float's time does not pay: models are no better."""

_EQUALISED_DB = 1.0
"""By which equalised swishes must be better."""

_ENOUGH_DB = 20.0
"""What is so good without them stays as fast as it is (EfficientNetV2-B0, random weights: 24 dB)."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""mallopt's names, in malloc.h."""


@dataclass(frozen=True, slots=True)
class Quantised:
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
    calibration: Calibration | None,
    options: IntegerOptions,
    pairs_saturate: bool = False,
) -> Quantised:
    """Weights in int8, arithmetic in float; see `_quantize.quantize_weights`."""
    images = None if calibration is None else calibration.images
    made, trials = quantize_weights(graph, images, pairs_saturate=pairs_saturate, without=options.without)
    if calibration is None:
        return Quantised(made, (), ("int8 weights, rounded one by one: more needs --calibration",), {})
    judge = Judge(graph, calibration.held_out)
    plain = replace(graph, quantization=made.quantization)
    score, plain_score = judge(made), judge(plain)
    rounding = max(trials, key=lambda trial: trial.sqnr_db).rounding
    where = f"dB on {score.images} held-out images"
    note = f"int8 weights, {rounding}: {plain_score.sqnr_db:.1f} -> {score.sqnr_db:.1f} {where}"
    if plain_score.sqnr_db > score.sqnr_db:
        made, note = plain, f"int8 weights, {PLAIN}: {plain_score.sqnr_db:.1f} {where}; {rounding} not kept"
        score = plain_score
    return Quantised(made, judge.expected, (note,), _explanation(trials, score) if options.explain else {})


def integers(
    graph: Graph,
    calibration: Calibration,
    options: IntegerOptions,
    *,
    machine: Machine | None = None,
    image: ValueScale | None = None,
    known: dict[bool, IntegerQuantizer] | None = None,
) -> Iterator[Quantised]:
    """All that can be in int8; with limits, what has to stay in float to keep them on held-out images does.

    The cheapest form comes first. The further ones are for a file that does not keep the limits in its own runtime.

    Args:
        machine: whose kernels of onnxruntime it is made for; None for LiteRT's, which suit all.
        image: the int8 form of the input, where it is known without looking at images.
        known: what was worked out for the same graph and images, by whether pairs saturate; it is added to.

    Raises:
        ConversionError: no choice keeps the limits, or no other does.
    """
    _keep_freed_memory()
    saturates, known = machine is not None and machine.pairs_saturate, {} if known is None else known
    synthesised = NO_PHOTOS in calibration.source
    without, images = options.without, calibration.images
    if saturates not in known:
        known[saturates] = IntegerQuantizer(
            graph,
            images,
            pairs_saturate=saturates,
            image=image,
            without=without,
            synthesised=synthesised,
        )
    quantizer, judge = known[saturates], Judge(graph, calibration.held_out)
    kernels, equalised = LITERT if machine is None else ONNXRUNTIME, False
    # Scales of single channels that fit synthesised pictures say nothing of photos.
    if machine is None and not (options.has_limit or synthesised or SWISH_EQUALISATION in without):
        before, quantizer = quantizer, _equalised(quantizer, images, without)
        equalised = quantizer is not before
    by = partial(Search, judge=judge, options=options, kernels=kernels, machine=machine or this_machine())
    search, score = by(quantizer), judge(quantizer.quantized())
    made_by = f"ranges: {quantizer.range_method}; weights: {quantizer.trial.rounding}"
    if equalised:
        made_by += "; swish equalised"
    notes = [f"all in int8 ({made_by}): {_told(score)}", *_too_few(options.max_drop, calibration)]
    if search.is_met(score):
        told = [_slower(search, graph)] if equalised else []
        yield _quantised_by(search, Choice((), frozenset(), quantizer.trial.sqnr_db), score, [*notes, *told])
    if options.min_sqnr_db is not None and not without & {"least-noise", "other-photos"}:
        search = by(quantizer.for_other_photos)
    if options.has_limit:
        yield from _in_part(search, score, notes)


def _keep_freed_memory() -> None:
    """Lets glibc keep what tensors free for the next ones, up to 256 MB.

    It gives the kernel back all beyond 64 MB, and clean pages for the next tensor were a quarter of B0's CPU time.
    """
    if sys.platform == "linux":
        for option, size in ((_TRIM_THRESHOLD, 2**28), (_MMAP_THRESHOLD, 2**25)):
            with suppress(AttributeError):  # another C library has no mallopt
                ctypes.CDLL(None).mallopt(option, size)


def _equalised(quantizer: IntegerQuantizer, images: NDArray[np.float32], without: frozenset[str]) -> IntegerQuantizer:
    """That of the network with equalised swishes where it is surely better and needs to be: its file is slower.

    With a limit it is not tried, since what leaves some ops in float is both faster and closer; nor for onnxruntime,
    whose integer swish is slower than that in float as it is.
    """
    graph = equalise(quantizer.graph, images) if quantizer.trial.sqnr_db < _ENOUGH_DB else None
    if graph is None:
        return quantizer
    # Channels are split already; these ways of choosing ranges are known to be worse; room that suits unlike photos
    # costs the typical one up to 4 dB where each channel has its scale.
    spared = {"channel-splitting", "spare-range"}
    spared |= {"percentile", "least-error"} if "least-noise" not in without else set()
    other = IntegerQuantizer(graph, images, image=quantizer.image, without=without | spared)
    tried = replace(other.trial, ranges=f"{other.trial.ranges}, swish equalised")
    other.trials = [*quantizer.trials, tried]
    if other.trial.sqnr_db > quantizer.trial.sqnr_db + _EQUALISED_DB:
        return other
    quantizer.trials.append(tried)
    return quantizer


def _slower(search: Search, graph: Graph) -> str:
    """What equalised swishes cost, and how to do without."""
    every = integer_nodes(graph)
    plain_s, float_s = (latency_s(graph, nodes, search.kernels, search.machine) for nodes in (every, frozenset[str]()))
    share = search.latency_s(frozenset()) / float_s
    return (
        f"swish equalised: modelled at {share:.2f} of fp32's time, and {plain_s / float_s:.2f} --without "
        f"{SWISH_EQUALISATION}; --min-sqnr leaves some ops in float, which can be both closer and faster"
    )


def _in_part(search: Search, best: Score, notes: list[str]) -> Iterator[Quantised]:
    """What keeps the limits with some of it in float.

    Args:
        best: that of all in int8.
        notes: on it.

    Raises:
        ConversionError: nothing does, or nothing else.
    """
    for choice, score in search.candidates():
        best = max(best, score, key=lambda score: score.sure_db)
        if search.is_met(score):
            yield _quantised_by(search, choice, score, [*notes, *_mixed(search, choice, score)])
    raise _out_of_reach(search, best)


def _quantised_by(search: Search, choice: Choice, score: Score, notes: list[str]) -> Quantised:
    trials = search.quantizer.trials
    explanation = _explanation(trials, score, search.table(choice.nodes)) if search.options.explain else {}
    return Quantised(search.quantized(choice), search.judge.expected, tuple(notes), explanation)


def _mixed(search: Search, choice: Choice, score: Score) -> list[str]:
    in_float = f"{len(choice.nodes)} of {len(search.every)} ops in float"
    if choice.nodes == search.every:
        return [f"{in_float}: {_told(score)}", *search.reasons(choice), _all_in_float(search, choice)]
    ranges = f"ranges: {search.quantizer.range_method}"
    return [f"{in_float} ({ranges}): {_told(score)}", *search.reasons(choice), *_dominated(search, choice, score)]


def _too_few(max_drop: float | None, calibration: Calibration) -> list[str]:
    """Says so where a share is less than one image: the class of none may change then."""
    images = len(calibration.held_out)
    if not max_drop or max_drop * images >= 1 - 1e-9:
        return []
    told = f"{100 * max_drop:g} % of {images} held-out images is less than one: none may change its class"
    if NO_PHOTOS in calibration.source or judged_for(max_drop) * max_drop < 1 - 1e-9:
        return [told]
    photos = math.ceil(4 / max_drop - 1e-9)
    return [f"{told}; --calibration with {photos:,} photos holds out enough to allow one"]


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
    share = search.latency_s(choice.nodes) / search.latency_s(search.every)
    other, sizes = _int8_weights(search, choice)
    told = f"modelled at {share:.2f} of fp32's time in {search.kernels.name} on {search.machine.name}"
    if share < _PAYS or other.sqnr_db <= score.sqnr_db or not search.is_met(other):
        return [told]
    better = f"{other.sqnr_db:.1f} dB at fp32's speed, {sizes}"
    return [f"{told}: --precision int8-weights is the better file here: {better}"]


def _all_in_float(search: Search, choice: Choice) -> str:
    """Says that int8-weights is the same kind of file; where weights are in float32, too, what they cost."""
    told = "nothing is computed in int8"
    if not choice.restored:
        return f"{told}: --precision int8-weights writes such a file, too, at fp32's speed"
    other, sizes = _int8_weights(search, choice)
    limit = "keeps the limit on the held-out images" if search.is_met(other) else "misses the limit"
    larger = "and the file is larger than that of --precision int8-weights"
    return f"{told}, {larger}, which {limit} ({other.sqnr_db:.1f} dB, {sizes})"


def _int8_weights(search: Search, choice: Choice) -> tuple[Score, str]:
    """How close int8-weights is, and its size beside that of a choice."""
    quantizer = search.quantizer
    stored = stored_scales(quantizer.graph, SMALL_ELEMENTS, False)
    score = search.judge(replace(quantizer.rounding.graph, quantization=Quantization(stored)))
    mixed = quantizer.plan(choice.nodes, choice.restored).weights
    chosen_mb, other_mb = (weights_bytes(quantizer.graph, names) / 1e6 for names in (mixed, stored))
    return score, f"{other_mb:.2f} MB of weights against {chosen_mb:.2f} MB"


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
