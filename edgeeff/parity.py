"""Does a written file compute what the network computes?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgeeff.errors import ConversionError

LIMITS_DB = {"fp32": 100.0, "fp16": 45.0, "int8-weights": 18.0, "dynamic": 14.0, "int8": 8.0}
"""Lowest signal-to-noise ratio of the outputs, by precision. Good float routes reach 114 to 117 dB; int8 weights
30 to 37 dB with calibration images, 22 dB on noise without; all in int8 12.5 (B0) and 23.5 dB (Lite0), on 7
held-out photos. 8 dB is a floor against useless files, not a mark of quality."""

OWN_ERROR_DB = 12.0
"""4 times: so far from torch's float32 may a float file be, by torch's own distance from float64."""

LEAST_FLOAT_DB = 70.0
"""Below it no float file is taken, however far off float32 itself is."""

EQUAL_DB = 1000.0
"""Stands for "equal to the last bit": finite, so that JSON can hold it, and above what float64 can tell apart."""


def sqnr_db(reference: Sequence[ArrayLike], outputs: Sequence[ArrayLike]) -> float:
    """Signal to quantisation noise ratio over all outputs: 10 log10(sum y^2 / sum (y - y')^2), in dB.

    Equal outputs give EQUAL_DB, also where all are zero. -inf where a value is not a number or infinite, on one
    side or on both: such an output is of no use.
    """
    signal = noise = 0.0
    for expected, given in zip(reference, outputs, strict=True):
        y, other = np.asarray(expected, np.float64), np.asarray(given, np.float64)
        signal += float(np.sum(y * y))
        noise += float(np.sum((y - other) ** 2))
    if not math.isfinite(signal) or not math.isfinite(noise):
        return -math.inf
    if noise == 0:
        return EQUAL_DB
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def float_limit_db(exact: Sequence[ArrayLike], reference: Sequence[ArrayLike]) -> float:
    """The limit of a file in fp32, by how far torch's float32 outputs are themselves from the exact ones, in float64.

    A network that amplifies rounding, as one hardly trained may, is no better defined in float32: two sound orders
    of its sums differ by as much.
    """
    own_db = sqnr_db(exact, reference)
    return max(LEAST_FLOAT_DB, min(LIMITS_DB["fp32"], own_db - OWN_ERROR_DB))


def agreement(reference: Sequence[ArrayLike], outputs: Sequence[ArrayLike]) -> int:
    """On how many images of the batch the first output has its largest value in the same place: the same class."""
    first = [np.asarray(side[0]).reshape(len(np.asarray(side[0])), -1) for side in (reference, outputs)]
    return int((first[0].argmax(axis=1) == first[1].argmax(axis=1)).sum())


def max_abs(reference: Sequence[ArrayLike], outputs: Sequence[ArrayLike]) -> float:
    """Largest absolute difference over all outputs."""
    differences = (
        np.max(np.abs(np.asarray(expected, np.float64) - np.asarray(given, np.float64)), initial=0.0)
        for expected, given in zip(reference, outputs, strict=True)
    )
    return float(max(differences, default=0.0))


def require_shapes(reference: Sequence[ArrayLike], outputs: Sequence[ArrayLike]) -> None:
    """Raises ConversionError unless both sides have the same outputs in number and shape."""
    expected, given = ([np.shape(y) for y in side] for side in (reference, outputs))
    if expected != given:
        raise ConversionError(f"the written file returns shapes {given}, the network {expected}")
