"""ShuffleNetV2 x0.5, x1.0, x1.5 and x2.0.

Ma et al. 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", arXiv 1807.11164: the
layers are its Table 5, the accuracies those of its authors' repository (github.com/megvii-model/ShuffleNet-Series).
The four widths have channels of their own; widths between them scale those of x1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgeeff.models._family import IMAGENET, TORCH, Family, members, published
from edgeeff.models._spec import Chain, Conv, MaxPool, Plan, Shuffled
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.compound import round_channels, round_repeats
from edgeeff.values import Variant

PAPER = "Ma et al. 2018, arXiv 1807.11164"
REFERENCE = "ShuffleNet-Series README, github.com/megvii-model"

STEM = 24
REPEATS = (4, 8, 4)
# Channels of the three stages and of the last convolution.
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}

# Resolution, parameters, multiply-adds (the authors: 41M, 146M, 299M, 591M, with other layers counted), top-1.
TABLE = {
    "shufflenetv2": (224, 2_278_604, 144_907_992, published(69.4, REFERENCE)),
    "shufflenetv2-x0.5": (224, 1_366_792, 40_476_448, published(61.1, REFERENCE)),
    "shufflenetv2-x1.5": (224, 3_503_624, 295_759_392, published(72.6, REFERENCE)),
    "shufflenetv2-x2.0": (224, 7_393_996, 583_253_464, published(75.0, REFERENCE)),
}


def channels_of(width: float) -> tuple[int, ...]:
    """Channels of the stages and of the last convolution: even ones, since each unit splits them in two."""
    if width in CHANNELS:
        return CHANNELS[width]
    *stages, last = CHANNELS[1.0]
    return (*(2 * max(1, round(channels * width / 2)) for channels in stages), round_channels(last, max(1.0, width)))


def plan(variant: Variant) -> Plan:
    """The layers, scaled."""
    *stages, last = channels_of(variant.width)
    features: Chain = (("stem", Conv(3, STEM, 3, 2, activation="relu")), ("pool", MaxPool(3, 2)))
    inputs, blocks = STEM, []
    for index, (channels, count) in enumerate(zip(stages, REPEATS, strict=True)):
        units = [("0", _first(inputs, channels))]
        units += [(str(i), _other(channels)) for i in range(1, round_repeats(count, variant.depth))]
        blocks.append((str(index), tuple(units)))
        inputs = channels
    features = (*features, ("blocks", tuple(blocks)), ("head", Conv(inputs, last, activation="relu")))
    return Plan(variant.resolution, features, last, variant.dropout)


def _right(inputs: int, half: int, stride: int) -> Chain:
    return (
        ("expand", Conv(inputs, half, activation="relu")),
        ("depthwise", Conv(half, half, 3, stride, half)),
        ("project", Conv(half, half, activation="relu")),
    )


def _first(inputs: int, channels: int) -> Shuffled:
    half = channels // 2
    left: Chain = (
        ("depthwise", Conv(inputs, inputs, 3, 2, inputs)),
        ("project", Conv(inputs, half, activation="relu")),
    )
    return Shuffled(channels, left, _right(inputs, half, 2))


def _other(channels: int) -> Shuffled:
    return Shuffled(channels, (), _right(channels // 2, channels // 2, 1))


def _torchvision(ours: Sequence[str]) -> list[str]:
    """torchvision numbers the parts of a branch, activations among them."""
    numbers = {"left.depthwise": 0, "left.project": 2, "right.expand": 0, "right.depthwise": 3, "right.project": 5}
    fixed = {"stem": "conv1", "head": "conv5"}

    def name(our: str) -> str:
        if our == "classifier":
            return "fc"
        place, _, leaf = our.rpartition(".")
        if place in fixed:
            return f"{fixed[place]}.{int(leaf == 'bn')}"
        _, stage, index, branch, part = place.split(".")
        side = {"left": "branch1", "right": "branch2"}[branch]
        return f"stage{int(stage) + 2}.{index}.{side}.{numbers[f'{branch}.{part}'] + (leaf == 'bn')}"

    return [name(our) for our in ours]


def _variants() -> dict[str, Variant]:
    """x0.5 to x2.0 are widths of one architecture."""
    made = members("shufflenetv2", TABLE, dropout=0.0, normalisation=IMAGENET, source=f"{PAPER}, Table 5")
    widths = {name: float(name.partition("-x")[2] or 1.0) for name in made}
    return {name: replace(v, width=widths[name], architecture="shufflenetv2") for name, v in made.items()}


ADAPTER: ModelFamily = Family(
    name="shufflenetv2",
    variants=_variants(),
    plan=plan,
    layouts_by_name={"torchvision": _torchvision},
    convention_of=lambda layout, variant: TORCH,
    paddings=("symmetric",),
)
