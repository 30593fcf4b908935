"""The largest phi that fits: against trying every step, with rounding that makes memory fall as phi grows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from edgeeff import registry
from edgeeff.cli import cli
from edgeeff.errors import UsageError
from edgeeff.report.scale_table import implied_phi, stages
from edgeeff.scaling.solve import Bases, Ladder, Limits, Scaled, largest, scaled
from edgeeff.scaling.solve_in_time import Timed, best_in_time, estimated_then_measured, largest_in_time

FAMILIES = registry.families()
B = FAMILIES["efficientnet"]
B0 = B.variants["b0"]


def ladder(
    family: str, name: str, *, precision: str = "fp32", step: float = 0.25, bases: Bases | None = None
) -> Ladder:
    found = FAMILIES[family]
    return Ladder(found.variants[name], found, bases or Bases(), precision, step)


def every_step(steps: Ladder, limits: Limits) -> float | None:
    """The same by trying all that can be built."""
    fits = [
        made.phi
        for index in range(steps.lowest, math.ceil(6 / steps.step))
        if isinstance(made := steps.at(index), Scaled) and not made.excess(limits)
    ]
    return max(fits, default=None)


@pytest.mark.parametrize(
    ("family", "name", "limits", "bases"),
    [
        ("efficientnet", "b0", Limits(macs=10**9), None),
        ("efficientnet", "b0", Limits(memory_bytes=8 * 10**6), None),
        ("efficientnet", "b0", Limits(memory_bytes=8 * 10**6, precision="int8-weights"), None),
        ("efficientnet", "b0", Limits(macs=2 * 10**9, memory_bytes=15 * 10**6, precision="int8"), None),
        ("efficientnet", "b0", Limits(macs=10**9), Bases(2.0, 1.0, 1.0)),
        ("efficientnet_lite", "lite0", Limits(macs=10**8, memory_bytes=10**8), None),
        ("mobilenetv2", "mobilenetv2", Limits(memory_bytes=3 * 10**6, precision="int8-weights"), None),
        ("mobilenetv3", "mobilenetv3-small", Limits(memory_bytes=2 * 10**6, precision="int8-weights"), None),
        ("resnet", "resnet50", Limits(macs=8 * 10**9, precision="fp16"), None),
        ("shufflenetv2", "shufflenetv2", Limits(memory_bytes=8 * 10**6), Bases(1.0, 1.3, 1.0)),
        ("squeezenet", "squeezenet", Limits(macs=10**8), None),
    ],
)
def test_the_answer_is_the_largest_of_all_steps(family: str, name: str, limits: Limits, bases: Bases | None) -> None:
    steps = ladder(family, name, precision=limits.precision, bases=bases)
    found = largest(steps, limits)
    assert found.best.phi == every_step(steps, limits)
    assert not found.best.excess(limits)
    assert found.next_phi == pytest.approx(found.best.phi + 0.25)
    assert found.limited_by


def test_memory_falls_somewhere_as_phi_grows() -> None:
    """Why the answer cannot be found by halving alone: a larger phi may take less, and then counts."""
    steps = ladder("mobilenetv3", "mobilenetv3-small", precision="int8-weights", step=0.02)
    before, after = steps.at(-213), steps.at(-212)  # a weight grows beyond what stays in float
    assert isinstance(before, Scaled)
    assert isinstance(after, Scaled)
    assert before.memory_bytes > after.memory_bytes
    found = largest(steps, Limits(memory_bytes=after.memory_bytes, precision="int8-weights"))
    assert found.best.phi >= after.phi


def test_both_limits_hold_and_the_one_that_binds_is_named() -> None:
    steps = ladder("efficientnet", "b0", step=0.01)
    macs, memory = Limits(macs=10**9), Limits(memory_bytes=40 * 10**6)
    both = largest(steps, Limits(macs=10**9, memory_bytes=40 * 10**6))
    assert both.best.phi == min(largest(steps, macs).best.phi, largest(steps, memory).best.phi)
    assert "memory, the target is 40 MB" in both.limited_by


def test_what_cannot_be_built_ends_the_search() -> None:
    found = largest(ladder("efficientnet", "b0", step=0.1), Limits(macs=10**16))
    assert found.best.phi == pytest.approx(12.6)
    assert "is too large: its weights take" in found.limited_by


def test_a_target_that_nothing_meets_says_by_how_much() -> None:
    with pytest.raises(UsageError, match=r"the smallest \(32 px\) has 558\.\d k multiply-adds, the target is 1 k, 559"):
        largest(ladder("efficientnet", "b0"), Limits(macs=1000))
    with pytest.raises(UsageError, match=r"B of memory, the target is 1 kB, 1,0\d\d times as much"):
        largest(ladder("efficientnet", "b0"), Limits(memory_bytes=1000))


@pytest.mark.parametrize("bases", [Bases(0.9, 1.2, 1.2), Bases(1.0, 1.0, 1.0)])
def test_bases_that_do_not_grow_are_refused(bases: Bases) -> None:
    with pytest.raises(UsageError, match="a larger phi is not a larger network"):
        largest(ladder("efficientnet", "b0", bases=bases), Limits(macs=10**9))


@pytest.mark.parametrize(
    ("phi", "message"), [(30.0, r"3\.8e\+11 parameters and 1\.2e\+17"), (13.0, "its weights take 2.4 GB")]
)
def test_a_phi_too_large_says_its_size(phi: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scaled(B0, B, phi, Bases(), "fp32")


@pytest.mark.parametrize("step", [0.0, -1.0, 1e-9, math.nan, 11.0])
def test_an_impossible_step_is_refused(step: float) -> None:
    with pytest.raises(UsageError, match="--step"):
        ladder("efficientnet", "b0", step=step)


def power_law(seconds: float, power: float, offset: float = 0.0) -> Any:
    """A device on which b0 takes so many seconds; the offset does not depend on the network."""
    return lambda made: Timed(made, offset + seconds * (made.macs / 385_814_752) ** power)


@pytest.mark.parametrize("target_s", [0.004, 0.05])
@pytest.mark.parametrize(("power", "offset"), [(1.0, 0.0), (0.7, 0.002), (1.2, 0.0)])
def test_few_measurements_find_the_largest_in_time(target_s: float, power: float, offset: float) -> None:
    steps = ladder("efficientnet", "b0", step=0.1)
    device = power_law(0.02, power, offset)
    timed = largest_in_time(steps, target_s, Limits(), device, most=12)
    best = best_in_time(timed, target_s)
    assert best is not None
    fits = [
        made.phi
        for index in range(-80, 30)
        if isinstance(made := steps.at(index), Scaled) and device(made).latency_s <= target_s
    ]
    assert best.scaled.phi == max(fits)
    assert len({t.scaled.phi for t in timed}) == len(timed) <= 9


def test_other_limits_bound_the_search_in_time() -> None:
    steps = ladder("efficientnet", "b0", step=0.1)
    limits = Limits(macs=500 * 10**6)
    timed = largest_in_time(steps, 1.0, limits, power_law(0.02, 1.0))
    best = best_in_time(timed, 1.0)
    assert best is not None
    assert best.scaled.phi == largest(steps, limits).best.phi


def test_estimates_lead_and_a_measurement_corrects_them() -> None:
    steps = ladder("efficientnet", "b0", step=0.1)
    device, model = power_law(0.024, 1.0), power_law(0.02, 1.0)  # the estimates are a fifth too low
    estimate = lambda made: replace(model(made), provenance="estimate")  # noqa: E731
    timed = estimated_then_measured(steps, 0.05, Limits(), estimate, device)
    best = best_in_time(timed, 0.05)
    assert best is not None
    assert best.provenance == "measured"
    assert best.scaled.phi == best_in_time(largest_in_time(steps, 0.05, Limits(), device), 0.05).scaled.phi  # type: ignore[union-attr]
    measured = [t for t in timed if not t.is_estimate]
    assert [t.latency_s <= 0.05 for t in measured] == [False, True]


def test_estimates_alone_answer_where_nothing_is_measured() -> None:
    steps = ladder("efficientnet", "b0", step=0.1)
    found = [replace(power_law(0.02, 1.0)(steps.at(i)), provenance="estimate") for i in (0, 5)]
    best = best_in_time(found, 0.03)
    assert best is not None
    assert (best.scaled.phi, best.is_estimate) == (0.0, True)


def test_nothing_in_time_is_none() -> None:
    steps = ladder("efficientnet", "b0", step=1.0)
    timed = largest_in_time(steps, 1e-9, Limits(), power_law(0.02, 1.0, 0.001), most=4)
    assert best_in_time(timed, 1e-9) is None
    assert len(timed) <= 4


def test_the_published_members_are_no_exact_powers() -> None:
    """B7 implies phi = 7.3 / 6.2 / 7.1 for width / depth / resolution."""
    phi = implied_phi(B0, B.variants["b7"], Bases())
    assert phi == pytest.approx({"width": 7.27, "depth": 6.21, "resolution": 7.05, "cost": 7.03}, abs=0.01)


def test_the_stages_show_what_was_rounded() -> None:
    shapes = {stage.name: stage for stage in stages(B.costs(B.variants["b3"]))}
    assert (shapes["stem"].channels, shapes["head"].channels) == (40, 1536)
    assert [shapes[f"blocks.{i}"].blocks for i in range(7)] == [2, 3, 3, 5, 5, 6, 2]
    assert [shapes[f"blocks.{i}"].channels for i in range(7)] == [24, 32, 48, 96, 136, 232, 384]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["scale", *arguments])


def test_json_has_what_scripts_read() -> None:
    result = run("--variant", "b0", "--target-macs", "1G", "--json")
    found = json.loads(result.stdout)
    assert found["phi"] == 1.06
    assert found["macs"] == 873_600_448
    assert found["resolution"] == 256
    assert {"phi", "width", "depth", "resolution", "macs", "parameters", "memory_bytes"} <= set(found)
    variant = B.scaled(B0, width=found["width"], depth=found["depth"], resolution=found["resolution"])
    assert (variant.macs, variant.parameters) == (found["macs"], found["parameters"])
    assert json.loads(run("--phi", "1.06", "--json").stdout)["macs"] == found["macs"]


def test_tables_show_the_published_members_beside_the_exact_powers() -> None:
    text = run().stdout
    assert "b7         3.1    2.0             600" in text
    assert "exact depth" in text
    solved = run("--target-memory", "8MB", "--precision", "int8").stdout
    assert "At phi 0.01: 10.49 MB of memory, the target is 8 MB" in solved
    assert "b7" in solved


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--phi", "3", "--target-macs", "1G"), "--phi 3 contradicts the target"),
        (("--phi", "3", "--target-ms", "20"), "leave out one of them"),
        (("--target-ms", "nan"), "it must be finite and above 0, not nan"),
        (("--target-macs", "1G", "--step", "0"), "--step 0 is not within"),
        (("--target-macs", "1G", "--predicted"), "--predicted goes with --target-ms"),
        (("--target-ms", "5", "--no-verify"), "--no-verify goes with --predicted"),
        (("--target-macs", "a lot"), "is not an amount such as 1G or 400M"),
        (("--variant", "resnet"), "did you mean resnet"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in f"{result.exception} {result.output}"


@pytest.mark.parametrize(
    ("text", "amount"), [("1G", 10**9), ("400M", 4 * 10**8), ("8MB", 8 * 10**6), ("512KiB", 2**19), ("1.5k", 1500)]
)
def test_amounts_have_units(text: str, amount: int) -> None:
    from edgeeff.cli._types import BYTES

    assert BYTES.convert(text, None, None) == amount
