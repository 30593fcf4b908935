"""What the EfficientNet families share: scaling a table, building its network, naming its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgeeff.errors import MissingExtraError
from edgeeff.models import _layouts
from edgeeff.models._plan import Plan, Stage, plan
from edgeeff.scaling import Scaling, check, check_size, name_of
from edgeeff.values import Variant, WeightsSource

if TYPE_CHECKING:
    from torch import nn

COUNTED_CLASSES = 1000
"""Parameters and multiply-adds of a variant are those of ImageNet's classifier."""


@dataclass(frozen=True)
class EfficientNetFamily:
    """A `ModelFamily` whose members are one table of stages, scaled.

    Args:
        name: of the family.
        variants: the published members; the first is the one that the coefficients multiply.
        sources: where trained weights of a member are to be had.
        stages: the table.
        lite: by the rules of EfficientNet-Lite.
    """

    name: str
    variants: Mapping[str, Variant]
    sources: Mapping[str, WeightsSource]
    stages: Sequence[Stage]
    lite: bool

    def plan(self, variant: Variant) -> Plan:
        """The layers of a member, without torch."""
        return plan(variant, self.stages, lite=self.lite)

    def scaled(self, base: Variant, *, width: float, depth: float, resolution: int) -> Variant:
        """A member with other coefficients; a published one where they are equal.

        Raises:
            UsageError: coefficients out of bounds, or a network too large to be stored or run.
        """
        scaling = Scaling(width, depth, resolution)
        check(scaling)
        for member in self.variants.values():
            if resolution == member.resolution and _same_weights(member, width, depth):
                return member
        variant = replace(
            base,
            name=name_of(next(iter(self.variants)), scaling),
            width=width,
            depth=depth,
            resolution=resolution,
            published=None,
        )
        layers = self.plan(variant)
        parameters = layers.parameters(COUNTED_CLASSES)
        check_size(variant.name, parameters, layers.peak_layer_activations())
        return replace(variant, parameters=parameters, macs=layers.macs(COUNTED_CLASSES))

    def build(self, variant: Variant, *, classes: int, padding: str, bn_eps: float) -> nn.Module:
        """The torch module, in eval mode, on the meta device.

        Raises:
            MissingExtraError: torch is not installed.
        """
        try:
            from edgeeff.models import _network
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtraError("torch", "torch", f"building {variant.name}") from error
        return _network.build(self.plan(variant), classes=classes, padding=padding, bn_eps=bn_eps, lite=self.lite)

    def layouts(self, variant: Variant) -> Mapping[str, Mapping[str, str]]:
        """For each layout: foreign key -> our key. torchvision has no Lite."""
        layers = self.plan(variant)
        known: dict[str, Callable[[Plan], _layouts.Modules]] = {
            "edgeeff": _layouts.own,
            "timm": _layouts.timm,
            "efficientnet-pytorch": _layouts.efficientnet_pytorch,
        }
        if not self.lite:
            known["torchvision"] = _layouts.torchvision
        return {name: _layouts.layout(layers, modules) for name, modules in known.items()}

    def source(self, variant: Variant) -> WeightsSource | None:
        """Where trained weights that fit are to be had; the resolution has no part in their shapes."""
        for member in self.variants.values():
            if _same_weights(member, variant.width, variant.depth):
                return self.sources.get(member.name)
        return None


def _same_weights(member: Variant, width: float, depth: float) -> bool:
    return math.isclose(member.width, width, rel_tol=1e-9) and math.isclose(member.depth, depth, rel_tol=1e-9)
