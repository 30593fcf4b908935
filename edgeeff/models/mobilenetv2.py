"""MobileNetV2.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv 1801.04381: the layers are its
Table 2, the accuracy its Table 4. Its last convolution is scaled up only (section 6.1).
"""

from __future__ import annotations

from functools import partial

from edgeeff.models import _layouts
from edgeeff.models._family import CENTRED, TENSORFLOW, TORCH_IMAGENET, Family, members, published
from edgeeff.models._mobile import MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily

PAPER = "Sandler et al. 2018, arXiv 1801.04381"

NETWORK = MobileTable(
    (
        # kernel, stride, expansion, channels, repeats
        Stage(3, 1, 1, 16, 1),
        Stage(3, 2, 6, 24, 2),
        Stage(3, 2, 6, 32, 3),
        Stage(3, 2, 6, 64, 4),
        Stage(3, 1, 6, 96, 3),
        Stage(3, 2, 6, 160, 3),
        Stage(3, 1, 6, 320, 1),
    ),
    "relu6",
    keeps=frozenset({"head_at_least"}),
)

# Resolution, parameters, multiply-adds (the paper: 3.4M, 300M), top-1.
TABLE = {"mobilenetv2": (224, 3_504_872, 300_774_272, published(72.0, f"{PAPER}, Table 4"))}

ADAPTER: ModelFamily = Family(
    name="mobilenetv2",
    variants=members("mobilenetv2", TABLE, dropout=0.2, normalisation=CENTRED, source=f"{PAPER}, Table 2"),
    plan=lambda variant: plan(variant, NETWORK),
    layouts_by_name={
        "timm": _layouts.timm,
        "torchvision": partial(_layouts.torchvision, through=True, parts="conv", bare_projection=True),
    },
    convention_of=lambda layout, variant: TENSORFLOW if layout == "edgeeff" else TORCH_IMAGENET,
)
