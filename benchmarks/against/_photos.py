"""Photos -> crops: some to calibrate on, others, of other photos, to judge by."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

from PIL import Image

from edgeeff.errors import UsageError
from edgeeff.images import SUFFIXES

IN_WHEELS = re.compile(
    r"foolbox/data/imagenet_.*\.jpg|sklearn/datasets/images/.*\.jpg|"
    r"skimage/data/(astronaut|chelsea|coffee|motorcycle_left|rocket)\.(png|jpg)"
)
"""Photos among the images that these packages bring: no drawings, pages of text, stars or second view of a scene."""

CALIBRATION_CROPS = 64
HELD_OUT_EACH = 3
"""Every third photo is held out."""
HELD_OUT_CROPS = 6
"""Of each photo that is held out."""
STREAM = 4
LEAST_PHOTOS = 12
LEAST_SHARE = 0.6
"""Of the shorter side. Training crops go down to a third, but networks are used on whole photos."""


def photos(sources: Sequence[Path]) -> dict[str, bytes]:
    """Name -> content of the images in folders and wheels, by name."""
    found: dict[str, bytes] = {}
    for source in sources:
        if source.is_dir():
            paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
            found |= {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as wheel:
                found |= {name: wheel.read(name) for name in wheel.namelist() if IN_WHEELS.fullmatch(name)}
        else:
            raise UsageError(f"{source} is neither a folder of photos nor a wheel that brings some")
    if len(found) < LEAST_PHOTOS:
        raise UsageError(f"{len(found)} photos are too few: {LEAST_PHOTOS} or more are needed")
    return dict(sorted(found.items()))


def write_crops(found: dict[str, bytes], side: int, calibration: Path, held_out: Path) -> None:
    """PNG files of `side` pixels: no photo has crops in both folders, and those of one photo are neighbours by name.

    edgeeff holds out neighbours together. What else is in the folders, of an earlier run, is removed.
    """
    names = list(found)
    judging = names[HELD_OUT_EACH - 1 :: HELD_OUT_EACH]
    calibrating = [name for name in names if name not in judging]
    turns = (
        (calibration, _in_turn(calibrating)),
        (held_out, judging * HELD_OUT_CROPS),
    )
    for folder, chosen in turns:
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {folder / f"{_stem(name)}-{number:03}.png": (name, number) for number, name in enumerate(chosen)}
        for left in set(folder.glob("*.png")) - set(wanted):
            left.unlink()
        for path, (name, number) in wanted.items():
            if not path.exists():
                _crop(found[name], side, random.Random(f"{name} {number}")).save(path)


def _stem(name: str) -> str:
    return re.sub(r"\W+", "-", name.rpartition("/")[2].rpartition(".")[0])


def _in_turn(names: Sequence[str]) -> list[str]:
    """Two streams of photos, one of every fourth: the crops that earlier tables were made with."""
    apart = names[STREAM - 1 :: STREAM]
    others = [name for name in names if name not in apart]
    own, rest = cycle(apart), cycle(others)
    return [next(own if i % STREAM == STREAM - 1 else rest) for i in range(CALIBRATION_CROPS)]


def _crop(content: bytes, side: int, rng: random.Random) -> Image.Image:
    """A square at a random place, of LEAST_SHARE or more of the shorter side."""
    with Image.open(io.BytesIO(content)) as image:
        shorter = min(image.size)
        length = round(shorter * rng.uniform(LEAST_SHARE, 1.0))
        left, top = (rng.randint(0, extent - length) for extent in image.size)
        box = (left, top, left + length, top + length)
        return image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box)


def in_order(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.glob("*.png")))
