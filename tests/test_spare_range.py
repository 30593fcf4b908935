"""Ranges hold more than was seen where rounding can spare it, as far as photos that were left out say."""

from __future__ import annotations

import numpy as np
import pytest

from edgeeff.converters._ranges import ranges, whole
from edgeeff.converters._slopes import Profile
from edgeeff.converters._spare_range import Room, best_room, ends, with_room
from edgeeff.graph import Graph, Node
from edgeeff.int8.quantization import HIGHEST, LOWEST
from edgeeff.ops import Unary

FREE = (-np.inf, np.inf)


def profile(sizes: list[float], slope: float) -> Profile:
    """A value that takes the given sizes, each once, with the same slope."""
    points = np.repeat(np.array(sizes, np.float64)[:, None], 2, axis=1) * [0.999, 1.0]
    ones = np.ones(len(sizes))
    return Profile(min(sizes), max(sizes), points, ones, ones * slope**2, ones * slope**2, False, 1.0)


def held(form) -> tuple[float, float]:
    return (LOWEST - form.zero_point) * form.scale, (HIGHEST - form.zero_point) * form.scale


SIZES = list(np.random.default_rng(0).uniform(-3, 5, 3000))
PROFILES = {"loud": profile(SIZES, 10.0), "quiet": profile(SIZES, 0.01)}


def test_only_a_value_whose_rounding_costs_nothing_gets_room():
    forms = ranges(PROFILES, whole)
    made = with_room(PROFILES, forms, Room(share=0.1), dict.fromkeys(PROFILES, FREE))
    assert made["loud"] == forms["loud"]
    low, high = held(made["quiet"])
    assert high == pytest.approx(2 * 5, rel=0.05)  # twice what was seen is the most
    assert low == pytest.approx(2 * -3, rel=0.05)


def test_the_noise_that_is_added_is_within_the_share():
    forms = ranges(PROFILES, whole)
    before = sum(PROFILES[name].noise(form) for name, form in forms.items())
    for share in (0.1, 0.3, 1.0):
        made = with_room(PROFILES, forms, Room(share=share), dict.fromkeys(PROFILES, FREE))
        assert sum(PROFILES[name].noise(form) for name, form in made.items()) <= before * (1 + share)


def test_no_room_where_no_image_can_bring_more():
    quiet = {"quiet": PROFILES["quiet"], "loud": PROFILES["loud"]}
    forms = ranges(quiet, whole)
    made = with_room(quiet, forms, Room(share=1.0), {"quiet": (-3.0, 5.0), "loud": FREE})
    assert held(made["quiet"]) == pytest.approx(held(forms["quiet"]), rel=0.02)


def test_the_ends_of_what_an_op_can_make():
    graph = Graph("net", {"x": (1, 3)}, (Node("act", Unary("silu"), ("x",)),), ("act",))
    assert ends(graph)["act"][0] == pytest.approx(-0.2785)
    assert ends(graph)["act"][1] == np.inf
    assert ends(graph)["x"] == FREE


def test_photos_that_are_left_out_decide():
    more = {"loud": PROFILES["loud"], "quiet": profile([*SIZES, 9.0], 1.0)}
    free = dict.fromkeys(PROFILES, FREE)

    def choose(profiles):
        return ranges(profiles, whole)

    alike = best_room([(PROFILES, PROFILES)], choose, PROFILES.keys(), free)
    assert alike.share == 0
    rarer = best_room([(PROFILES, more)], choose, PROFILES.keys(), free)
    assert rarer.share > 0
    assert best_room([(PROFILES, more)], choose, {"loud"}, free).share == 0  # what is not rounded does not count


def test_room_is_told_by_what_it_is():
    told = [str(Room(width=1.2)), str(Room(share=0.1)), str(Room(1.2, 0.3))]
    assert told == [
        "1.2 times as wide",
        "with 10 % more noise for room",
        "1.2 times as wide and with 30 % more noise for room",
    ]
