"""How the project that a weights file comes from pads, normalises and prepares images.

torchvision pads as torch does, efficientnet-pytorch as TensorFlow does. timm does either, and the tensors do not
say which: models that it ported from TensorFlow are called tf_efficientnet_*, its own efficientnet_*.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.values import Normalisation, Variant

if TYPE_CHECKING:
    from edgeeff.protocols import ModelFamily

TF_EPS, TORCH_EPS = 1e-3, 1e-5
"""Epsilon of batch normalisation in TensorFlow's EfficientNets, and torch's default."""
MAX_CONFIG_BYTES = 65_536

TIMM_NAME = re.compile(
    r"(tf_)?(efficientnet_(b[0-8]|lite[0-4]|l2|es|em|el)|efficientnetv2_(s|m|l|b[0-3])|mobilenetv3_(large|small))"
    r"(?![a-z0-9])"
)
TIMM_OWN = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "timm's own trainings")


@dataclass(frozen=True, slots=True)
class Convention:
    """How the network is built for a weights file; `normalisation` where it differs from the variant's."""

    padding: str
    bn_eps: float
    normalisation: Normalisation | None = None
    notes: tuple[str, ...] = ()


def default(variant: Variant, family: ModelFamily, padding: str | None) -> Convention:
    """How the authors build a network, with the padding that the user asks for."""
    own = family.convention("edgeeff", variant)
    if own is None or padding not in (None, own.padding):
        return _built_with(padding or "same")
    return Convention(own.padding, own.bn_eps)


def convention(path: Path, layout: str, variant: Variant, family: ModelFamily, padding: str | None) -> Convention:
    """What a file in a layout wants; a padding that the user asks for wins, and is noted where it differs."""
    if layout == "edgeeff":
        return default(variant, family, padding)
    config = _config(path)
    known = family.convention(layout, variant)
    if known is not None:
        found = _normalisation(config, variant) or _other(known.normalisation, variant)
        return _asked(Convention(known.padding, known.bn_eps, found), padding)
    ported = _ported(path, config)
    if ported is not None:
        wanted = _built_with("same" if ported else "symmetric")
        found = _normalisation(config, variant) or (None if ported else _other(TIMM_OWN, variant))
        return _asked(replace(wanted, normalisation=found), padding)
    if padding is not None:
        return _built_with(padding)
    note = (
        f"{path.name} does not say how its network was padded: TensorFlow's way (same) is assumed. If it was trained "
        f"as timm's {variant.family}_*, not tf_{variant.family}_*, its outputs are wrong: pass --padding symmetric"
    )
    return Convention("same", TF_EPS, notes=(note,))


def _built_with(padding: str) -> Convention:
    """The two settings go together: whoever pads as TensorFlow does has its epsilon too."""
    return Convention(padding, TF_EPS if padding == "same" else TORCH_EPS)


def _asked(wanted: Convention, padding: str | None) -> Convention:
    if padding is None or padding == wanted.padding:
        return wanted
    note = f"--padding {padding}: the weights were trained with {wanted.padding} padding, so accuracy suffers"
    return Convention(padding, wanted.bn_eps, wanted.normalisation, (note,))


def _ported(path: Path, config: dict[str, Any]) -> bool | None:
    """Whether timm's name of the model, beside the file or in its path, says TensorFlow; None without a name."""
    for text in (str(config.get("architecture", "")), *reversed(path.absolute().parts)):
        if found := TIMM_NAME.search(text):
            return found.group(1) is not None
    return None


def _config(path: Path) -> dict[str, Any]:
    """timm's config.json beside the weights; empty where there is none that can be read."""
    try:
        with path.with_name("config.json").open("rb") as file:
            config = json.loads(file.read(MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _normalisation(config: dict[str, Any], variant: Variant) -> Normalisation | None:
    """What the config says of mean and standard deviation, where it is not what the variant has anyway."""
    stated = config.get("pretrained_cfg")
    try:
        values = {key: tuple(float(v) for v in stated[key]) for key in ("mean", "std")} if stated else {}
    except (KeyError, TypeError, ValueError):
        return None
    if not values or any(len(value) != 3 for value in values.values()) or not all(s > 0 for s in values["std"]):
        return None
    (m0, m1, m2), (s0, s1, s2) = values["mean"], values["std"]
    found = Normalisation((m0, m1, m2), (s0, s1, s2), "config.json beside the weights")
    return _other(found, variant)


def _other(found: Normalisation | None, variant: Variant) -> Normalisation | None:
    """The normalisation, where it is not what the variant has anyway."""
    own = variant.normalisation
    return None if found is None or (found.mean, found.std) == (own.mean, own.std) else found
