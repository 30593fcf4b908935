"""The parts that networks are put together from, as data.

`_network` builds them in torch, `_counting` counts them without it, and `_layouts` names their tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Activation = Literal["none", "relu", "relu6", "silu", "hard_swish"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Padding = Literal["same", "symmetric"]
"""TensorFlow's padding, which may be one longer behind, or torch's."""


def halved(size: int, stride: int) -> int:
    """Rows that a stride leaves of a padded image; the same for both paddings."""
    return -(-size // stride)


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution, batch normalisation and activation; without `norm`, the convolution has a bias instead."""

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    activation: Activation = "none"
    norm: bool = True
    padded: bool = True

    def size_after(self, size: int) -> int:
        return halved(size, self.stride) if self.padded else (size - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Maximum over windows. Padded as torch pads, or not at all, and then a last window may reach over the edge."""

    kernel: int
    stride: int
    padded: bool = True

    def size_after(self, size: int) -> int:
        return halved(size, self.stride) if self.padded else math.ceil((size - self.kernel) / self.stride) + 1


@dataclass(frozen=True, slots=True)
class Excite:
    """Squeeze-and-excitation: each channel times what the means of all channels say (Hu et al. 2018, 1709.01507)."""

    channels: int
    squeezed: int
    activation: Activation
    gate: Gate


@dataclass(frozen=True, slots=True)
class Residual:
    """What `body` makes of the input, added to the input itself or to what `shortcut` makes of it."""

    body: Chain
    shortcut: Chain = ()
    activation: Activation = "none"


@dataclass(frozen=True, slots=True)
class Branches:
    """What each branch makes of the input, one behind the other along the channels."""

    branches: Chain


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A unit of ShuffleNetV2: two branches, whose channels are then dealt out in turn (Ma et al. 2018, Figure 3).

    Without `left`, each branch gets half of the channels and the left one passes its half on.
    """

    channels: int
    left: Chain
    right: Chain


Part: TypeAlias = "Conv | MaxPool | Excite | Residual | Branches | Shuffled | Chain"
Chain: TypeAlias = "tuple[tuple[str, Part], ...]"
"""Named parts, one after the other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network: `features`, the mean over the image, and the classifier.

    Args:
        resolution: rows and columns of the image.
        channels: that the features have.
        hidden: outputs of a dense layer before the classifier; 0 where there is none.
        activation: behind the hidden layer.
        dropout: before the classifier.
        convolves: the classifier is a 1x1 convolution with a ReLU before the mean, as in SqueezeNet.
    """

    resolution: int
    features: Chain
    channels: int
    dropout: float
    hidden: int = 0
    activation: Activation = "none"
    convolves: bool = False


def modules(plan: Plan) -> Iterator[str]:
    """Our names of the modules that have tensors, in the order of the network: "blocks.0.0.expand.conv" ..."""
    yield from _modules(plan.features, "")
    if plan.hidden:
        yield "hidden"
    yield "classifier"


def _modules(chain: Chain, place: str) -> Iterator[str]:
    for name, part in chain:
        here = f"{place}{name}"
        match part:
            case Conv(norm=norm):
                yield f"{here}.conv"
                if norm:
                    yield f"{here}.bn"
            case Excite():
                yield from (f"{here}.reduce", f"{here}.expand")
            case MaxPool():
                pass
            case Residual(body, shortcut):
                yield from _modules(body, f"{here}.")
                yield from _modules(shortcut, f"{here}.shortcut.")
            case Branches(branches):
                yield from _modules(branches, f"{here}.")
            case Shuffled(_, left, right):
                yield from _modules(left, f"{here}.left.")
                yield from _modules(right, f"{here}.right.")
            case _:
                yield from _modules(part, f"{here}.")
