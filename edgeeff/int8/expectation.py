"""Which SQNR other images will have, as far as a few can tell.

The noise of one image is easily a hundred times that of the next, so the SQNR of a few is that of their worst, and
resampling them cannot invent a worse one. Their logarithms are nearly normal: on B0 in int8, whose pooled SQNR was
21 dB on 16 held-out crops and 13 dB on 54 crops of other photos, that says what the rest will be like.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeeff.proportions import Z95

_LEAST_LOG = -230.0
"""Noise of 1e-100 of the signal stands for none."""

_LEAST_IMAGES = 2.0


@dataclass(frozen=True, slots=True)
class Expected:
    """The SQNR of outputs on other images, in dB: what is expected, and the ends of its 95 % interval."""

    low_db: float
    mean_db: float
    high_db: float


def expected_sqnr(signals: Sequence[float], noises: Sequence[float]) -> Expected | None:
    """The SQNR over many other images like these.

    The mean of log-normal noise by Cox's method (Zhou and Gao 1997, "Confidence intervals for the log-normal mean",
    section 2.2), over that of the signal. Neighbours that are alike, such as crops of one photo, count as fewer
    images: as many as a first-order autoregression would have of independent ones.

    Args:
        signals, noises: power of the outputs, and of what is added to them, for each image in the folder's order.

    Returns:
        None for fewer than two images, or without a signal.
    """
    count = len(noises)
    power = math.fsum(signals) / max(count, 1)
    if count < _LEAST_IMAGES or not power > 0 or not all(map(math.isfinite, (power, *noises))):
        return None
    logs = [max(math.log(noise / power), _LEAST_LOG) if noise > 0 else _LEAST_LOG for noise in noises]
    mean = math.fsum(logs) / count
    spread = [log - mean for log in logs]
    variance = math.fsum(x * x for x in spread) / (count - 1)
    independent = _independent(spread)
    centre = mean + variance / 2
    reach = Z95 * math.sqrt(variance / independent + variance**2 / (2 * max(independent - 1, 1.0)))
    return Expected(_decibel(centre + reach), _decibel(centre), _decibel(centre - reach))


def _independent(spread: Sequence[float]) -> float:
    """How many independent values say as much as these in their order."""
    total = math.fsum(x * x for x in spread)
    together = math.fsum(a * b for a, b in itertools.pairwise(spread))
    alike = min(max(together / total, 0.0), 1.0) if total > 0 else 0.0
    return max(len(spread) * (1 - alike) / (1 + alike), _LEAST_IMAGES)


def _decibel(log_ratio: float) -> float:
    return -10 * log_ratio / math.log(10)
