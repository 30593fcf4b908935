"""From a float graph to one that is stored, and in part computed, in int8: what is tried, and what is kept.

Each technique is fitted on some of the calibration images and chosen on others; the held-out ones, on which the result
is reported and held against the limits, take part in neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from edgeeff.graph import Graph
from edgeeff.int8.calibration import held_out_of
from edgeeff.int8.quantization import Quantization, ValueScale, value_scale
from edgeeff.ops import Unary

from ._channel_splitting import split_channels
from ._integer_plan import integer_nodes, plan
from ._judge import Judge
from ._other_photos import BEYOND_SEEN, forms_for_others, variants
from ._ranges import METHODS, Choose, least_noise, limits, ranges, whole
from ._restored_weights import rounding_noise
from ._slopes import Limits, Profile, Profiler
from ._spare_range import NO_ROOM, Room, best_room, ends, with_room
from ._training_spread import beyond_pictures, widened
from ._weight_rounding import Rounding, roundings, spread, stored_scales

SMALL_ELEMENTS = 2048
"""Weights below this stay in float beside a float input: in B0 they make 30 KB more, and 5 dB, for the depthwise
weights of the first blocks, where rounding does the most damage, are among them."""

_CHOSEN_ON = 12
_FOLDS = 4
"""In which photos are left out in turn, as in files of one order: neighbours together."""

_PREFERENCE_DB = 1.0
"""By which other ranges must be better than those of least noise to be taken."""

_SPLIT_ON = 24
"""Of all images. What splitting is against shows on few photos, and among the 12 that other choices are made on may be
none: Lite0's were 0.03 dB against it, where it gained 1.1 dB on the others and 1.3 dB on photos of other packages."""

_PROFILED = 48
"""Images that the slopes are taken on."""

_VARIED = 24
"""Images whose variants the slopes are taken on, too."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of rounding values and weights, and the SQNR with it in dB on the images that choices are made on."""

    ranges: str
    rounding: str
    sqnr_db: float


