"""Integers for real numbers: one quantise function, and what a quantised graph carries.

A real number r is stored as q = round(r / scale) + zero_point, clipped to int8 (Jacob et al. 2018, arXiv 1712.05877,
section 2.1). Weights are symmetric and have a scale for each output channel, values one scale and zero point each
(Krishnamoorthi 2018, arXiv 1806.08342, section 3). The simulation and the writers call the functions here, so a file
holds exactly the integers that were judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.ops import Weight
from edgeeff.values import Normalisation

LOWEST, HIGHEST = -128, 127

IO = ("float", "int8", "uint8")
"""What a file of integers can take and give. uint8 is int8 and 128."""


@dataclass(frozen=True, slots=True)
class ValueScale:
    """The int8 form of a value: r = (q - zero_point) * scale, q in [-128, 127]."""

    scale: float
    zero_point: int


SIGMOID = ValueScale(1 / 256, -128)
"""What every kernel demands of a sigmoid's output: [0, 1) in steps of 1/256."""

SWISH_GATE = ValueScale(float(np.float32(0.05)), 0)
"""What a swish with its own beta gives its sigmoid: [-6.4, 6.35], beyond which a sigmoid's steps are all alike."""

HARD_SIGMOID = ValueScale(float(np.float32(1 / 255)), -128)
"""[0, 1] in 255 steps: it reaches 1, and clips itself. x + 3 in steps six times as large holds the same integers."""

GIVEN_FORMS = {"sigmoid": SIGMOID, "hard_sigmoid": HARD_SIGMOID}
"""The form of what these activations make, which does not depend on any image."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """What of a graph is stored and computed in int8.

    Args:
        weights: node -> a scale for each output channel (axis 0 of the weight). Such a weight is stored in int8.
        values: value -> its int8 form, for every value that an integer node reads or makes.
        integer: the nodes that compute in int8; all others compute in float32, whatever their weights are stored in.
        unsigned: whether an ONNX file holds values as uint8, 128 higher, see `machines`.
        io: what the network takes and gives: "float", or "int8" or "uint8" by the forms of its inputs and outputs.
    """

    weights: Mapping[str, NDArray[np.float32]]
    values: Mapping[str, ValueScale] = field(default_factory=dict)
    integer: frozenset[str] = frozenset()
    unsigned: bool = False
    io: str = "float"


def image_scale(normalisation: Normalisation) -> ValueScale:
    """The int8 form of an image: it holds every pixel, and is the pixels' own bytes where all channels are alike."""
    channels = list(zip(normalisation.mean, normalisation.std, strict=True))
    low, high = min(-mean / std for mean, std in channels), max((1 - mean) / std for mean, std in channels)
    return value_scale(low, high)


def takes_bytes(form: ValueScale, normalisation: Normalisation) -> bool:
    """Whether an input of uint8 in this form takes an image's bytes as they are."""
    zero_point = io_scale(form, "uint8").zero_point
    return all(
        abs(form.scale * 255 * std - 1) < 1e-5 and abs(zero_point - 255 * mean) < 1e-3
        for mean, std in zip(normalisation.mean, normalisation.std, strict=True)
    )


def io_scale(form: ValueScale, io: str) -> ValueScale:
    """The scale and zero point of an input or output of type `io`, "int8" or "uint8"."""
    return ValueScale(form.scale, form.zero_point - LOWEST if io == "uint8" else form.zero_point)


def to_io(real: NDArray[Any], form: ValueScale, io: str) -> NDArray[Any]:
    """What a file with inputs of type `io` takes for real numbers."""
    if io == "float":
        return real
    integers = to_int8(real, form.scale, form.zero_point)
    return integers if io == "int8" else (integers.astype(np.int16) - LOWEST).astype(np.uint8)


def from_io(integers: NDArray[Any], form: ValueScale, io: str) -> NDArray[Any]:
    """The real numbers behind what a file with outputs of type `io` gives."""
    if io == "float":
        return integers
    real: NDArray[Any] = (integers.astype(np.float32) - io_scale(form, io).zero_point) * np.float32(form.scale)
    return real


