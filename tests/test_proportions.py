"""Intervals of proportions against published figures, and what must hold of any."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff.proportions import Pair, Share

counts = st.integers(0, 400)


@pytest.mark.parametrize(
    ("share", "interval"),
    [  # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
        (Share(81, 263), (0.2553, 0.3662)),
        (Share(15, 148), (0.0624, 0.1605)),
        (Share(0, 20), (0.0, 0.1611)),
        (Share(1, 29), (0.0061, 0.1718)),
    ],
)
def test_wilson_is_as_published(share: Share, interval: tuple[float, float]) -> None:
    assert share.interval == pytest.approx(interval, abs=6e-5)


@pytest.mark.parametrize(
    ("pair", "interval"),
    [  # Newcombe 1998, "Improved confidence intervals ... based on paired data", method 10
        (Pair(36, 12, 2, 0), (0.0569, 0.3404)),
        (Pair(54, 0, 0, 0), (-0.0664, 0.0664)),
    ],
)
def test_paired_difference_is_as_published(pair: Pair, interval: tuple[float, float]) -> None:
    assert pair.interval == pytest.approx(interval, abs=6e-5)


@given(counts, counts, counts, counts)
def test_intervals_enclose_their_estimate_and_mirror(a: int, b: int, c: int, d: int) -> None:
    pair = Pair(a, b, c, d)
    if not pair.total:
        return
    low, high = pair.interval
    assert -1 <= low <= pair.difference <= high <= 1
    mirrored = Pair(a, c, b, d).interval
    assert mirrored == pytest.approx((-high, -low))
    for share in (pair.first, pair.second):
        assert 0 <= share.interval[0] <= share.value <= share.interval[1] <= 1
    assert 0 < pair.p_value <= 1


def test_pairing_narrows_the_interval() -> None:
    """Two files that agree on nearly every image: 2000 images tell half a point apart."""
    low, high = Pair(1500, 1, 11, 488).interval
    assert -0.01 < low < high < 0
    assert Pair(1500, 1, 11, 488).p_value == pytest.approx(2 * (1 + 12) / 2**12)


def test_mcnemar_of_thousands_is_finite() -> None:
    assert Pair(0, 3000, 3000, 0).p_value == 1.0
    assert Pair(0, 2800, 3200, 0).p_value == pytest.approx(2.57e-7, rel=0.02)
