"""Which layout a weights file has, and its tensors under our names.

Args in this module: `tensors` are name -> tensor as the file has them, `shapes` our name -> shape as the network
wants them, `layouts` layout -> their name -> our name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeeff.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
Layouts = Mapping[str, Mapping[str, str]]

CLASSIFIER = ("classifier.weight", "classifier.bias")
COUNTER = "num_batches_tracked"
"""How often a batch normalisation was trained; inference has no use for it."""
MAX_CLASSES = 100_000
SHOWN = 3
"""Names that an error shows before it says how many more there are."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What keeps tensors from fitting a network, in the file's own names."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        parts = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.misshapen))
        return "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in parts if names)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def identify(tensors: Mapping[str, Tensor], layouts: Layouts) -> str | None:
    """The layout that knows most of the names; None where none knows half of them."""
    named = {name for name in tensors if not name.endswith(COUNTER)}
    best = max(layouts, key=lambda name: len(layouts[name].keys() & named))
    return best if 2 * len(layouts[best].keys() & named) > len(named) else None


def unknown(path: object, tensors: Mapping[str, Tensor], layouts: Iterable[str]) -> UsageError:
    """The error for a file whose names no layout knows."""
    return UsageError(
        f"{path} has weights in an unknown layout: its first tensors are {_some(tensors)}",
        f"known layouts: {', '.join(sorted(layouts))}",
    )


def rename(tensors: Mapping[str, Tensor], names: Mapping[str, str], shapes: Shapes) -> dict[str, Tensor]:
    """The tensors that a layout knows, under our names; a dense layer's may be stored as a 1x1 convolution's."""
    return {
        ours: tensors[theirs].reshape(tensors[theirs].shape[:1] + shapes[ours][1:])
        for theirs, ours in names.items()
        if theirs in tensors
    }


def compare(tensors: Mapping[str, Tensor], names: Mapping[str, str], shapes: Shapes) -> Mismatch:
    """What keeps the tensors of one layout from fitting a network.

    A classifier may be missing as a whole, or have any number of outputs.
    """
    optional = [theirs for theirs, ours in names.items() if ours in CLASSIFIER]
    has_classifier = any(name in tensors for name in optional)
    missing = [name for name in names if name not in tensors and (has_classifier or name not in optional)]
    misshapen = [
        f"{theirs} {tuple(tensors[theirs].shape)}, not {shapes[ours]}"
        for theirs, ours in names.items()
        if theirs in tensors and not _fits(ours, tuple(tensors[theirs].shape), shapes[ours])
    ]
    unexpected = [name for name in tensors if name not in names and not name.endswith(COUNTER)]
    return Mismatch(tuple(missing), tuple(unexpected), tuple(misshapen))


def _fits(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    if name in CLASSIFIER:
        return len(shape) == len(wanted) and shape[1:] == wanted[1:] and 1 <= shape[0] <= MAX_CLASSES
    if {len(shape), len(wanted)} == {2, 4}:  # a dense layer is a 1x1 convolution
        return (*shape, 1, 1)[:4] == (*wanted, 1, 1)[:4]
    return shape == wanted


def classes_of(path: object, state: Mapping[str, Tensor]) -> int:
    """Outputs of the classifier; 0 where there is none."""
    counts = {int(state[name].shape[0]) for name in CLASSIFIER if name in state}
    if len(counts) > 1:
        raise UsageError(f"{path} has a classifier whose weight and bias disagree: {sorted(counts)} outputs")
    return counts.pop() if counts else 0


def as_float(path: object, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as dense float32, which is what the graph computes with.

    Raises:
        UsageError: a tensor is empty, sparse, quantized, complex or not finite.
    """
    import torch

    converted = {}
    for name, tensor in state.items():
        if tensor.is_meta:
            raise UsageError(f"{path}: {name} has a shape and no values", "save the network once it has its weights")
        if tensor.layout is not torch.strided or tensor.is_quantized or not tensor.is_floating_point():
            raise UsageError(
                f"{path}: {name} is {str(tensor.dtype).removeprefix('torch.')}, and not plain floating point"
            )
        converted[name] = tensor.to(torch.float32).contiguous()
        if not bool(torch.isfinite(converted[name]).all()):
            raise UsageError(
                f"{path}: {name} has values that are not finite", "the training diverged, or it is damaged"
            )
    return converted
