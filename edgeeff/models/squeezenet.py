"""SqueezeNet 1.1.

Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", arXiv 1602.07360. Version 1.1
pools earlier and costs 2.4 times less (github.com/forresti/SqueezeNet, SqueezeNet_v1.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.models._family import IMAGENET, TORCH, Family, members, published
from edgeeff.models._spec import Branches, Chain, Conv, MaxPool, Plan
from edgeeff.protocols import ModelFamily
from edgeeff.scaling.compound import round_channels, round_repeats
from edgeeff.values import Variant

PAPER = "Iandola et al. 2016, arXiv 1602.07360"

# Squeezed channels of each fire module; a quarter of what each of its two expansions gives. A pool is before each row.
FIRES = ((16, 16), (32, 32), (48, 48, 64, 64))

# Resolution, parameters, multiply-adds, top-1.
TABLE = {
    "squeezenet": (224, 1_235_496, 349_151_936, published(58.178, "torchvision's documentation, IMAGENET1K_V1")),
}


def plan(variant: Variant) -> Plan:
    """The layers. The width multiplies all channels; the depth repeats the last fire module of each row."""
    inputs = round_channels(64, variant.width)
    features: Chain = (("stem", Conv(3, inputs, 3, 2, activation="relu", norm=False, padded=False)),)
    for row, squeezes in enumerate(FIRES):
        fires = []
        for index in range(round_repeats(len(squeezes), variant.depth)):
            squeezed = round_channels(squeezes[min(index, len(squeezes) - 1)], variant.width)
            fires.append((str(index), _fire(inputs, squeezed)))
            inputs = 8 * squeezed
        features = (*features, (f"pool{row}", MaxPool(3, 2, padded=False)), (f"fires{row}", tuple(fires)))
    return Plan(variant.resolution, features, inputs, variant.dropout, convolves=True)


def _fire(inputs: int, squeezed: int) -> Chain:
    expand = Branches(
        (
            ("k1", Conv(squeezed, 4 * squeezed, activation="relu", norm=False)),
            ("k3", Conv(squeezed, 4 * squeezed, 3, activation="relu", norm=False)),
        )
    )
    return (("squeeze", Conv(inputs, squeezed, activation="relu", norm=False)), ("expand", expand))


def _torchvision(ours: Sequence[str]) -> list[str]:
    """torchvision numbers activations and pools as well."""
    fires = list(dict.fromkeys(tuple(our.split(".")[:2]) for our in ours if our.startswith("fires")))
    parts = {"squeeze.conv": "squeeze", "expand.k1.conv": "expand1x1", "expand.k3.conv": "expand3x3"}

    def name(our: str) -> str:
        if our in ("stem.conv", "classifier"):
            return {"stem.conv": "features.0", "classifier": "classifier.1"}[our]
        row, index, part = our.split(".", 2)
        number = 3 + fires.index((row, index)) + int(row.removeprefix("fires"))
        return f"features.{number}.{parts[part]}"

    return [name(our) for our in ours]


ADAPTER: ModelFamily = Family(
    name="squeezenet",
    variants=members("squeezenet", TABLE, dropout=0.5, normalisation=IMAGENET, source=f"{PAPER}, version 1.1"),
    plan=plan,
    layouts_by_name={"torchvision": _torchvision},
    convention_of=lambda layout, variant: TORCH,
    paddings=("symmetric",),
)
