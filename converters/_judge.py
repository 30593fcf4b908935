"""How close a quantised graph's outputs are to the float network's, on images that nothing was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeeff import parity
from edgeeff.graph import Graph
from edgeeff.int8.expectation import Expected, expected_sqnr

from ._execute import outputs


@dataclass(frozen=True, slots=True)
class Score:
    """Of `images` images: the outputs' SQNR in dB, and on how many the class in first place is the same.

    Args:
        elsewhere: the SQNR that other images will have; None where too few were seen to tell.
    """

    sqnr_db: float
    agree: int
    images: int
    elsewhere: Expected | None = None

    @property
    def sure_db(self) -> float:
        """What other images will surely reach (97.5 %), and these did."""
        return self.sqnr_db if self.elsewhere is None else min(self.sqnr_db, self.elsewhere.low_db)

    @property
    def drop(self) -> float:
        """The share of images on which another class is in first place."""
        return 1 - self.agree / self.images


class Judge:
    """Runs graphs on the same images as the float network.

    Args:
        graph: in float.
        images: (count, channels, height, width).
    """

    def __init__(self, graph: Graph, images: NDArray[np.float32]) -> None:
        self.graph = graph
        self.images = images

    @cached_property
    def expected(self) -> tuple[NDArray[np.float32], ...]:
        """What the float network computes."""
        return tuple(outputs(self.graph, self.images))

    def __call__(self, graph: Graph) -> Score:
        made = outputs(graph, self.images)
        return Score(
            parity.sqnr_db(self.expected, made),
            parity.agreement(self.expected, made),
            len(self.images),
            expected_sqnr(_powers(self.expected), _powers([y - q for y, q in zip(self.expected, made, strict=True)])),
        )


def _powers(arrays: Sequence[NDArray[np.float32]]) -> list[float]:
    """The power of each image's outputs."""
    squares = [np.square(array.reshape(len(array), -1), dtype=np.float64).sum(axis=1) for array in arrays]
    total: list[float] = np.sum(squares, axis=0).tolist()
    return total
