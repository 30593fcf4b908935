"""What the controller of a search gains over chance, in a landscape of real trainings.

golden/search-digits.csv holds networks of four blocks, each trained for 5 epochs on scikit-learn's 1797 digits, with
the top-1 on the images held out and the estimated latency: the trials of `python -m
edgeeff.benchmarks.against.search`. To train some hundred networks again takes minutes, so the figures of the others
are those of an additive model of the blocks' properties that is fitted to them.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from edgeeff.objective import HARD
from edgeeff.search import loop, study
from edgeeff.search.loop import Cost, Work
from edgeeff.search.networks import Description, short
from edgeeff.search.space import Skeleton, propose

TRIALS, SEEDS = 60, 6
TARGET_MS = 0.0045
RIDGE = 0.5


def properties(blocks: str) -> set[str]:
    """ "MB3 k5 c24 x1, ..." -> "0 MB3", "0 k5" ..."""
    return {f"{index} {word}" for index, block in enumerate(blocks.split(", ")) for word in block.split()}


class Landscape:
    """Latency (log ms) and top-1 (a fraction) of a network as sums over the properties of its blocks."""

    def __init__(self, blocks: list[str], values: NDArray[np.float64]) -> None:
        self._places = {name: i for i, name in enumerate(sorted(set().union(*map(properties, blocks))))}
        rows = np.array([self._row(text) for text in blocks])
        self._effects = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ values)

    def _row(self, blocks: str) -> NDArray[np.float64]:
        row = np.zeros(len(self._places) + 1)
        row[[self._places[name] for name in properties(blocks) if name in self._places] + [-1]] = 1.0
        return row

    def at(self, blocks: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self._row(blocks) @ self._effects
        return values


@pytest.fixture(scope="module")
def trained() -> tuple[list[str], NDArray[np.float64]]:
    with (Path(__file__).parent / "golden" / "search-digits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = [(np.log(float(row["latency_ms"])), float(row["top1_percent"]) / 100) for row in rows]
    return [row["network"] for row in rows], np.array(values)


def test_the_landscape_is_that_of_the_trainings(trained: tuple[list[str], NDArray[np.float64]]) -> None:
    """Each fifth is predicted from the others: most of what tells the networks apart is in their properties."""
    blocks, values = trained
    errors = np.empty_like(values)
    for part in range(5):
        others = [i for i in range(len(blocks)) if i % 5 != part]
        made = Landscape([blocks[i] for i in others], values[others])
        for i in range(part, len(blocks), 5):
            errors[i] = values[i] - made.at(blocks[i])
    explained = 1 - errors.var(axis=0) / values.var(axis=0)
    assert explained[0] > 0.7
    assert explained[1] > 0.6


def best_of(sampler: str, seed: int, land: Landscape) -> float:
    """The best reward of a search."""
    skeleton = Skeleton().part(4, 0.5)

    def network(chooser: optuna.Trial, name: str) -> Description:
        return propose(chooser, skeleton, name=name, resolution=16, width=0.5, classes=10)

    work = Work(
        network,
        latency=lambda network: Cost(float(np.exp(land.at(short(network.blocks))[0])) / 1e3, "estimate"),
        accuracy=lambda network: float(np.clip(land.at(short(network.blocks))[1], 0.01, 1.0)),
        target_s=TARGET_MS / 1e3,
        exponents=HARD,
    )
    made = optuna.create_study(sampler=study.controller(sampler, seed), direction="maximize")
    return loop.best(list(loop.run(made, work, TRIALS))).reward or 0.0


def test_the_controller_beats_chance_with_the_same_budget(trained: tuple[list[str], NDArray[np.float64]]) -> None:
    land = Landscape(*trained)
    pairs = [(best_of("tpe", seed, land), best_of("random", seed, land)) for seed in range(SEEDS)]
    assert sum(tpe > chance for tpe, chance in pairs) >= SEEDS - 1
    assert np.mean([tpe - chance for tpe, chance in pairs]) > 0.03
