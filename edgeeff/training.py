"""A small training on the user's own images: a proxy by which networks are compared, not a way to a good one.

Networks of equal recipe, seed and images differ in accuracy by their shape, and by luck: with n held-out images, by
some sqrt(p (1 - p) / n) of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.files import cannot_read
from edgeeff.images import SUFFIXES, preprocess
from edgeeff.values import Normalisation, Variant
from edgeeff.wording import counted

if TYPE_CHECKING:
    import torch

    from edgeeff.protocols import ModelFamily

HELD_OUT_EACH = 4
"""Every fourth image of a class, in the order of the names, is held out."""
LEAST_OF_A_CLASS = 4
MOST_IMAGES = 5000
"""A bound on memory and time: more would be a real training."""

_SMOOTHING = 0.1
_WEIGHT_DECAY = 1e-4
_WARMUP = 0.1
_SHIFT = 0.1


@dataclass(frozen=True, slots=True)
class Examples:
    """Images by their paths, and the numbers of their classes."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Images in a folder a class, split into those that are trained on and those held out."""

    root: Path
    classes: tuple[str, ...]
    trained: Examples
    held_out: Examples


@dataclass(frozen=True, slots=True)
class Recipe:
    """How each network is trained."""

    epochs: int = 5
    batch: int = 32
    learning_rate: float = 0.05
    seed: int = 0
    threads: int = 1
    """One gives the same result on every machine of a kind, and is the fastest for small networks on few cores."""
    mirrored: bool = True
    """Images are mirrored at random: right for photos, wrong where left and right differ, as in digits and signs."""


def find(root: Path) -> ImageFolder:
    """The classes of a folder: its folders that hold images, at any depth.

    Raises:
        UsageError: there is no such folder, it holds no images in folders, one class only, a class of fewer than
            four images, or more images than a proxy training is for.
    """
    if not root.is_dir():
        raise UsageError(f"--train {root}: there is no such folder", "it holds a folder of images a class")
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        images = {
            folder.name: sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES) for folder in folders
        }
    except OSError as error:
        raise cannot_read(root, error) from error
    images = {name: paths for name, paths in images.items() if paths}
    _require_classes(root, images)
    parts: tuple[list[tuple[Path, int]], list[tuple[Path, int]]] = ([], [])
    for label, paths in enumerate(images.values()):
        for index, path in enumerate(paths):
            parts[index % HELD_OUT_EACH == HELD_OUT_EACH - 1].append((path, label))
    trained, held_out = (Examples(tuple(p for p, _ in part), tuple(n for _, n in part)) for part in parts)
    return ImageFolder(root, tuple(images), trained, held_out)


