"""Variants of photos, and ranges that allow for what other photos bring."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeeff.converters._other_photos import forms_for_others, variants
from edgeeff.converters._ranges import least_noise
from edgeeff.converters._slopes import Profile
from edgeeff.int8.quantization import HIGHEST, LOWEST, ValueScale

FREE = (-math.inf, math.inf)


def profile(rare_slope: float) -> Profile:
    """Values up to 10, the few above 1 steeper or flatter than the rest."""
    points = np.linspace(0, 10, 101)[:, None] + np.linspace(0, 0.05, 4)
    counts = np.where(points[:, 0] < 1, 1e4, 1.0)
    squares = np.where(points[:, 0] < 1, 1e4, rare_slope)
    return Profile(0.0, 10.0, points, counts, squares, squares, False, 1e6)


def held(form: ValueScale) -> tuple[float, float]:
    return (LOWEST - form.zero_point) * form.scale, (HIGHEST - form.zero_point) * form.scale


def test_variants_stay_images_of_the_same_range():
    images = np.random.default_rng(0).uniform(-2, 2.5, (7, 3, 30, 20)).astype(np.float32)
    made = variants(images)
    assert made.shape == images.shape and made.dtype == np.float32
    assert (made.min((0, 2, 3)) >= images.min((0, 2, 3))).all()
    assert (made.max((0, 2, 3)) <= images.max((0, 2, 3))).all()
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(made, images, strict=True))
    white, own, edge = made[:3]
    for plain in (white, own, edge):  # the ground is one colour
        assert np.ptp(plain[:, :4], axis=(1, 2)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert white[:, 0, 0] == pytest.approx(images.max((0, 2, 3)))


@pytest.mark.parametrize("side", [1, 2])
def test_the_smallest_images_have_variants(side):
    made = variants(np.ones((6, 3, side, side), np.float32))
    assert np.isfinite(made).all()


def test_ranges_hold_more_than_was_seen_where_cutting_it_off_would_cost_more_than_coarser_steps():
    made = forms_for_others({"steep": profile(1e6), "flat": profile(1e-3)}, {"steep": FREE, "flat": FREE})
    assert held(least_noise(profile(1e6)))[1] <= 10.1
    assert held(made["steep"])[1] > 11
    assert held(made["flat"])[1] < 5


def test_ranges_end_where_the_values_of_any_image_do():
    made = forms_for_others({"steep": profile(1e6)}, {"steep": (0.0, 10.5)})
    assert 9.9 < held(made["steep"])[1] < 10.6
