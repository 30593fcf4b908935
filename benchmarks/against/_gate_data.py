"""Recorded launches, and checks drawn from them."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA = Path(__file__).with_name("data") / "latency.npz"
KINDS = ("quiet", "loaded")
WARM_UP_S = 0.25
Side = list[list[int]]
"""Launches, each with its samples in ns."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Launches of two files in turns: the median log-ratio of each, and how long it took."""

    log_ratios: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def value(self) -> float:
        """The Hodges-Lehmann estimate over all launches: the truth that resampled checks are held against."""
        x = self.log_ratios
        return statistics.median((a + b) / 2 for i, a in enumerate(x) for b in x[i:])


def paired(kind: str, other: str, clock: str = "cpu") -> Paired:
    """The recorded launches of `a` with `other` ("a" is the same file again).

    Args:
        clock: "cpu", by which one thread that never waits is timed, or "wall".
    """
    with np.load(DATA) as data:
        wall = data[f"{kind}_{other}"].astype(float)
        timed = wall if clock == "wall" else data[f"{kind}_{other}_cpu"].astype(float)
        startup = data[f"{kind}_{other}_startup_s"]
    ratios = np.median(np.log(timed[:, :, 1] / timed[:, :, 0]), axis=1)
    seconds = startup + WARM_UP_S + wall.sum(axis=(1, 2)) / 1e9
    return Paired(tuple(map(float, ratios)), tuple(map(float, seconds)))


def singles(kind: str) -> list[Side]:
    """Blocks of time, each with its launches of one file, each with its samples in ns."""
    with np.load(DATA) as data:
        samples, blocks = data[f"{kind}_single"], data[f"{kind}_single_block"]
    return [[list(map(int, launch)) for launch in samples[blocks == block]] for block in sorted(set(blocks))]


def launches(
    recorded: Paired, slowdown: float, rng: random.Random, *, same_file: bool
) -> Iterator[tuple[float, float]]:
    """Launches without end, drawn from the recorded ones: log-ratio and seconds.

    Args:
        slowdown: by which the candidate's samples are multiplied, 0.03 for 3 %.
        same_file: the two sides are interchangeable, so either may be the candidate.
    """
    added = math.log1p(slowdown)
    while True:
        number = rng.randrange(len(recorded.log_ratios))
        sign = rng.choice((-1, 1)) if same_file else 1
        yield sign * recorded.log_ratios[number] + added, recorded.seconds[number]


def two_sides(blocks: Sequence[Side], count: int, rng: random.Random) -> tuple[Side, Side]:
    """Launches of one file in one block of time, dealt at random to a baseline and a candidate."""
    able = [block for block in blocks if len(block) >= 2 * count]
    chosen = rng.sample(rng.choice(able), 2 * count)
    return chosen[:count], chosen[count:]
