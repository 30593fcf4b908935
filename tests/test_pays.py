"""Whether a smaller precision pays: paired calls against a clock that the calls themselves move."""

from __future__ import annotations

import pytest

from edgeeff.int8.pays import latency_ratios, verdict


class Clock:
    """Time passes where something is called."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def taking(self, seconds: float):
        def call() -> None:
            self.now_s += seconds

        return call


def test_each_pair_gives_the_ratio_of_its_calls():
    clock = Clock()
    ratios = latency_ratios(clock.taking(0.015), clock.taking(0.010), clock)
    assert ratios == pytest.approx([1.5] * 15)


def test_a_slow_network_is_called_no_oftener_than_the_interval_needs():
    clock = Clock()
    assert len(latency_ratios(clock.taking(2.0), clock.taking(4.0), clock)) == 6


def test_slower_than_float_is_said_only_where_it_is_sure():
    text, is_slower = verdict("int8", [1.3, 1.4, 1.35, 1.4, 1.37, 1.38])
    assert is_slower
    assert text.startswith("int8 does not pay on this machine: 1.38 [1.32, 1.40] times the latency of fp32 here")
    assert "int8-weights" in text
    assert verdict("int8", [0.9, 1.4, 0.95, 1.1, 1.2, 1.0]) == (
        "1.10 [0.92, 1.33] times the latency of fp32 here (1 thread, 6 pairs of calls)",
        False,
    )
