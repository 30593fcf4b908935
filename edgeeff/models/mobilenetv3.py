"""MobileNetV3 Large and Small.

Howard et al. 2019, "Searching for MobileNetV3", arXiv 1905.02244: the layers are its Tables 1 and 2, the accuracies
its Table 3. Squeeze-and-excitation is a quarter of the expanded channels, rounded to a multiple of 8.
"""

from __future__ import annotations

from functools import partial

from edgeeff.models import _layouts
from edgeeff.models._family import CENTRED, IMAGENET, TENSORFLOW, Family, members, published
from edgeeff.models._mobile import Excitation, MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily
from edgeeff.values import BuildConvention, Variant

PAPER = "Howard et al. 2019, arXiv 1905.02244"

EXCITATION = Excitation(of_inputs=False, rounded=True, activation="relu", gate="hard_sigmoid")

NETWORKS = {
    "mobilenetv3-large": MobileTable(
        (
            # kernel, stride, expansion, channels, repeats
            Stage(3, 1, 1, 16, 1, activation="relu"),
            (Stage(3, 2, 4, 24, activation="relu"), Stage(3, 1, 3, 24, activation="relu")),
            Stage(5, 2, 3, 40, 3, excited=True, activation="relu"),
            (Stage(3, 2, 6, 80), Stage(3, 1, 2.5, 80), Stage(3, 1, 2.3, 80, 2)),
            Stage(3, 1, 6, 112, 2, excited=True),
            Stage(5, 2, 6, 160, 3, excited=True),
        ),
        "hard_swish",
        stem=16,
        head_expands=6,
        hidden=1280,
        excitation=EXCITATION,
    ),
    "mobilenetv3-small": MobileTable(
        (
            Stage(3, 2, 1, 16, 1, excited=True, activation="relu"),
            (Stage(3, 2, 4.5, 24, activation="relu"), Stage(3, 1, 3.67, 24, activation="relu")),
            (Stage(5, 2, 4, 40, excited=True), Stage(5, 1, 6, 40, 2, excited=True)),
            Stage(5, 1, 3, 48, 2, excited=True),
            Stage(5, 2, 6, 96, 3, excited=True),
        ),
        "hard_swish",
        stem=16,
        head_expands=6,
        hidden=1024,
        excitation=EXCITATION,
    ),
}

# Resolution, parameters, multiply-adds (the paper: 5.4M, 219M; 2.5M, 56M), top-1.
TABLE = {
    "mobilenetv3-large": (224, 5_483_032, 216_589_760, published(75.2, f"{PAPER}, Table 3")),
    "mobilenetv3-small": (224, 2_542_856, 56_510_400, published(67.4, f"{PAPER}, Table 3")),
}


def _convention(layout: str, variant: Variant) -> BuildConvention | None:
    if layout == "torchvision":
        return BuildConvention("symmetric", 1e-3, IMAGENET)
    return None if layout == "timm" else TENSORFLOW


ADAPTER: ModelFamily = Family(
    name="mobilenetv3",
    variants=members("mobilenetv3", TABLE, dropout=0.2, normalisation=CENTRED, source=f"{PAPER}, Tables 1 and 2"),
    plan=lambda variant: plan(variant, NETWORKS[variant.architecture]),
    layouts_by_name={
        "timm": _layouts.timm,
        "torchvision": partial(_layouts.torchvision, through=True, classifier="classifier.3"),
    },
    convention_of=_convention,
)
