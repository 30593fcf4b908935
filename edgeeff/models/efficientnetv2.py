"""EfficientNetV2 S, M, L and B0 to B3.

Tan & Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv 2104.00298: S is its Table 4; M, L and B0
to B3, which are scaled by EfficientNet's coefficients, stand in the reference implementation only
(github.com/google/automl, efficientnetv2/effnetv2_configs.py), and the accuracies in its README.
"""

from __future__ import annotations

from edgeeff.models import _layouts
from edgeeff.models._family import CENTRED, IMAGENET, TENSORFLOW, Family, published
from edgeeff.models._mobile import MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily
from edgeeff.values import BuildConvention, Normalisation, Variant

PAPER = "Tan & Le 2021, arXiv 2104.00298"
REFERENCE = "EfficientNetV2 README, github.com/google/automl, efficientnetv2"


def _table(stem: int, channels: list[int], repeats: list[int]) -> MobileTable:
    """Fused blocks up to the stride of 8, then inverted ones: the first of them and the last have the stride.

    S and B0 have six stages, M and L one more. The reference rounds to the nearest multiple of 8 and no more.
    """
    stages = []
    for index, (width, count) in enumerate(zip(channels, repeats, strict=True)):
        stride = 2 if index in (1, 2, 3, 5) else 1
        if index < 3:
            stages.append(Stage(3, stride, 1 if index == 0 else 4, width, count, kind="fused"))
        else:
            stages.append(Stage(3, stride, 4 if index == 3 else 6, width, count, excited=True))
    return MobileTable(tuple(stages), "silu", stem=stem, least=0.0)


NETWORKS = {
    "efficientnetv2-s": _table(24, [24, 48, 64, 128, 160, 256], [2, 4, 4, 6, 9, 15]),
    "efficientnetv2-m": _table(24, [24, 48, 80, 160, 176, 304, 512], [3, 5, 5, 7, 14, 18, 5]),
    "efficientnetv2-l": _table(32, [32, 64, 96, 192, 224, 384, 640], [4, 7, 7, 10, 19, 25, 7]),
    "efficientnetv2-b0": _table(32, [16, 32, 48, 96, 112, 192], [1, 2, 2, 3, 5, 8]),
}

#     architecture, width, depth, resolution, dropout, parameters, multiply-adds, top-1 %
TABLE: dict[str, tuple[str, float, float, int, float, int, int, float]] = {
    "efficientnetv2-s": ("efficientnetv2-s", 1.0, 1.0, 384, 0.2, 21_458_488, 8_365_617_152, 83.9),
    "efficientnetv2-m": ("efficientnetv2-m", 1.0, 1.0, 480, 0.3, 54_139_356, 24_582_460_384, 85.2),
    "efficientnetv2-l": ("efficientnetv2-l", 1.0, 1.0, 480, 0.4, 118_515_272, 56_079_699_008, 85.7),
    "efficientnetv2-b0": ("efficientnetv2-b0", 1.0, 1.0, 224, 0.2, 7_139_704, 718_086_176, 78.7),
    "efficientnetv2-b1": ("efficientnetv2-b0", 1.0, 1.1, 240, 0.2, 8_141_052, 1_196_819_360, 79.8),
    "efficientnetv2-b2": ("efficientnetv2-b0", 1.1, 1.2, 260, 0.3, 10_096_086, 1_697_542_832, 80.5),
    "efficientnetv2-b3": ("efficientnetv2-b0", 1.2, 1.4, 300, 0.3, 14_358_406, 3_011_458_816, 82.1),
}


def _normalisation(architecture: str) -> Normalisation:
    """B0 to B3 are "using the same scaling and preprocessing as V1" (README)."""
    return IMAGENET if architecture == "efficientnetv2-b0" else CENTRED


def _variant(name: str) -> Variant:
    architecture, width, depth, resolution, dropout, parameters, macs, top1 = TABLE[name]
    return Variant(
        name=name,
        family="efficientnetv2",
        width=width,
        depth=depth,
        resolution=resolution,
        dropout=dropout,
        normalisation=_normalisation(architecture),
        source=f"{PAPER}; coefficients from the reference implementation",
        parameters=parameters,
        macs=macs,
        published=published(top1, REFERENCE),
        architecture=architecture,
    )


def _convention(layout: str, variant: Variant) -> BuildConvention | None:
    if layout == "torchvision":  # which trained S and M itself and ported L
        ported = variant.architecture == "efficientnetv2-l"
        return BuildConvention("symmetric", TENSORFLOW.bn_eps, CENTRED if ported else IMAGENET)
    return None if layout == "timm" else TENSORFLOW


ADAPTER: ModelFamily = Family(
    name="efficientnetv2",
    variants={name: _variant(name) for name in TABLE},
    plan=lambda variant: plan(variant, NETWORKS[variant.architecture]),
    layouts_by_name={"timm": _layouts.timm, "torchvision": _layouts.torchvision},
    convention_of=_convention,
)
