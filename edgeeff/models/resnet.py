"""ResNet 18, 34, 50, 101 and 152.

He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv 1512.03385: the layers are its Table 1. As
everybody builds it since, the stride of a bottleneck is in its 3x3 convolution ("V1.5"), so parameters are the
paper's and multiply-adds 4.1 in place of 3.8 G for ResNet-50, which is also what EfficientNet's Table 7 starts from.
The accuracies are of one centre crop; the paper's are of ten.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.models._family import IMAGENET, TORCH, Family, members, published
from edgeeff.models._spec import Chain, Conv, MaxPool, Plan, Residual
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.compound import round_channels, round_repeats
from edgeeff.values import Variant

PAPER = "He et al. 2016, arXiv 1512.03385"
REFERENCE = "torchvision's documentation, IMAGENET1K_V1"

WIDTHS = (64, 128, 256, 512)
# Blocks of each stage, and by how much a block widens: 1 is the plain block, 4 the bottleneck.
NETWORKS: dict[str, tuple[tuple[int, int, int, int], int]] = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4),
    "resnet152": ((3, 8, 36, 3), 4),
}

# Resolution, parameters, multiply-adds, top-1.
TABLE = {
    "resnet18": (224, 11_689_512, 1_814_073_344, published(69.758, REFERENCE)),
    "resnet34": (224, 21_797_672, 3_663_761_408, published(73.314, REFERENCE)),
    "resnet50": (224, 25_557_032, 4_089_184_256, published(76.130, REFERENCE)),
    "resnet101": (224, 44_549_160, 7_801_405_440, published(77.374, REFERENCE)),
    "resnet152": (224, 60_192_808, 11_513_626_624, published(78.312, REFERENCE)),
}


def plan(variant: Variant) -> Plan:
    """The layers, scaled as in EfficientNet's Table 3: all channels times the width, all repeats times the depth."""
    repeats, widens = NETWORKS[variant.architecture]
    inputs = round_channels(64, variant.width)
    stem: Chain = (("stem", Conv(3, inputs, 7, 2, activation="relu")), ("pool", MaxPool(3, 2)))
    stages = []
    for index, (channels, count) in enumerate(zip(WIDTHS, repeats, strict=True)):
        inner = round_channels(channels, variant.width)
        blocks = []
        for repeat in range(round_repeats(count, variant.depth)):
            stride = 2 if index and not repeat else 1
            blocks.append((str(repeat), _block(inputs, inner, inner * widens, stride)))
            inputs = inner * widens
        stages.append((str(index), tuple(blocks)))
    return Plan(variant.resolution, (*stem, ("blocks", tuple(stages))), inputs, variant.dropout)


def _block(inputs: int, inner: int, outputs: int, stride: int) -> Residual:
    if inner == outputs:
        body: Chain = (
            ("spatial", Conv(inputs, inner, 3, stride, activation="relu")),
            ("project", Conv(inner, outputs, 3)),
        )
    else:
        body = (
            ("reduce", Conv(inputs, inner, activation="relu")),
            ("spatial", Conv(inner, inner, 3, stride, activation="relu")),
            ("project", Conv(inner, outputs)),
        )
    changes = stride > 1 or inputs != outputs
    return Residual(body, (("fit", Conv(inputs, outputs, 1, stride)),) if changes else (), "relu")


def _torchvision(ours: Sequence[str]) -> list[str]:
    """torchvision's and timm's names, which are the same."""
    fixed = {"stem.conv": "conv1", "stem.bn": "bn1", "classifier": "fc"}
    order = ("reduce", "spatial", "project") if any(".reduce." in our for our in ours) else ("spatial", "project")

    def name(our: str) -> str:
        if our in fixed:
            return fixed[our]
        _, stage, index, part, *_, leaf = our.split(".")
        block = f"layer{int(stage) + 1}.{index}"
        if part == "shortcut":
            return f"{block}.downsample.{('conv', 'bn').index(leaf)}"
        return f"{block}.{leaf}{order.index(part) + 1}"

    return [name(our) for our in ours]


ADAPTER: ModelFamily = Family(
    name="resnet",
    variants=members("resnet", TABLE, dropout=0.0, normalisation=IMAGENET, source=f"{PAPER}, Table 1"),
    plan=plan,
    layouts_by_name={"torchvision": _torchvision, "timm": _torchvision},
    convention_of=lambda layout, variant: TORCH,
    paddings=("symmetric",),
)
