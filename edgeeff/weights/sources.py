"""Weights for a variant: trained ones, a file's in any known layout, or random ones.

Each layout comes from a project that pads and normalises in its own way, so the layout says how the network has to
be built as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.files import sha256_of
from edgeeff.values import Normalisation
from edgeeff.weights import layouts, pretrained
from edgeeff.weights.checkpoints import read
from edgeeff.weights.conventions import convention, default
from edgeeff.weights.initial import random_state

if TYPE_CHECKING:
    from torch import Tensor

    from edgeeff.protocols import ModelFamily
    from edgeeff.values import Variant

IMAGENET_CLASSES = 1000
IMAGENET_LABELS = "ImageNet-1k, 1000 classes, torchvision order"
SEED = 0


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """Weights in our names, and how the network that they belong to is built.

    `state_dict` is name -> float32 tensor, without the counters of batch normalisation. `classes` is 0 where there
    is no classifier. `normalisation` is set where the weights want another than the variant's.
    """

    state_dict: Mapping[str, Tensor]
    classes: int
    padding: str
    bn_eps: float
    label: str
    sha256: str | None = None
    normalisation: Normalisation | None = None
    labels: str | None = None
    notes: tuple[str, ...] = ()


def load(
    variant: Variant, family: ModelFamily, spec: str, *, classes: int | None, padding: str | None
) -> LoadedWeights:
    """Weights for a variant.

    Args:
        spec: "pretrained", "random", "auto" (pretrained where they can be had, else random) or a file's path.
        classes: outputs that the classifier must have; None takes what the weights have.
        padding: "same" or "symmetric" in place of what the weights imply.

    Raises:
        UsageError: there are no such weights, or they do not fit.
        MissingExtraError: a package is not installed.
    """
    if spec == "random":
        return random(variant, family, classes=classes, padding=padding)
    if spec == "pretrained":
        return _pretrained(variant, family, classes=classes, padding=padding)
    if spec == "auto":
        try:
            return _pretrained(variant, family, classes=classes, padding=padding)
        except UsageError as error:
            note = (
                f"RANDOM weights: {error.message} ({error.hint}). "
                "Latency, size and multiply-adds do not depend on weights; accuracy does."
            )
            return random(variant, family, classes=classes, padding=padding, notes=(note,))
    path = Path(spec)
    if not path.exists():
        raise UsageError(f"--weights {spec}: there is no such file", "auto, pretrained, random, or a file's path")
    return from_file(path, f"file({path.name})", variant, family, classes=classes, padding=padding)


def random(
    variant: Variant, family: ModelFamily, *, classes: int | None, padding: str | None, notes: tuple[str, ...] = ()
) -> LoadedWeights:
    """Random weights, the same in every run."""
    classes = IMAGENET_CLASSES if classes is None else classes
    how = default(variant, family, padding)
    return LoadedWeights(
        state_dict=random_state(_shapes(variant, family, classes), SEED),
        classes=classes,
        padding=how.padding,
        bn_eps=how.bn_eps,
        label=f"random(seed={SEED})",
        notes=notes,
    )


def _pretrained(variant: Variant, family: ModelFamily, *, classes: int | None, padding: str | None) -> LoadedWeights:
    found = pretrained.find(variant.name, family.source(variant))
    label = f"pretrained({found.label})"
    weights = from_file(found.path, label, variant, family, classes=classes, padding=padding)
    if variant.name in family.variants:
        return weights
    note = f"the weights were trained at another resolution than {variant.resolution} px: no published accuracy holds"
    return replace(weights, notes=(*weights.notes, note))


def from_file(
    path: Path, label: str, variant: Variant, family: ModelFamily, *, classes: int | None, padding: str | None
) -> LoadedWeights:
    """The weights in a file of any known layout. See `load`."""
    tensors = read(path)
    known = family.layouts(variant)
    layout = layouts.identify(tensors, known)
    if layout is None:
        raise _fitting(path, variant, tensors) or layouts.unknown(path, tensors, known)
    mismatch = layouts.compare(tensors, known[layout], _shapes(variant, family, IMAGENET_CLASSES))
    if mismatch:
        fault = f"{path} ({layout} layout) does not fit {variant.name}: {mismatch}"
        raise _fitting(path, variant, tensors) or UsageError(fault, "it fits no variant that edgeeff knows")
    state = layouts.rename(tensors, known[layout], _shapes(variant, family, IMAGENET_CLASSES))
    found_classes = layouts.classes_of(path, state)
    if classes is not None and classes != found_classes:
        has = f"has {found_classes} outputs" if found_classes else "has no classifier"
        raise UsageError(f"{path} {has}, and --classes asks for {classes}", "leave out --classes, or train that layer")
    how = convention(path, layout, variant, family, padding)
    return LoadedWeights(
        state_dict=layouts.as_float(path, state),
        classes=found_classes,
        padding=how.padding,
        bn_eps=how.bn_eps,
        label=label,
        sha256=sha256_of(path),
        normalisation=how.normalisation,
        labels=IMAGENET_LABELS if found_classes == IMAGENET_CLASSES else None,
        notes=how.notes,
    )


def _shapes(variant: Variant, family: ModelFamily, classes: int) -> dict[str, tuple[int, ...]]:
    """Our name -> shape of every tensor that weights must have."""
    how = default(variant, family, None)
    state = family.build(variant, classes=classes, padding=how.padding, bn_eps=how.bn_eps).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def _fitting(path: Path, wanted: Variant, tensors: Mapping[str, Tensor]) -> UsageError | None:
    """The error that names the variant which the weights do fit, where there is one."""
    for family in registry.families().values():
        for variant in family.variants.values():
            known = family.layouts(variant)
            layout = layouts.identify(tensors, known)
            if layout and not layouts.compare(tensors, known[layout], _shapes(variant, family, IMAGENET_CLASSES)):
                fault = f"{path} has the weights of {variant.name}, and {wanted.name} was asked for"
                return UsageError(fault, f"--variant {variant.name} takes them")
    return None
