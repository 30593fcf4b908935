"""Image files become what a network wants; which of a folder's calibrate, and which judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgeeff.images import preprocess
from edgeeff.int8 import calibration
from edgeeff.values import Normalisation

SIDE = 32
NORMALISATION = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Path:
    Image.new(mode, size, 128 if mode in ("L", "RGB") else None).save(path)
    return path


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (300, 17), (1, 1)])
def test_an_image_of_any_size_becomes_the_crop_that_the_network_wants(size, tmp_path):
    image = preprocess(picture(tmp_path / "x.png", size=size), SIDE, NORMALISATION)
    assert image.shape == (3, SIDE, SIDE)
    assert image.dtype == np.float32


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("CMYK", "jpg"), ("P", "png"), ("RGBA", "png"), ("1", "png")]
)
def test_an_image_in_any_colours_becomes_rgb(mode, suffix, tmp_path):
    image = preprocess(picture(tmp_path / f"x.{suffix}", mode), SIDE, NORMALISATION)
    assert image.shape == (3, SIDE, SIDE)


def test_sixteen_bits_a_pixel_keep_their_brightness(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((40, 40), 32896, np.uint16)).save(path)
    assert preprocess(path, SIDE, NORMALISATION) == pytest.approx(0.004, abs=0.01)


def test_every_fourth_image_is_held_out_and_class_folders_are_searched(tmp_path):
    for i in range(12):
        folder = tmp_path / f"class{i % 3}"
        folder.mkdir(exist_ok=True)
        picture(folder / f"{i}.png")
    loaded = calibration.load(tmp_path, SIDE, NORMALISATION)
    assert (len(loaded.images), len(loaded.held_out)) == (9, 3)


def test_a_share_of_images_is_judged_on_enough_of_them_for_one_to_be_that_share(tmp_path):
    assert [calibration.judged_for(share) for share in (None, 0.0, 0.5, 0.02, 0.01, 0.001)] == [
        22,
        22,
        22,
        50,
        100,
        100,
    ]
    for i in range(128):
        picture(tmp_path / f"{i:03}.png")
    few, many = (calibration.load(tmp_path, SIDE, NORMALISATION, most_judged=most) for most in (22, 100))
    assert (len(few.images), len(few.held_out)) == (64, 22)
    assert (len(many.images), len(many.held_out)) == (64, 32)