def _require_classes(root: Path, images: dict[str, list[Path]]) -> None:
    layout = "as in CLASS/photo.jpg, a folder a class"
    if not images:
        raise UsageError(f"--train {root} holds no images in folders of their own", layout)
    if len(images) == 1:
        raise UsageError(f"--train {root} has one class only ({next(iter(images))}): nothing to tell apart", layout)
    few = [name for name, paths in images.items() if len(paths) < LEAST_OF_A_CLASS]
    if few:
        raise UsageError(
            f"--train {root}: the class {few[0]!r} has {counted(len(images[few[0]]), 'image')}, and at least "
            f"{LEAST_OF_A_CLASS} are needed to hold one out",
            "add images, or remove the class",
        )
    total = sum(map(len, images.values()))
    if total > MOST_IMAGES:
        raise UsageError(
            f"--train {root} has {total} images; a proxy training takes {MOST_IMAGES} at most", "take a part"
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder's images as tensors of (count, 3, resolution, resolution), for trainings that share them."""

    resolution: int
    normalisation: Normalisation
    trained: torch.Tensor
    held_out: torch.Tensor


def load(folder: ImageFolder, resolution: int, normalisation: Normalisation) -> Loaded:
    """Reads the images, once for many trainings.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = _torch()
    trained, held_out = (
        torch.from_numpy(images_of(part, resolution, normalisation)).contiguous(memory_format=torch.channels_last)
        for part in (folder.trained, folder.held_out)
    )
    return Loaded(resolution, normalisation, trained, held_out)


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "torch", "training") from error
    return torch


def images_of(examples: Examples, resolution: int, normalisation: Normalisation) -> NDArray[np.float32]:
    """The images of (count, 3, resolution, resolution)."""
    return np.stack([preprocess(path, resolution, normalisation) for path in examples.paths])


def accuracy(
    variant: Variant,
    family: ModelFamily,
    folder: ImageFolder,
    recipe: Recipe,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
) -> float:
    """Trains a variant from the same start as any other, and gives its top-1 on the held-out images, a fraction.

    Args, Raises: see `train`.
    """
    return train(variant, family, folder, recipe, progress)[1]


def train(
    variant: Variant,
    family: ModelFamily,
    folder: ImageFolder,
    recipe: Recipe,
    progress: Callable[[int, float], None] = lambda epoch, loss: None,
    loaded: Loaded | None = None,
) -> tuple[torch.nn.Module, float]:
    """The trained network, in eval mode, and its top-1 on the held-out images.

    Args:
        progress: told each epoch and its mean loss.
        loaded: the folder's images at the variant's resolution; None reads them.

    Raises:
        MissingExtraError: torch is not installed.
        UsageError: the training diverged.
    """
    torch = _torch()
    torch.set_num_threads(recipe.threads)
    module = network(variant, family, len(folder.classes))
    images = loaded or load(folder, variant.resolution, variant.normalisation)
    _fit(module, images.trained, torch.tensor(folder.trained.labels), recipe, progress)
    return module, top1(module, images.held_out, folder.held_out.labels, recipe.batch)


def network(variant: Variant, family: ModelFamily, classes: int) -> Any:
    """The torch network of a variant with random weights, ready to be trained."""
    import torch

    from edgeeff.weights.sources import random

    weights = random(variant, family, classes=classes, padding=None)
    module = family.build(variant, classes=classes, padding=weights.padding, bn_eps=weights.bn_eps)
    module.load_state_dict(weights.state_dict, assign=True)
    module.to(memory_format=torch.channels_last)  # half of the time
    return module


def top1(module: Any, images: torch.Tensor, labels: Sequence[int], batch: int) -> float:
    """Share of the images whose best class is the right one."""
    import torch

    module.eval()
    with torch.inference_mode():
        found = torch.cat([module(images[i : i + batch]).argmax(1) for i in range(0, len(images), batch)])
    return float((found == torch.tensor(labels)).double().mean())


def _fit(
    module: Any, images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, progress: Callable[[int, float], None]
) -> None:
    """SGD with momentum, a warm-up and a cosine; images are shifted, and mirrored."""
    import torch

    random = torch.Generator().manual_seed(recipe.seed)
    torch.manual_seed(recipe.seed)  # of the dropout
    count = max(2, min(recipe.batch, len(images)))
    steps = max(1, len(images) // count)
    optimiser = torch.optim.SGD(
        module.parameters(), recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=_WEIGHT_DECAY
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _schedule(step / (steps * recipe.epochs)))
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=_SMOOTHING)
    module.train()
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=random)
        losses = []
        for step in range(steps):
            chosen = order[step * count : (step + 1) * count]
            loss = loss_of(module(_augmented(images[chosen], random, recipe.mirrored)), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimiser.step()
            rate.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        if not math.isfinite(mean):
            raise UsageError(f"the training diverged in epoch {epoch + 1}", "a smaller --learning-rate")
        progress(epoch, mean)
    _settle(module, images, count)


def _settle(module: Any, images: torch.Tensor, batch: int) -> None:
    """Takes the statistics of the batch normalisations anew: in a few epochs, their moving means never arrive."""
    import torch

    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = None  # the mean over all batches
    with torch.no_grad():
        for start in range(0, len(images) - batch + 1, batch):
            module(images[start : start + batch])


def _schedule(share: float) -> float:
    """Of the learning rate, over the share of the training that is done."""
    return min(1.0, (share + 1e-3) / _WARMUP) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _augmented(images: torch.Tensor, random: torch.Generator, mirrored: bool) -> torch.Tensor:
    """Shifted by up to a tenth, and where asked mirrored by chance."""
    import torch

    if mirrored:
        flipped = torch.rand(len(images), generator=random) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    most = max(1, int(images.shape[-1] * _SHIFT))
    rows, columns = (int(torch.randint(-most, most + 1, (), generator=random)) for _ in range(2))
    return images.roll((rows, columns), (2, 3))
