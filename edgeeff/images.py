"""An image file, as a network wants it.

An image is turned upright, made RGB, resized (bicubic) so that its shorter side is the resolution and 32 pixels more,
and cropped in the centre: how EfficientNets of every resolution are evaluated (CROP_PADDING in preprocessing.py of
github.com/tensorflow/tpu, models/official/efficientnet; timm's crop_pct .875, .882 ... .949 are the same crops).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.values import Normalisation
from edgeeff.wording import first_line

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
"""Of files that count as images."""

CROP_PADDING = 32
"""Pixels."""


def preprocess(path: Path, resolution: int, normalisation: Normalisation) -> NDArray[np.float32]:
    """One image file as (3, resolution, resolution), normalised."""
    pixels = np.asarray(_crop(_decode(path), resolution), np.float32) / 255
    mean, std = np.asarray(normalisation.mean, np.float32), np.asarray(normalisation.std, np.float32)
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


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
        cure = "remove it, or replace it by a sound image"
        raise UsageError(f"{path} cannot be decoded: {first_line(error)}", cure) from error


def _crop(image: Any, resolution: int) -> Any:
    shorter = resolution + CROP_PADDING
    scale = shorter / min(image.size)
    width, height = (max(shorter, round(side * scale)) for side in image.size)
    left, top = (width - resolution) // 2, (height - resolution) // 2
    box = (left, top, left + resolution, top + resolution)
    return image.resize((width, height), _pillow().Resampling.BICUBIC).crop(box)