def channelwise(scales: NDArray[np.float32], rank: int, axis: int = 0) -> NDArray[np.float32]:
    """The scales in a shape that broadcasts against a weight of the given rank."""
    return scales.reshape([-1 if i == axis else 1 for i in range(rank)])


def weight_scales(weight: Weight, *, pairs_saturate: bool = False) -> NDArray[np.float32]:
    """A scale for each output channel (axis 0), such that the channel's largest magnitude becomes 127.

    Args:
        pairs_saturate: the kernel sums pairs of products in 16 bits (see `machines`); no pair may reach their limit.
    """
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    # A channel of zeros has no scale of its own. Any will do, but one out of proportion would fail a kernel's checks.
    # Zero is also what is so small that its scale would be no normal number.
    least = np.finfo(np.float32).tiny * HIGHEST
    usual = largest.max() if largest.max() > least else np.float32(HIGHEST)
    scales = (np.where(largest > usual * 1e-7, largest, usual) / HIGHEST).astype(np.float32)
    return np.maximum(scales, _largest_pair(weight) / np.float32(_PAIR_LEVELS)) if pairs_saturate else scales


_PAIR_LEVELS = 127.4
"""Two weights that add up to so much still add up to 128 or less when each is rounded, and 128 * 255 fits 16 bits."""


def _largest_pair(weight: Weight) -> NDArray[np.float32]:
    """For each channel, the largest sum of two neighbours of one sign, in the order of `pairs`."""
    both = pairs(weight)
    sums = [np.maximum(side, 0).sum(axis=2) for side in (both, -both)]
    largest: NDArray[np.float32] = np.maximum(*sums).max(axis=1)
    return largest


def pairs(weight: NDArray[Any]) -> NDArray[Any]:
    """The weights that a kernel of 16-bit sums takes together, (channel, pair, 2): by row, column and input channel."""
    rows = np.moveaxis(weight, 1, -1).reshape(len(weight), -1)
    return np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(len(weight), -1, 2)


def to_int8(real: NDArray[Any], scale: Any, zero_point: int = 0, lowest: int = LOWEST) -> NDArray[np.int8]:
    """Rounds to the nearest integer, halves to even, and clips to [lowest, 127]."""
    integers: NDArray[np.int8] = np.clip(np.rint(real / scale) + zero_point, lowest, HIGHEST).astype(np.int8)
    return integers


def weight_to_int8(weight: Weight, scales: NDArray[np.float32], axis: int = 0) -> NDArray[np.int8]:
    """The integers of a weight; -128 stays unused, as kernels for symmetric weights demand."""
    return to_int8(weight, channelwise(scales, weight.ndim, axis), lowest=-HIGHEST)


def bias_to_int32(
    bias: Weight, scales: NDArray[np.float32], input_scale: float
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The integers of a bias and their scale for each channel: that of the products, input times weight."""
    products: NDArray[np.float32] = scales.astype(np.float32) * np.float32(input_scale)
    return np.rint(bias / products).astype(np.int32), products


def stored_weight(weight: Weight, scales: NDArray[np.float32]) -> Weight:
    """The weight as a runtime sees it: the float values of its integers."""
    return weight_to_int8(weight, scales).astype(np.float32) * channelwise(scales, weight.ndim)


def beta_scale(beta: Weight) -> ValueScale:
    """The int8 form of a swish's betas, whose greatest is 127 steps."""
    return ValueScale(float(np.float32(beta.max() / HIGHEST)), 0)


def value_scale(low: float, high: float) -> ValueScale:
    """The int8 form that holds the range [low, high], widened to have 0 in it, which it stores exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max(high - low, 1e-8) / (HIGHEST - LOWEST)))
    return ValueScale(scale, min(max(round(LOWEST - low / scale), LOWEST), HIGHEST))
