"""Compound scaling: the paper's equations, its rounding, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeeff import registry
from edgeeff.errors import UsageError
from edgeeff.protocols import ModelFamily
from edgeeff.scaling import compound as scaling
from edgeeff.scaling.compound import Scaling, compound, round_channels, round_repeats, round_resolution

B = registry.families()["efficientnet"]
LITE = registry.families()["efficientnet_lite"]
B0 = B.variants["b0"]


def test_the_bases_double_the_cost_for_each_step_of_phi() -> None:
    """Tan & Le 2019, equation 3: alpha * beta^2 * gamma^2 is about 2."""
    cost = scaling.ALPHA * scaling.BETA**2 * scaling.GAMMA**2
    assert cost == pytest.approx(1.920, abs=1e-3)


def test_compound_scales_all_three_together() -> None:
    made = compound(B0, 2.0)
    assert (made.depth, made.width) == pytest.approx((1.44, 1.21))
    assert made.resolution == 296  # 224 * 1.3225 = 296.24
    other = compound(B0, 1.0, alpha=1.4, beta=1.0, gamma=1.0)
    assert other == Scaling(1.0, 1.4, 224)


def test_phi_starts_from_the_variant_that_is_given() -> None:
    b1 = B.variants["b1"]
    assert compound(b1, 0.0) == Scaling(b1.width, b1.depth, b1.resolution)


def test_the_macs_grow_as_the_paper_says() -> None:
    made = compound(B0, 3.0)
    variant = B.scaled(B0, width=made.width, depth=made.depth, resolution=made.resolution)
    assert variant.macs is not None
    assert B0.macs is not None
    # Rounding channels and repeats up costs up to a third more than 1.92^3.
    assert 1.92**3 * 0.95 < variant.macs / B0.macs < 1.92**3 * 1.35


@pytest.mark.parametrize(
    ("channels", "width", "rounded"),
    # From the reference builder: B1 to B7's stems, and the case in which 90 % decides (19.2 -> 16 -> 24).
    [(32, 1.0, 32), (32, 1.1, 32), (32, 1.2, 40), (32, 1.4, 48), (32, 2.0, 64), (16, 1.2, 24), (1280, 1.1, 1408)],
)
def test_channels_round_as_in_the_reference(channels: int, width: float, rounded: int) -> None:
    assert round_channels(channels, width) == rounded


@given(st.integers(1, 4000), st.floats(0.01, 10))
def test_channels_are_multiples_of_8_and_keep_nine_tenths(channels: int, width: float) -> None:
    rounded = round_channels(channels, width)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * channels * width)
    assert rounded <= max(8, channels * width + 12)


@pytest.mark.parametrize(("repeats", "depth", "rounded"), [(3, 1.0, 3), (3, 1.1, 4), (4, 2.6, 11), (1, 0.1, 1)])
def test_repeats_round_up(repeats: int, depth: float, rounded: int) -> None:
    assert round_repeats(repeats, depth) == rounded


@given(st.floats(32, 5000))
def test_resolution_is_the_nearest_multiple_of_8(wanted: float) -> None:
    rounded = round_resolution(wanted)
    assert rounded % 8 == 0
    assert abs(rounded - wanted) <= 4


@pytest.mark.parametrize("family", [B, LITE])
def test_the_coefficients_of_a_published_member_give_that_member(family: ModelFamily) -> None:
    for member in family.variants.values():
        made = family.scaled(
            family.variants[next(iter(family.variants))],
            width=member.width,
            depth=member.depth,
            resolution=member.resolution,
        )
        assert made is member


def test_another_scaling_has_a_name_of_its_own_and_claims_no_accuracy() -> None:
    made = B.scaled(B.variants["b2"], width=1.1, depth=1.2, resolution=240)
    assert made.name == "b0-w1.1-d1.2-r240"
    assert made.published is None
    assert made.parameters == B.variants["b2"].parameters  # the resolution has no part in it
    assert B.variants["b2"].macs is not None
    assert made.macs is not None
    assert made.macs < B.variants["b2"].macs


@pytest.mark.parametrize("phi", [math.nan, math.inf, -math.inf, 1e6, 300.0])
def test_an_impossible_phi_is_refused(phi: float) -> None:
    with pytest.raises(UsageError):
        compound(B0, phi)


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [0.0, -1.2, math.nan, math.inf])
def test_a_base_that_is_not_positive_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{name}"):
        compound(B0, 1.0, **{name: value})


@pytest.mark.parametrize(
    ("width", "depth", "resolution", "message"),
    [
        (0.0, 1.0, 224, "--width 0"),
        (-1.0, 1.0, 224, "--width -1"),
        (math.nan, 1.0, 224, "--width nan"),
        (1.0, math.inf, 224, "--depth inf"),
        (1.0, 1e9, 224, "--depth 1e"),
        (1.0, 1.0, 0, "--resolution 0"),
        (1.0, 1.0, 10**9, "--resolution 1000000000"),
        (50.0, 10.0, 224, "weights take .* GB"),
        (4.0, 1.0, 6000, "activations of one layer take .* GB"),
    ],
)
def test_what_cannot_be_built_is_refused_before_it_is(
    width: float, depth: float, resolution: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        B.scaled(B0, width=width, depth=depth, resolution=resolution)


@given(st.floats(0.05, 3), st.floats(0.05, 4), st.integers(32, 700))
def test_every_scaling_within_bounds_is_counted(width: float, depth: float, resolution: int) -> None:
    made = LITE.scaled(LITE.variants["lite0"], width=width, depth=depth, resolution=resolution)
    assert made.parameters is not None
    assert made.macs is not None
    assert made.parameters > 0
    assert made.macs > 0
