"""Images from a folder to bring a network to int8 by: ranges are measured on some, the result is judged on others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeeff.errors import UsageError
from edgeeff.files import cannot_read
from edgeeff.images import SUFFIXES, preprocess
from edgeeff.values import Normalisation

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
