"""MobileNetV1.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", arXiv
1704.04861: the layers are its Table 1, the accuracy its Table 8. The ReLU6 is the reference implementation's
(github.com/tensorflow/models, research/slim/nets/mobilenet_v1.py); the paper says ReLU.
"""

from __future__ import annotations

from edgeeff.models import _layouts
from edgeeff.models._family import CENTRED, TENSORFLOW, TORCH_IMAGENET, Family, members, published
from edgeeff.models._mobile import MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily

PAPER = "Howard et al. 2017, arXiv 1704.04861"

NETWORK = MobileTable(
    (
        # kernel, stride, expansion, channels, repeats
        Stage(3, 1, 1, 64, 1, kind="separable"),
        Stage(3, 2, 1, 128, 2, kind="separable"),
        Stage(3, 2, 1, 256, 2, kind="separable"),
        Stage(3, 2, 1, 512, 6, kind="separable"),
        Stage(3, 2, 1, 1024, 2, kind="separable"),
    ),
    "relu6",
    head=0,
)

# Resolution, parameters, multiply-adds (the paper: 4.2M, 569M), top-1.
TABLE = {"mobilenetv1": (224, 4_231_976, 568_740_352, published(70.6, f"{PAPER}, Table 8"))}

ADAPTER: ModelFamily = Family(
    name="mobilenetv1",
    variants=members("mobilenetv1", TABLE, dropout=0.001, normalisation=CENTRED, source=f"{PAPER}, Table 1"),
    plan=lambda variant: plan(variant, NETWORK),
    layouts_by_name={"timm": _layouts.timm},
    convention_of=lambda layout, variant: TORCH_IMAGENET if layout == "timm" else TENSORFLOW,
)
