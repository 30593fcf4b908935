"""Predictions -> accuracies and agreement with their intervals, and the signal-to-noise ratio with its."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import UsageError
from edgeeff.evaluation.classifier import Classifier
from edgeeff.evaluation.dataset import Dataset, listed
from edgeeff.evaluation.predictions import TOP, Prediction
from edgeeff.parity import EQUAL_DB
from edgeeff.proportions import Pair, Share
from edgeeff.wording import counted

RESAMPLES = 2000
_CHUNK_ELEMENTS = 4_000_000


@dataclass(frozen=True, slots=True)
class Scores:
    """How often a file is right; None without labels. `top5` is None, too, where there are too few classes for it."""

    file: Classifier
    top1: Share | None
    top5: Share | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The first file against the second on the same images.

    Args:
        agreement: how often both have the same output on top; None for features.
        sqnr_db: 10 log10(sum y^2 / sum (y - y')^2) over all images' outputs, y the second file's.
        sqnr_interval: 95 %, by resampling images; None for fewer than two.
        right: on how many images each is right; None without labels.
    """

    agreement: Share | None
    sqnr_db: float
    sqnr_interval: tuple[float, float] | None
    right: Pair | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The whole result. `images` could be used; `faults` could not, name -> why."""

    dataset: Dataset
    images: int
    faults: dict[str, str]
    files: tuple[Scores, ...]
    comparison: Comparison | None


def score(files: Sequence[Classifier], dataset: Dataset, predictions: Sequence[Prediction]) -> Evaluation:
    """What predictions, in the order of the dataset's examples, say.

    Raises:
        UsageError: not one image could be decoded.
    """
    faults = {found.name: found.fault for found in predictions if found.fault is not None}
    usable = [found for found in predictions if found.fault is None]
    if not usable:
        name, why = next(iter(faults.items()))
        raise UsageError(f"none of the {len(faults)} images in {dataset.root} can be used: {name}: {why}")
    labels = {example.name: example.label for example in dataset.examples}
    is_classified = dataset.is_labelled and not any(file.features for file in files)
    ranks = [[_rank(found, i, labels[found.name]) for found in usable] for i in range(len(files))]
    scores = [_scores(file, ranks[i] if is_classified else None) for i, file in enumerate(files)]
    right = _pair(*ranks) if is_classified and len(files) > 1 else None
    comparison = None
    if len(files) > 1:
        alike = None if any(file.features for file in files) else sum(f.top[0][0] == f.top[1][0] for f in usable)
        comparison = Comparison(
            agreement=None if alike is None else Share(alike, len(usable)),
            sqnr_db=_decibel(sum(f.signal for f in usable), sum(f.noise for f in usable)),
            sqnr_interval=_bootstrap([f.signal for f in usable], [f.noise for f in usable]),
            right=right,
        )
    return Evaluation(dataset, len(usable), faults, tuple(scores), comparison)


def _rank(found: Prediction, file: int, label: int | None) -> int:
    """Where the label stands among a file's best outputs, from 0; TOP where it does not."""
    return found.top[file].index(label) if label in found.top[file] else TOP


def _scores(file: Classifier, ranks: Sequence[int] | None) -> Scores:
    if ranks is None:
        return Scores(file, None, None)
    first, five = (Share(sum(rank < within for rank in ranks), len(ranks)) for within in (1, TOP))
    return Scores(file, first, five if file.outputs > TOP else None)


def _pair(first: Sequence[int], second: Sequence[int]) -> Pair:
    outcomes = [(a == 0, b == 0) for a, b in zip(first, second, strict=True)]
    counts = [outcomes.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))]
    return Pair(*counts)


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return EQUAL_DB
    return 10 * math.log10(signal / noise) if signal > 0 else -EQUAL_DB


def _bootstrap(signal: Sequence[float], noise: Sequence[float]) -> tuple[float, float] | None:
    """The 2.5 and 97.5 % quantiles of the ratio over resampled images, the same in every run (Efron 1979)."""
    count = len(signal)
    if count < 2 or sum(noise) == 0:
        return None
    signals, noises = np.asarray(signal), np.asarray(noise)
    rng = np.random.Generator(np.random.PCG64(0))
    rows = max(_CHUNK_ELEMENTS // count, 1)
    ratios: list[NDArray[np.float64]] = []
    for start in range(0, RESAMPLES, rows):
        chosen = rng.integers(0, count, (min(rows, RESAMPLES - start), count))
        with np.errstate(divide="ignore"):
            ratios.append(signals[chosen].sum(axis=1) / noises[chosen].sum(axis=1))
    low, high = np.quantile(np.concatenate(ratios), (0.025, 0.975), method="nearest")
    return tuple(min(float(10 * np.log10(end)), EQUAL_DB) for end in (low, high))  # type: ignore[return-value]


def remarks(found: Evaluation) -> list[str]:
    """What the reader of the figures must know."""
    said = list(found.dataset.notes)
    if found.faults:
        why = next(iter(found.faults.values()))
        number = counted(len(found.faults), "image")
        said.append(f"{number} that cannot be decoded left out: {listed(found.faults)}; the first: {why}")
    outputs = found.files[0].file.outputs
    covered = found.dataset.classes
    if found.files[0].top1 is not None and covered < outputs:
        said.append(f"the images cover {covered} of {outputs} classes: this is not the accuracy on all of them")
    return said