def split(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Calibration images to fit techniques on, and others to choose among them by."""
    apart = held_out_of(len(images))
    if not apart.any():
        apart[-1] = len(images) > 1
    fitted = images[~apart]
    chosen = images[apart] if apart.any() else images
    return np.ascontiguousarray(fitted), spread(chosen, _CHOSEN_ON)


class IntegerQuantizer:
    """Brings a float graph to int8: weights, values and arithmetic.

    Args:
        graph: in float, of one image.
        images: (count, channels, height, width), to calibrate on.
        pairs_saturate: in the kernels of integer nodes, see `machines`.
        image: the int8 form of the input, where it is known without looking at images.
        without: techniques that are not tried.
        synthesised: no photos are among the images: ranges are as wide as training saw them, see `_training_spread`.
    """

    def __init__(
        self,
        graph: Graph,
        images: NDArray[np.float32],
        *,
        pairs_saturate: bool = False,
        image: ValueScale | None = None,
        without: frozenset[str] = frozenset(),
        synthesised: bool = False,
    ) -> None:
        self.graph = graph
        self.pairs_saturate = pairs_saturate
        self.image = image
        self.expects_others = False
        self.trials: list[Trial] = []
        fitted, chosen = split(images)
        self.judge = Judge(graph, chosen)
        found = limits(graph, images)
        self._factors = beyond_pictures(graph, images) if synthesised else {}
        if "channel-splitting" not in without:
            self.graph = graph = self._split(graph, fitted, found, spread(images, _SPLIT_ON))
        self._fitted = fitted
        self._profiler = profiler = Profiler(graph, found)
        for group, part in enumerate(np.array_split(spread(fitted, _PROFILED), _FOLDS)):
            if len(part):
                profiler.add(torch.from_numpy(part), group)
        self.ends = ends(graph)
        self.profiles: Mapping[str, Profile] = self._seen()
        self.room: Room = NO_ROOM
        self.form: Mapping[str, ValueScale] = self._forms(whole)
        """The int8 form of each value, by the ranges that are best so far."""
        scales = self.plan().weights
        self.roundings = roundings(graph, fitted, scales, without=without, pairs_saturate=pairs_saturate)
        self.rounding: Rounding = self.roundings[0]
        self._choose_rounding()
        self.choose: Choose = whole
        self.trial = Trial("", "", -math.inf)
        for technique, ways in METHODS.items():
            for name, choose in ways.items() if technique not in without else ():
                self._try(name, choose)
        if "least-noise" not in without:
            self._prefer_least_noise(NO_ROOM if "spare-range" in without else self._best_room())
        # Which way is best is settled. The ranges themselves had better know every image.
        profiler.add(torch.from_numpy(chosen), _FOLDS)
        self.profiles = self._seen()
        self.form = self._forms(self.choose)

    def _split(self, graph: Graph, fitted: NDArray[np.float32], found: Limits, images: NDArray[np.float32]) -> Graph:
        """The graph with channels split, if that helps on images: with whole ranges, and the weights in float."""
        made, splits = split_channels(graph, fitted, found)
        if not splits:
            return graph
        values = {name: value_scale(low, high) for name, (low, high) in found.items()}
        values |= dict.fromkeys(graph.inputs, self.image) if self.image is not None else {}
        alone = Quantization({}, plan(graph, values).values, integer_nodes(graph))
        judge = Judge(graph, images)
        plain, split = (judge(replace(each, quantization=alone)).sqnr_db for each in (graph, made))
        copies = sum(len(split.copies) for split in splits)
        self.trials += [Trial("min-max", "float", plain), Trial("min-max", f"float, {copies} channels split", split)]
        return made if split > plain else graph

    def _forms(self, choose: Callable[[Profile], ValueScale]) -> dict[str, ValueScale]:
        return self._with_image(with_room(self.profiles, ranges(self.profiles, choose), self.room, self.ends))

    def _with_image(self, forms: dict[str, ValueScale]) -> dict[str, ValueScale]:
        return forms if self.image is None else forms | dict.fromkeys(self.graph.inputs, self.image)

    def _seen(self, groups: Collection[int] | None = None) -> Mapping[str, Profile]:
        """The profiles by the images so far, or by those of some groups."""
        return widened(self._profiler.profiles(groups), self._factors, self.ends)

    def _best_room(self) -> Room:
        """The room in ranges that photos left out in turn ask for."""
        groups = self._profiler.groups
        if len(groups) < _FOLDS:
            return NO_ROOM
        folds = [(self._seen(groups - {group}), self._seen({group})) for group in groups]
        return best_room(folds, lambda profiles: ranges(profiles, least_noise), self._rounded, self.ends)

    def _prefer_least_noise(self, room: Room) -> None:
        """Ranges of least noise, unless others are far better: all fitted photos speak for them.

        The few that choices are made on tell such ways apart by chance (B0: percentile 0.1 dB better on 12 crops, 5 to
        7 dB worse on other photos), and may lack what room is for.
        """
        enough = self.trial.sqnr_db - _PREFERENCE_DB
        before = self.form
        for self.room in dict.fromkeys((room, NO_ROOM)):
            if self.room == NO_ROOM and self.choose == least_noise:
                break
            self.form = self._forms(least_noise)
            name = "least-noise" if self.room == NO_ROOM else f"least-noise, {room}"
            trial = next((tried for tried in self.trials if tried.ranges == name), None)
            if trial is None:  # without room they were tried among the others
                trial = Trial(name, self.rounding.name, self.judge(self.quantized()).sqnr_db)
                self.trials.append(trial)
            if trial.sqnr_db >= enough:
                self.trial, self.choose = trial, least_noise
                return
        self.form, self.room = before, NO_ROOM

    @property
    def range_method(self) -> str:
        return f"least-noise, {BEYOND_SEEN}" if self.expects_others else self.trial.ranges

    @cached_property
    def for_other_photos(self) -> IntegerQuantizer:
        """The same, but ranges, those of least noise, and `noise` allow for what other photos may be like.

        It pays where some values are exact: with all in int8, where rounding itself is the loudest, what wider ranges
        keep on a few photos they lose on all others (B0: 5 in place of 12 dB).
        """
        made = copy(self)
        made.expects_others = True
        self._profiler.add(torch.from_numpy(variants(spread(self._fitted, _VARIED))), _FOLDS + 1)
        made.profiles = self._seen()
        made.form = self._with_image(forms_for_others(made.profiles, self.ends))
        return made

    def plan(self, in_float: frozenset[str] = frozenset(), restored: frozenset[str] = frozenset()) -> Quantization:
        """What is in int8, but for the nodes that stay in float, and of these the layers whose weights do."""
        return plan(
            self.graph,
            self.form,
            in_float=in_float,
            restored=restored,
            small_elements=SMALL_ELEMENTS,
            pairs_saturate=self.pairs_saturate,
        )

    def quantized(self, in_float: frozenset[str] = frozenset(), restored: frozenset[str] = frozenset()) -> Graph:
        """The graph in int8, but for the given nodes, by the best that was found."""
        exact = {node.name: node for node in self.graph.nodes if node.name in restored}
        made = self.rounding.graph.replace(exact.get(node.name, node) for node in self.rounding.graph.nodes)
        return replace(made, quantization=self.plan(in_float, restored))

    def rounding_noise(self) -> dict[str, float]:
        """What the int8 weights of each layer add to the outputs, by estimate, where all arithmetic is in float."""
        stored = self.plan(integer_nodes(self.graph)).weights
        rounded = replace(self.rounding.graph, quantization=Quantization(stored))
        return rounding_noise(self.graph, rounded, stored, torch.from_numpy(self.judge.images))

    def _choose_rounding(self) -> None:
        """By the weights alone, the values in float: beside the values' noise they may not show."""
        stored = Quantization(self.plan().weights)
        found = [self.judge(replace(each.graph, quantization=stored)).sqnr_db for each in self.roundings]
        self.trials += [Trial("float", each.name, db) for each, db in zip(self.roundings, found, strict=True)]
        self.rounding = self.roundings[int(np.argmax(found))]

    def _try(self, name: str, choose: Choose) -> None:
        before, self.form = self.form, self._forms(choose)
        trial = Trial(name, self.rounding.name, self.judge(self.quantized()).sqnr_db)
        self.trials.append(trial)
        if trial.sqnr_db > self.trial.sqnr_db:
            self.trial, self.choose = trial, choose
        else:
            self.form = before

    @property
    def _rounded(self) -> frozenset[str]:
        """The values that an integer node reads or makes, but for those whose form is given."""
        integer = integer_nodes(self.graph)
        names = integer.union(*(node.inputs for node in self.graph.nodes if node.name in integer))
        given = {node.name for node in self.graph.nodes if node.op == Unary("sigmoid")}
        given |= set() if self.image is None else set(self.graph.inputs)
        return frozenset(names - given)

    @property
    def noise(self) -> dict[str, float]:
        """What each value alone adds to the outputs by its int8 form, as a share of their power, by estimate."""
        forms, integer = self.plan().values, integer_nodes(self.graph)
        read = {name for node in self.graph.nodes if node.name in integer for name in node.inputs}
        return {
            name: profile.noise(forms[name])
            for name, profile in self.profiles.items()
            if name in integer or name in read
        }


def quantize_weights(
    graph: Graph,
    images: NDArray[np.float32] | None = None,
    *,
    pairs_saturate: bool = False,
    without: frozenset[str] = frozenset(),
) -> tuple[Graph, tuple[Trial, ...]]:
    """Every weight of 2048 elements or more in int8, all arithmetic in float; and what was tried.

    Args:
        images: (count, channels, height, width), to fit and choose techniques on; none are tried without them.
        pairs_saturate: in kernels that multiply these weights by integers, see `machines`.
    """
    stored = Quantization(stored_scales(graph, SMALL_ELEMENTS, pairs_saturate))
    if images is None:
        return replace(graph, quantization=stored), ()
    fitted, chosen = split(images)
    judge = Judge(graph, chosen)
    found = roundings(graph, fitted, stored.weights, without=without, pairs_saturate=pairs_saturate)
    made = [replace(rounding.graph, quantization=stored) for rounding in found]
    trials = [Trial("float", rounding.name, judge(each).sqnr_db) for rounding, each in zip(found, made, strict=True)]
    best = max(range(len(made)), key=lambda i: trials[i].sqnr_db)
    return made[best], tuple(trials)
