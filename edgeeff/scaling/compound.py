"""Compound scaling and the rounding that goes with it (Tan & Le 2019, arXiv 1905.11946, section 3.3).

Width and depth are multiples of the family's smallest member, as in the paper; the resolution is in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeeff.errors import UsageError
from edgeeff.values import Variant

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15
"""Bases of depth, width and resolution, found by a grid search around B0 (section 3.3, step 1)."""

CHANNEL_STEP = 8
RESOLUTION_STEP = 8
MAX_COEFFICIENT = 100.0
MIN_RESOLUTION = 32
"""The networks halve an image five times: from 32 px on, one pixel is left."""
MAX_RESOLUTION = 10_000
MAX_BYTES = 2**31 - 1
"""Neither a TFLite file nor an ONNX file may be larger, and neither may one tensor of TFLite."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """The coefficients of one member: width and depth as multiples, the resolution in pixels."""

    width: float
    depth: float
    resolution: int


def round_channels(channels: int, width: float, least: float = 0.9) -> int:
    """Channels times width, to the nearest multiple of 8, but never below `least` (90 %) of what is wanted."""
    wanted = channels * width
    rounded = max(CHANNEL_STEP, int(wanted + CHANNEL_STEP / 2) // CHANNEL_STEP * CHANNEL_STEP)
    return rounded + CHANNEL_STEP if rounded < least * wanted else rounded


def round_repeats(repeats: int, depth: float) -> int:
    """Repeats times depth, rounded up."""
    return math.ceil(repeats * depth)


def round_resolution(wanted: float) -> int:
    """The nearest multiple of 8 px.

    The paper gives no rule, and its own members are rounded by hand (B1 has 240 px where gamma asks for 258).
    Steps of 8 stay within 2 % of what is wanted from 224 px on; steps of 32, the stride of the network, would be
    off by up to 7 %.
    """
    return max(MIN_RESOLUTION, math.floor(wanted / RESOLUTION_STEP + 0.5) * RESOLUTION_STEP)


def compound(base: Variant, phi: float, *, alpha: float = ALPHA, beta: float = BETA, gamma: float = GAMMA) -> Scaling:
    """Depth, width and resolution of the base times alpha, beta and gamma to the power of phi (equation 3).

    Raises:
        UsageError: a base that is not positive, a phi that is not finite, or a network beyond all bounds.
    """
    if not math.isfinite(phi):
        raise UsageError(f"--phi {phi} is not a finite number")
    for name, value in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"--{name} {value:g} is not a positive number")
    try:
        depth, width, resolution = (
            start * factor**phi
            for start, factor in ((base.depth, alpha), (base.width, beta), (float(base.resolution), gamma))
        )
        scaling = Scaling(width, depth, round_resolution(resolution))
    except OverflowError:
        raise UsageError(f"--phi {phi:g} asks for a network that no computer holds", "B7 is about phi 7") from None
    check(scaling)
    return scaling


def check(scaling: Scaling) -> None:
    """Refuses coefficients that make no network.

    Raises:
        UsageError: not a number, not positive, or beyond the bounds.
    """
    for name, value in (("width", scaling.width), ("depth", scaling.depth)):
        if not 0 < value <= MAX_COEFFICIENT:  # false for NaN too
            raise UsageError(f"--{name} {value:g} is not above 0 and at most {MAX_COEFFICIENT:g}", "b7 has 2.0 and 3.1")
    if not MIN_RESOLUTION <= scaling.resolution <= MAX_RESOLUTION:
        raise UsageError(f"--resolution {scaling.resolution} is not within {MIN_RESOLUTION} to {MAX_RESOLUTION} px")


def check_size(name: str, parameters: int, activations: int) -> None:
    """Refuses a network that could be neither stored nor run, before anything is allocated.

    Args:
        parameters: of the network.
        activations: most elements that a layer reads and writes for one image.
    """
    for what, elements in (("weights", parameters), ("activations of one layer", activations)):
        if 4 * elements > MAX_BYTES:
            raise UsageError(
                f"{name} is too large: its {what} take {4 * elements / 1e9:.1f} GB, and the limit is 2.1 GB",
                "take a smaller width, depth or resolution",
            )


def name_of(stem: str, scaling: Scaling) -> str:
    """The name of a scaling that the paper does not name, for example "b0-w1.1-d1.2-r240"."""
    return f"{stem}-w{scaling.width:.6g}-d{scaling.depth:.6g}-r{scaling.resolution}"
