"""MnasNet's factorised search space (Tan et al. 2019, arXiv 1807.11626, section 4.1).

The network is a sequence of blocks; each chooses its op, kernel, squeeze-and-excitation, skip, width and number of
layers by itself, and its layers are alike. Widths and layers are chosen relative to MobileNetV2's, as in the paper.

The paper's third skip op, pooling, is left out: it is named in section 4.1 and nowhere defined. The reference's blocks
know a skip or none (`id_skip` of `BlockArgs` in tensorflow/tpu, models/official/mnasnet/mnasnet_model.py), and add
the identity where the stride is 1 and the channels stay.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from edgeeff.errors import UsageError
from edgeeff.scaling.compound import round_channels, round_repeats
from edgeeff.search.networks import Block, Description


class Chooser(Protocol):
    """What proposes: Optuna's trial, or anything that chooses by name."""

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str: ...


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What the search leaves alone.

    Args:
        blocks: stride, channels and layers of each block.
    """

    blocks: tuple[tuple[int, int, int], ...] = (
        (1, 16, 1), (2, 24, 2), (2, 32, 3), (2, 64, 4), (1, 96, 3), (2, 160, 3), (1, 320, 1),
    )  # fmt: skip
    """MobileNetV2's Table 2."""
    stem: int = 32
    head: int = 1280

    def part(self, blocks: int, depth: float) -> Skeleton:
        """The first blocks with their layers times depth, for images and budgets that are small; the head shrinks too.

        Raises:
            UsageError: there are not so many blocks, or the depth is none.
        """
        if not 1 <= blocks <= len(self.blocks):
            raise UsageError(f"--blocks {blocks} is not within 1 and {len(self.blocks)}")
        if not 0 < depth <= MOST_DEPTH:
            raise UsageError(f"--depth {depth:g} is not above 0 and at most {MOST_DEPTH:g}")
        kept = tuple((stride, channels, round_repeats(n, depth)) for stride, channels, n in self.blocks[:blocks])
        return Skeleton(kept, self.stem, self.head * kept[-1][1] // self.blocks[-1][1])

    def require(self, resolution: int) -> None:
        """Refuses images that cannot be halved as often as the stem and the blocks do."""
        halvings = 1 + sum(stride == 2 for stride, _, _ in self.blocks)
        if resolution < 2**halvings:
            raise UsageError(
                f"--resolution {resolution}: {len(self.blocks)} blocks halve an image {halvings} times, which takes "
                f"{2**halvings} px",
                "a larger --resolution, or fewer --blocks",
            )


MOST_DEPTH = 4.0
OPS = ("convolution", "separable", "inverted x3", "inverted x6")
KERNELS = ("3", "5")
EXCITATIONS = ("0", "0.25")
SKIPS = ("none", "identity")
WIDTHS = ("0.75", "1.0", "1.25")
LAYERS = ("-1", "0", "+1")


class Dice:
    """Chooses at random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        return self._random.choice(choices)


@dataclass(frozen=True, slots=True)
class Corner:
    """Chooses the same for every block: what is cheapest or dearest in one way."""

    op: str
    kernel: str
    excitation: str
    width: str
    layers: str
    skip: str = "identity"

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        return str(getattr(self, name.partition(".")[2]))


CORNERS = (
    Corner("separable", "3", "0", "0.75", "-1"),
    Corner("convolution", "3", "0", "0.75", "-1"),
    Corner("convolution", "5", "0", "1.25", "+1"),
    Corner("inverted x6", "5", "0.25", "1.25", "+1"),
)
"""Where the space ends: a model of its latency that has seen these need not extrapolate."""


def propose(
    chooser: Chooser, skeleton: Skeleton, *, name: str, resolution: int, width: float, classes: int
) -> Description:
    """One network of the space. Every choice is asked for, so that all proposals have the same dimensions."""
    blocks = []
    for number, (stride, channels, layers) in enumerate(skeleton.blocks):

        def choose(what: str, choices: tuple[str, ...], number: int = number) -> str:
            return chooser.suggest_categorical(f"{number}.{what}", choices)

        op, _, expansion = choose("op", OPS).partition(" x")
        blocks.append(
            Block(
                op=op,
                kernel=int(choose("kernel", KERNELS)),
                stride=stride,
                expansion=int(expansion or 1),
                channels=round_channels(channels, float(choose("width", WIDTHS))),
                layers=max(1, layers + int(choose("layers", LAYERS))),
                excited=choose("excitation", EXCITATIONS) != "0" and op == "inverted",
                skips=choose("skip", SKIPS) == "identity" and op != "separable",
            )
        )
    return Description(name, tuple(blocks), resolution, width, skeleton.stem, skeleton.head, classes)


def size(skeleton: Skeleton) -> int:
    """How many networks the space has, counting those alike that choices without effect make."""
    each = len(OPS) * len(KERNELS) * len(EXCITATIONS) * len(SKIPS) * len(WIDTHS) * len(LAYERS)
    return int(each ** len(skeleton.blocks))
