"""Images from a folder, as a network wants them: what ranges are measured on, and what the result is judged on.

An image is turned upright, made RGB, resized (bicubic) so that its shorter side is the resolution and 32 pixels more,
and cropped in the centre: how EfficientNets of every resolution are evaluated (CROP_PADDING in preprocessing.py of
github.com/tensorflow/tpu, models/official/efficientnet; timm's crop_pct .875, .882 ... .949 are the same crops).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.files import cannot_read
from edgeeff.values import Normalisation

CROP_PADDING = 32
LEAST_IMAGES = 8
"""Six to calibrate on and two to judge by; fewer decide nothing."""

MOST_FITTED = 64
MOST_JUDGED = 22
"""Images to calibrate on, and to judge by: bounds on the time, not measured optima."""

JUDGED_FOR_SHARES = 100
"""The most to judge by where a share of images is asked for: of 22, 1 % allows none to change, as 0 % does."""

NO_PHOTOS = "no photos"
"""Stands in the source of images that were made up: what is measured on them is not what photos would show."""

_RUN = 32
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Normalised images, (count, 3, resolution, resolution) float32: to calibrate on, and to judge the result by."""

    images: NDArray[np.float32]
    held_out: NDArray[np.float32]
    source: str


def load(folder: Path, resolution: int, normalisation: Normalisation, *, most_judged: int = MOST_JUDGED) -> Calibration:
    """Reads the images of a folder and of its folders (class folders, say); of many, an even selection.

    A quarter is held out, see `held_out_of`, and of these at most `most_judged` are read.

    Raises:
        UsageError: there is no such folder, too few images are in it, or one of them cannot be decoded.
    """
    paths = _find(folder)
    if len(paths) < LEAST_IMAGES:
        raise UsageError(
            f"{folder} holds {len(paths)} images ({', '.join(SUFFIXES)}); calibration needs {LEAST_IMAGES} or more",
            "some 80 photos of what the network will see serve best",
        )
    apart = held_out_of(len(paths))
    fitted = _select([path for path, out in zip(paths, apart, strict=True) if not out], MOST_FITTED)
    judged = _select([path for path, out in zip(paths, apart, strict=True) if out], most_judged)
    images, held_out = (
        np.stack([preprocess(path, resolution, normalisation) for path in side]) for side in (fitted, judged)
    )
    return Calibration(images, held_out, f"{folder.name}")


def judged_for(max_drop: float | None) -> int:
    """How many images to judge by, so that such a share of them is one image, if possible."""
    if not max_drop:
        return MOST_JUDGED
    return min(max(MOST_JUDGED, math.ceil(1 / max_drop - 1e-9)), JUDGED_FOR_SHARES)


def held_out_of(count: int) -> NDArray[np.bool_]:
    """Which of images in the order of their names are held out: of each run of 32 or so, the last quarter.

    Neighbours are often crops or frames of one scene. In long runs, few of them come to stand on both sides: B0, on
    64 crops of 18 photos in runs of 8, seemed to keep 21 dB in int8, and kept 13 on other photos; in runs of 32 it
    said 13.4.
    """
    runs = np.array_split(np.arange(count), max(1, count // _RUN))
    held_out = np.zeros(count, np.bool_)
    for run in runs:
        held_out[run[len(run) - len(run) // 4 :]] = True
    return held_out


def preprocess(path: Path, resolution: int, normalisation: Normalisation) -> NDArray[np.float32]:
    """One image file as (3, resolution, resolution), normalised."""
    pixels = np.asarray(_crop(_decode(path), resolution), np.float32) / 255
    mean, std = np.asarray(normalisation.mean, np.float32), np.asarray(normalisation.std, np.float32)
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


def _find(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"--calibration {folder}: there is no such folder", "name a folder of images")
    try:
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise cannot_read(folder, error) from error


def _select(paths: list[Path], most: int) -> list[Path]:
    count = min(len(paths), most)
    return [paths[i * len(paths) // count] for i in range(count)]


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError("pillow", "images", "reading images") from error
    return Image


def _decode(path: Path) -> Any:
    """The image in RGB, upright."""
    image_module = _pillow()
    from PIL import ImageOps

    try:
        with image_module.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion cuts off at 255
                image = image_module.fromarray((np.asarray(image, np.uint32) // 257).clip(0, 255).astype(np.uint8))
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UsageError(f"{path} cannot be decoded: {reason}", "remove it, or replace it by a sound image") from error


def _crop(image: Any, resolution: int) -> Any:
    shorter = resolution + CROP_PADDING
    scale = shorter / min(image.size)
    width, height = (max(shorter, round(side * scale)) for side in image.size)
    left, top = (width - resolution) // 2, (height - resolution) // 2
    box = (left, top, left + resolution, top + resolution)
    return image.resize((width, height), _pillow().Resampling.BICUBIC).crop(box)
