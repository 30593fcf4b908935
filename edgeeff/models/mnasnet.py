"""MnasNet A1, B1 and small.

Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile", arXiv 1807.11626: A1's layers are
its Figure 7. B1 (A1's search without squeeze-and-excitation) and small stand in the reference implementation only
(github.com/tensorflow/tpu, models/official/mnasnet/mnasnet_models.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.models import _layouts
from edgeeff.models._family import IMAGENET, TENSORFLOW, TORCH, Family, members, published
from edgeeff.models._mobile import Excitation, MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily

PAPER = "Tan et al. 2019, arXiv 1807.11626"
REFERENCE = "MnasNet README, github.com/tensorflow/tpu, models/official/mnasnet"

EXCITATION = Excitation(activation="relu")
KEEPS = frozenset({"head"})

NETWORKS = {
    "mnasnet-a1": MobileTable(
        (
            # kernel, stride, expansion, channels, repeats
            Stage(3, 1, 1, 16, 1, skips=False),
            Stage(3, 2, 6, 24, 2),
            Stage(5, 2, 3, 40, 3, excited=True),
            Stage(3, 2, 6, 80, 4),
            Stage(3, 1, 6, 112, 2, excited=True),
            Stage(5, 2, 6, 160, 3, excited=True),
            Stage(3, 1, 6, 320, 1),
        ),
        "relu",
        excitation=EXCITATION,
        keeps=KEEPS,
    ),
    "mnasnet-b1": MobileTable(
        (
            Stage(3, 1, 1, 16, 1, skips=False),
            Stage(3, 2, 3, 24, 3),
            Stage(5, 2, 3, 40, 3),
            Stage(5, 2, 6, 80, 3),
            Stage(3, 1, 6, 96, 2),
            Stage(5, 2, 6, 192, 4),
            Stage(3, 1, 6, 320, 1, skips=False),
        ),
        "relu",
        keeps=KEEPS,
    ),
    "mnasnet-small": MobileTable(
        (
            Stage(3, 1, 1, 8, 1),
            Stage(3, 2, 3, 16, 1),
            Stage(3, 2, 6, 16, 2),
            Stage(5, 2, 6, 32, 4, excited=True),
            Stage(3, 1, 6, 32, 3, excited=True),
            Stage(5, 2, 6, 88, 3, excited=True),
            Stage(3, 1, 6, 144, 1),
        ),
        "relu",
        stem=8,
        excitation=EXCITATION,
        keeps=KEEPS,
    ),
}

# Resolution, parameters, multiply-adds (A1 in the paper: 3.9M, 312M; small in the README: 2.0M, 68M), top-1.
TABLE = {
    "mnasnet-a1": (224, 3_887_038, 311_579_072, published(75.2, f"{PAPER}, Table 1")),
    "mnasnet-b1": (224, 4_383_312, 314_415_872, published(73.456, "torchvision's MNASNet1_0, IMAGENET1K_V1")),
    "mnasnet-small": (224, 2_030_264, 68_339_184, published(66.0, f"{REFERENCE} (about 66 %)")),
}


def _torchvision(ours: Sequence[str]) -> list[str]:
    """torchvision's MNASNet, whose numbers count the activations as well."""
    fixed = {
        "stem.conv": "layers.0",
        "stem.bn": "layers.1",
        "blocks.0.0.depthwise.conv": "layers.3",
        "blocks.0.0.depthwise.bn": "layers.4",
        "blocks.0.0.project.conv": "layers.6",
        "blocks.0.0.project.bn": "layers.7",
        "head.conv": "layers.14",
        "head.bn": "layers.15",
        "classifier": "classifier.1",
    }
    numbers = {"expand": 0, "depthwise": 3, "project": 6}

    def name(our: str) -> str:
        if our in fixed:
            return fixed[our]
        _, stage, index, part, leaf = our.split(".")
        number = numbers.get(part, 0) + (leaf == "bn")
        return f"layers.{int(stage) + 7}.{index}.layers.{number}"

    return [name(our) for our in ours]


ADAPTER: ModelFamily = Family(
    name="mnasnet",
    variants=members("mnasnet", TABLE, dropout=0.2, normalisation=IMAGENET, source=f"{PAPER}; {REFERENCE}"),
    plan=lambda variant: plan(variant, NETWORKS[variant.architecture]),
    layouts_by_name={"timm": _layouts.timm, "torchvision": _torchvision},
    convention_of=lambda layout, variant: TENSORFLOW if layout == "edgeeff" else TORCH,
)
