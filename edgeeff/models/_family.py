"""What all families share: scaling a table, building its network, naming its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgeeff.costs import Costs
from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.models import _layouts
from edgeeff.models._counting import count
from edgeeff.models._spec import Plan
from edgeeff.scaling.compound import Scaling, check, check_size, name_of
from edgeeff.values import Accuracy, BuildConvention, Normalisation, Variant, WeightsSource

if TYPE_CHECKING:
    from torch import nn

COUNTED_CLASSES = 1000
"""Parameters and multiply-adds of a variant are those of ImageNet's classifier."""

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet mean and standard deviation")

CENTRED = Normalisation((0.5,) * 3, (0.5,) * 3, "mean 0.5, std 0.5: [-1, 1]")

TENSORFLOW = BuildConvention("same", 1e-3)
TORCH = BuildConvention("symmetric", 1e-5)
TORCH_IMAGENET = replace(TORCH, normalisation=IMAGENET)
"""torch's projects feed with ImageNet's statistics where the authors did not."""


@dataclass(frozen=True)
class Family:
    """A `ModelFamily`: tables, the rules by which they scale, and how others name their tensors.

    Args:
        name: of the family.
        variants: the published members.
        plan: the layers of a member, without torch.
        layouts: layout -> the foreign names of our modules; our own are always there.
        conventions: layout -> how networks in it are built; "edgeeff" is the authors' own, and what random weights get.
            A layout that is not there does not say.
        sources: where trained weights of a member are to be had.
        paddings: that the network can be built with.
    """

    name: str
    variants: Mapping[str, Variant]
    plan: Callable[[Variant], Plan]
    layouts_by_name: Mapping[str, _layouts.Names]
    convention_of: Callable[[str, Variant], BuildConvention | None]
    sources: Mapping[str, WeightsSource] = field(default_factory=dict)
    paddings: tuple[str, ...] = ("same", "symmetric")

    def costs(self, variant: Variant, *, classes: int = COUNTED_CLASSES) -> Costs:
        """The ops of a member with their sizes, without torch and without its weights."""
        return count(self.plan(variant), classes)

    def scaled(self, base: Variant, *, width: float, depth: float, resolution: int) -> Variant:
        """A member with other coefficients; a published one where they are equal.

        Raises:
            UsageError: coefficients out of bounds, or a network too large to be stored or run.
        """
        scaling = Scaling(width, depth, resolution)
        check(scaling)
        for member in self.variants.values():
            if resolution == member.resolution and _same_weights(member, base.architecture, width, depth):
                return member
        variant = replace(
            base,
            name=name_of(base.architecture, scaling),
            width=width,
            depth=depth,
            resolution=resolution,
            published=None,
        )
        costs = self.costs(variant)
        check_size(variant.name, costs.parameters, costs.peak_layer_activations)
        return replace(variant, parameters=costs.parameters, macs=costs.macs)

    def build(self, variant: Variant, *, classes: int, padding: str, bn_eps: float) -> nn.Module:
        """The torch module, in eval mode, on the meta device.

        Raises:
            MissingExtraError: torch is not installed.
            UsageError: the network knows no such padding.
        """
        if padding not in self.paddings:
            raise UsageError(
                f"{variant.name} is padded {' or '.join(self.paddings)} by all who made it, not {padding}",
                "leave out --padding",
            )
        try:
            from edgeeff.models import _network
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingExtraError("torch", "torch", f"building {variant.name}") from error
        return _network.build(self.plan(variant), classes=classes, padding=padding, bn_eps=bn_eps)

    def layouts(self, variant: Variant) -> Mapping[str, Mapping[str, str]]:
        """For each layout: foreign key -> our key."""
        plan = self.plan(variant)
        known = {"edgeeff": _layouts.own, **self.layouts_by_name}
        return {name: _layouts.layout(plan, names) for name, names in known.items()}

    def convention(self, layout: str, variant: Variant) -> BuildConvention | None:
        """How the networks of a layout are built; None where only a file's name can say."""
        return self.convention_of(layout, variant)

    def source(self, variant: Variant) -> WeightsSource | None:
        """Where trained weights that fit are to be had; the resolution has no part in their shapes."""
        for member in self.variants.values():
            if _same_weights(member, variant.architecture, variant.width, variant.depth):
                return self.sources.get(member.name)
        return None


def _same_weights(member: Variant, architecture: str, width: float, depth: float) -> bool:
    return (
        member.architecture == architecture
        and math.isclose(member.width, width, rel_tol=1e-9)
        and math.isclose(member.depth, depth, rel_tol=1e-9)
    )


def published(percent: float, source: str) -> Accuracy:
    """A published top-1 accuracy, given in percent as papers do."""
    return Accuracy(round(percent / 100, 5), source, "published")


def members(
    family: str,
    table: Mapping[str, tuple[int, int, int, Accuracy]],
    *,
    dropout: float,
    normalisation: Normalisation,
    source: str,
) -> dict[str, Variant]:
    """Members that are architectures of their own: name -> resolution, parameters, multiply-adds, accuracy."""
    return {
        name: Variant(
            name=name,
            family=family,
            width=1.0,
            depth=1.0,
            resolution=resolution,
            dropout=dropout,
            normalisation=normalisation,
            source=source,
            parameters=parameters,
            macs=macs,
            published=accuracy,
            architecture=name,
        )
        for name, (resolution, parameters, macs, accuracy) in table.items()
    }
