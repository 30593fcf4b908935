"""Random weights that a network can be converted, compared and timed with.

Kaiming initialisation (He et al. 2015, arXiv 1502.01852) keeps a signal alive through convolutions. What it leaves
out is set here, so that activations stay between 0.1 and 20 from B0 to B7 and the outputs depend on the input: the
branches that are added to their input are small, and the gates of squeeze-and-excitation are nearly open. The batch
normalisations are not identities: a mistake in folding them would not show.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Name of a tensor with several axes -> variance of its output over that of its input; the first that matches.
GAINS = (
    (re.compile(r"\.[1-9]\d*\.project\."), 0.1),  # the blocks of a stage after its first add to their input
    (re.compile(r"\.project\.|^classifier\."), 1.0),
    (re.compile(""), 2.0),  # before an activation, which lets half of it through
)

# Name of a tensor with one axis -> the bounds of its uniform distribution.
BOUNDS = (
    (re.compile(r"running_var$|bn\.weight$"), (0.8, 1.25)),
    (re.compile(r"se\.expand\.bias$"), (1.5, 2.5)),
    (re.compile(""), (-0.1, 0.1)),
)


def random_state(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    """Name -> float32 tensor. A tensor depends on the seed, its own name and its shape, and on nothing else.

    Uniform numbers, because they are made of the generator's bits without rounding: they are the same everywhere.
    """
    import torch

    state = {}
    for name, shape in shapes.items():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode(), seed))
        if len(shape) > 1:
            gain = next(gain for pattern, gain in GAINS if pattern.search(name))
            high = math.sqrt(3 * gain / math.prod(shape[1:]))
            low = -high
        else:
            low, high = next(bounds for pattern, bounds in BOUNDS if pattern.search(name))
        state[name] = torch.empty(shape).uniform_(low, high, generator=generator)
    return state
