"""MnasNet's factorised search space (Tan et al. 2019, arXiv 1807.11626, section 4.1).

The network is a sequence of blocks; each chooses its op, kernel, squeeze-and-excitation, skip, width and number of
layers by itself, and its layers are alike. Widths and layers are chosen relative to MobileNetV2's, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgeeff.scaling import round_channels
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


OPS = ("convolution", "separable", "inverted x3", "inverted x6")
KERNELS = ("3", "5")
EXCITATIONS = ("0", "0.25")
SKIPS = ("none", "identity")
WIDTHS = ("0.75", "1.0", "1.25")
LAYERS = ("-1", "0", "+1")


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
