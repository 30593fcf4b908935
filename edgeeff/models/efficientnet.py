"""EfficientNet B0 to B7.

Tan & Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv 1905.11946. The
stages are its Table 1 and the accuracies its Table 2; the coefficients stand in the reference builder only
(github.com/tensorflow/tpu, models/official/efficientnet/efficientnet_builder.py). They are rounded by hand: no
member but B0 is an exact power of the paper's alpha, beta and gamma.
"""

from __future__ import annotations

from edgeeff.models import _layouts
from edgeeff.models._family import IMAGENET, TENSORFLOW, TORCH, Family, published
from edgeeff.models._mobile import MobileTable, Stage, plan
from edgeeff.protocols import ModelFamily
from edgeeff.values import BuildConvention, Variant, WeightsSource

PAPER = "Tan & Le 2019, arXiv 1905.11946"

STAGES = (
    # kernel, stride, expansion, channels, repeats
    Stage(3, 1, 1, 16, 1, excited=True),
    Stage(3, 2, 6, 24, 2, excited=True),
    Stage(5, 2, 6, 40, 2, excited=True),
    Stage(3, 2, 6, 80, 3, excited=True),
    Stage(5, 1, 6, 112, 3, excited=True),
    Stage(5, 2, 6, 192, 4, excited=True),
    Stage(3, 1, 6, 320, 1, excited=True),
)
NETWORK = MobileTable(STAGES, "silu")

#     width, depth, resolution, dropout, parameters, multiply-adds, top-1 % in v1 and, where it differs, in v5
TABLE: dict[str, tuple[float, float, int, float, int, int, float, float | None]] = {
    "b0": (1.0, 1.0, 224, 0.2, 5_288_548, 385_814_752, 76.3, 77.1),
    "b1": (1.0, 1.1, 240, 0.2, 7_794_184, 686_802_832, 78.8, 79.1),
    "b2": (1.1, 1.2, 260, 0.3, 9_109_994, 993_561_872, 79.8, None),
    "b3": (1.2, 1.4, 300, 0.3, 12_233_232, 1_827_141_392, 81.1, 81.6),
    "b4": (1.4, 1.8, 380, 0.4, 19_341_616, 4_393_771_024, 82.6, 82.9),
    "b5": (1.6, 2.2, 456, 0.4, 30_389_784, 10_266_384_752, 83.3, None),
    "b6": (1.8, 2.6, 528, 0.5, 43_040_704, 19_067_593_536, 84.0, None),
    "b7": (2.0, 3.1, 600, 0.5, 66_347_960, 37_745_884_192, 84.4, 84.3),
}

# Ported from the authors' checkpoints by timm: "aa" with AutoAugment as in the paper, "in1k" without, "ra" with
# RandAugment. B4 is torchvision's own training, mirrored on the hub.
SOURCES = {
    "b0": WeightsSource(
        repository="timm/tf_efficientnet_b0.in1k",
        revision="8186ca4217f9c67824ebe7566008bdc69976d15a",
        sha256="276dfe076f3fca30c2f7bf1e44039e395e6de50248caaa159d16530699f16995",
    ),
    "b1": WeightsSource(
        repository="timm/tf_efficientnet_b1.aa_in1k", revision="8e7b8d9bad29023ec0caba06cd176fa53de49416"
    ),
    "b2": WeightsSource(
        repository="timm/tf_efficientnet_b2.aa_in1k",
        revision="99149aafd9bb256a0178f14ca9ab24deec5eb2a8",
        sha256="08d7bd5d858873cb1a829f51c01811c75117665b1de91c215acbcf836a23a5c9",
    ),
    "b3": WeightsSource(repository="timm/tf_efficientnet_b3.in1k", revision="530a04510c181c86ca3e626b355b99b1fbe84878"),
    "b4": WeightsSource(
        repository="lmz/candle-efficientnet",
        revision="babb869844eaf44ecfda29d4a5260ab12ef13b5e",
        file="efficientnet-b4.safetensors",
        sha256="6918ea40178060d70f0f4f478f7f9248ed045d7a9e4faf587b03e9016dbaab15",
    ),
    "b5": WeightsSource(
        repository="timm/tf_efficientnet_b5.ra_in1k", revision="a0d7a66fc0e3470837820e4a8d8fc00ed6aacfd2"
    ),
    "b6": WeightsSource(
        repository="timm/tf_efficientnet_b6.aa_in1k", revision="48bd93ba54a976b4e5eab6a4fb9b438029310ef6"
    ),
    "b7": WeightsSource(
        repository="timm/tf_efficientnet_b7.aa_in1k", revision="ad265c14a9a5535623534c06fb7e1d67a11e982e"
    ),
}


def _variant(name: str) -> Variant:
    width, depth, resolution, dropout, parameters, macs, top1, top1_v5 = TABLE[name]
    later = f"; v5 says {top1_v5} %" if top1_v5 else ""
    return Variant(
        name=name,
        family="efficientnet",
        width=width,
        depth=depth,
        resolution=resolution,
        dropout=dropout,
        normalisation=IMAGENET,
        source=f"{PAPER}; coefficients from the reference builder",
        parameters=parameters,
        macs=macs,
        published=published(top1, f"{PAPER} v1, Table 2{later}"),
        architecture="b0",
    )


TORCHVISION_TF_EPS_WIDTH = 1.6
"""torchvision ported B5 to B7 from TensorFlow and trained the smaller ones itself."""


def _convention(layout: str, variant: Variant) -> BuildConvention | None:
    if layout == "torchvision":
        ported = variant.width >= TORCHVISION_TF_EPS_WIDTH
        return BuildConvention("symmetric", TENSORFLOW.bn_eps) if ported else TORCH
    return None if layout == "timm" else TENSORFLOW


ADAPTER: ModelFamily = Family(
    name="efficientnet",
    variants={name: _variant(name) for name in TABLE},
    plan=lambda variant: plan(variant, NETWORK),
    layouts_by_name={
        "timm": _layouts.timm,
        "efficientnet-pytorch": _layouts.efficientnet_pytorch,
        "torchvision": _layouts.torchvision,
    },
    convention_of=_convention,
    sources=SOURCES,
)
