"""What other images will have, by a few: the interval covers, and neighbours that are alike count as fewer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeeff.int8.expectation import expected_sqnr

SPREAD = 1.2
"""Of the logarithm of an image's noise: 5 dB, as measured on B0."""


def draw(rng: np.random.Generator, photos: int, crops: int = 1) -> list[float]:
    """Noise of 0.01 in the mean: 20 dB. Crops of one photo differ little."""
    logs = np.repeat(rng.normal(math.log(0.01) - SPREAD**2 / 2, SPREAD, photos), crops)
    return list(np.exp(logs + rng.normal(0, 0.1, len(logs))))


@pytest.mark.parametrize(
    ("photos", "crops", "least", "most"), [(16, 1, 0.9, 0.06), (64, 1, 0.93, 0.04), (8, 3, 0.8, 0.1)]
)
def test_the_interval_covers_what_all_images_have(photos, crops, least, most):
    rng = np.random.default_rng(0)
    covered = above = 0
    for _ in range(400):
        found = expected_sqnr([1.0] * photos * crops, draw(rng, photos, crops))
        assert found is not None
        covered += found.low_db <= 20 <= found.high_db
        above += found.low_db > 20
    assert covered / 400 >= least
    assert above / 400 <= most  # promised too much


def test_crops_of_one_photo_do_not_make_it_surer():
    rng = np.random.default_rng(1)
    once = draw(rng, 12)
    alone, repeated = expected_sqnr([1.0] * 12, once), expected_sqnr([1.0] * 48, [x for x in once for _ in range(4)])
    assert alone is not None
    assert repeated is not None
    width, repeated_width = alone.high_db - alone.low_db, repeated.high_db - repeated.low_db
    assert 0.6 * width < repeated_width  # 48 images that differ would halve it


def test_rare_noisy_images_are_expected_even_where_none_was_seen():
    noises = [10 ** (-level / 10) for level in (17, 19, 21, 23, 25, 27)]
    found = expected_sqnr([1.0] * 6, noises)
    assert found is not None
    pooled = -10 * math.log10(sum(noises) / 6)
    assert found.low_db < pooled - 2
    assert found.low_db < found.mean_db < found.high_db


def test_too_few_or_unusable_images_tell_nothing():
    assert expected_sqnr([1.0], [0.1]) is None
    assert expected_sqnr([0.0, 0.0], [0.1, 0.1]) is None
    assert expected_sqnr([1.0, 1.0], [math.nan, 0.1]) is None
    exact = expected_sqnr([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert exact is not None
    assert exact.low_db > 900
