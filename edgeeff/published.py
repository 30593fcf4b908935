"""Published latencies and accuracies that a report shows beside what was measured: anchors, never limits.

The same network on the same phone differs by 10-15 % between papers (MnasNet-A1 on a Pixel 1 takes 78 ms in its
own paper and 71 ms in MobileNetV3's). The accuracies of float networks stand in `edgeeff.models`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeeff.models.efficientnet import PAPER
from edgeeff.models.efficientnet_lite import REFERENCE as _LITE
from edgeeff.values import Accuracy

_EFFICIENTNET = f"{PAPER}, Table 4"
_MNASNET = "Tan et al. 2019, arXiv 1807.11626, Table 1"
_MOBILENET_V3 = "Howard et al. 2019, arXiv 1905.02244, Table 3"
_MOBILENET_V3_INT8 = "Howard et al. 2019, arXiv 1905.02244, Table 4"
_LEADERBOARD = "public leaderboard of LiteRT 2.2.0, 2026-09"


@dataclass(frozen=True, slots=True)
class PublishedLatency:
    """How long one image took on somebody's device; `threads` is None where the source does not say."""

    network: str
    precision: str
    device: str
    accelerator: str
    threads: int | None
    latency_s: float
    source: str
    top1: float | None = None
    """A fraction, for the networks that edgeeff has no table of."""


def _lite() -> tuple[PublishedLatency, ...]:
    """Pixel 4, batch 1, CPU on four threads; ms."""
    columns = (("fp32", "cpu", 4), ("int8", "cpu", 4), ("fp32", "gpu", None), ("fp16", "gpu", None))
    rows = {
        "lite0": (12, 6.5, 9.0, 6.0),
        "lite1": (18, 9.1, 12, 8.0),
        "lite2": (26, 12, 16, 10),
        "lite3": (41, 18, 23, 14),
        "lite4": (76, 30, 36, 21),
    }
    return tuple(
        PublishedLatency(name, precision, "Pixel 4", accelerator, threads, ms / 1e3, _LITE)
        for name, row in rows.items()
        for (precision, accelerator, threads), ms in zip(columns, row, strict=True)
    )


def _mobile() -> tuple[PublishedLatency, ...]:
    """One large core of Pixel 1, 2 and 3; ms in float and in int8."""
    float_ms = {
        "mobilenetv3-large": (51, 61, 44),
        "mobilenetv3-small": (15.8, 19.4, 14.4),
        "mobilenetv2": (64, 76, 56),
        "mnasnet-a1": (71, 86, 61),
    }
    int8_ms = {
        "mobilenetv3-large": (44, 42.5, 31.7),
        "mobilenetv3-small": (15.5, 14.9, 10.7),
        "mobilenetv2": (52, 48.3, 37.0),
    }
    return tuple(
        PublishedLatency(name, precision, f"Pixel {1 + index}", "cpu", 1, ms / 1e3, source)
        for precision, rows, source in (("fp32", float_ms, _MOBILENET_V3), ("int8", int8_ms, _MOBILENET_V3_INT8))
        for name, row in rows.items()
        for index, ms in enumerate(row)
    )


LATENCIES: tuple[PublishedLatency, ...] = (
    *_lite(),
    *_mobile(),
    PublishedLatency("b0", "fp32", "S25 Ultra", "cpu", None, 0.01354, _LEADERBOARD),
    PublishedLatency("b0", "fp32", "S25 Ultra", "gpu", None, 0.00159, _LEADERBOARD),
    PublishedLatency("b0", "fp32", "Pixel 9 Pro", "cpu", None, 0.02180, _LEADERBOARD),
    PublishedLatency("b0", "fp32", "Pixel 9 Pro", "gpu", None, 0.00915, _LEADERBOARD),
    PublishedLatency("b1", "fp32", "Xeon E5-2690", "cpu", 1, 0.098, _EFFICIENTNET),
    PublishedLatency("b7", "fp32", "Xeon E5-2690", "cpu", 1, 3.1, _EFFICIENTNET),
)
"""Of the networks that edgeeff converts."""

ANCHORS: tuple[PublishedLatency, ...] = (
    PublishedLatency("MnasNet-A1", "fp32", "Pixel 1", "cpu", 1, 0.078, _MNASNET, 0.752),
    PublishedLatency("MnasNet-A3", "fp32", "Pixel 1", "cpu", 1, 0.103, _MNASNET, 0.767),
    PublishedLatency("MobileNetV3-Large", "fp32", "Pixel 1", "cpu", 1, 0.051, _MOBILENET_V3, 0.752),
)
"""What the objective's own authors, and their successors, reached on the phone that T = 75 ms was set for."""

INT8_TOP1: dict[str, Accuracy] = {
    name: Accuracy(top1, source, "published")
    for source, rows in (
        (_LITE, {"lite0": 0.744, "lite1": 0.759, "lite2": 0.770, "lite3": 0.790, "lite4": 0.802}),
        (_MOBILENET_V3_INT8, {"mobilenetv3-large": 0.738, "mobilenetv3-small": 0.649, "mobilenetv2": 0.709}),
    )
    for name, top1 in rows.items()
}
"""Post-training int8 accuracies; float accuracies must not stand in for them."""
