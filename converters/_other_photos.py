"""What other photos may be like: variants of those at hand, and values some way beyond what was seen.

A few dozen photos lack whole kinds of photos, and the kinds that they lack are those that int8 spoils. A bird before a
plain sky or a shoe on white is a flat area whose every element is rounded alike. B0's stem swish, alone in int8, is at
8 dB on eight such crops, where the slopes on 60 textured crops said 30. Shrunk photos on a plain ground, blurred and
gaudy ones are as steep: 13 dB on such variants of the same crops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - what everybody calls it

from edgeeff.int8.quantization import ValueScale

from ._ranges import least_cost
from ._slopes import Profile
from ._spare_range import Ends

_BLUR = 12
_LEAST_SIDE = 2
_GAUDY, _HARSH = 2.0, 1.7
"""Times the distance of a colour from its grey, and of a pixel from the mean."""

_BEYOND = {1.5: 0.03, 2.0: 0.01}
"""So many times as large as it was seen a value may be, and how much that counts."""

BEYOND_SEEN = f"values up to {max(_BEYOND):g} times as far out as seen"


def variants(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """One of each image (count, channels, height, width), of six kinds in turn, within the range of all of them."""
    all_of = torch.from_numpy(images)
    low, high = (end(all_of.transpose(0, 1).flatten(1), dim=1).view(1, -1, 1, 1) for end in (torch.amin, torch.amax))
    made = [_variant(all_of[i : i + 1], i, high) for i in range(len(all_of))]
    return torch.cat(made).clamp(low, high).numpy()


def _variant(image: Tensor, kind: int, white: Tensor) -> Tensor:
    mean = image.mean((2, 3), keepdim=True)
    match kind % 6:
        case 0:
            return _on_plain(image, white, 0.6)
        case 1:
            return _on_plain(image, mean, 0.5)
        case 2:
            return _on_plain(image, image[:, :, :3].mean((2, 3), keepdim=True), 0.5)
        case 3:
            small = [max(side // _BLUR, _LEAST_SIDE) for side in image.shape[2:]]
            return _resized(_resized(image, small), image.shape[2:])
        case 4:
            grey = image.mean(1, keepdim=True)
            return grey + _GAUDY * (image - grey)
        case _:
            return mean + _HARSH * (image - mean)


def _on_plain(image: Tensor, colour: Tensor, part: float) -> Tensor:
    """The image, its sides `part` as long, in the middle of one colour."""
    small = _resized(image, [max(round(side * part), 1) for side in image.shape[2:]])
    made = colour.expand_as(image).clone()
    top, left = ((whole - side) // 2 for whole, side in zip(image.shape[2:], small.shape[2:], strict=True))
    made[:, :, top : top + small.shape[2], left : left + small.shape[3]] = small
    return made


def _resized(image: Tensor, size: torch.Size | list[int]) -> Tensor:
    return F.interpolate(image, size=list(size), mode="bilinear", antialias=True)


def forms_for_others(profiles: Mapping[str, Profile], ends: Ends) -> dict[str, ValueScale]:
    """Ranges of least noise where values may also go some way beyond what was seen."""
    return {name: _form(profile, *ends[name]) for name, profile in profiles.items()}


def _form(profile: Profile, least: float, greatest: float) -> ValueScale:
    further = [
        (replace(profile, points=(profile.points * factor).clip(least, greatest)), share)
        for factor, share in _BEYOND.items()
    ]
    farthest = max(_BEYOND)
    low, high = max(profile.low * farthest, least), min(profile.high * farthest, greatest)

    def cost(form: ValueScale) -> float:
        return profile.noise(form) + sum(share * each.noise(form) for each, share in further)

    return least_cost(low, high, cost)
