"""MnasNet's loop: a study that goes on after a kill, on other machines too, and what counts as one of its trials."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from edgeeff.errors import DeviceError, MeasurementError, UsageError
from edgeeff.objective import HARD, SOFT
from edgeeff.search import loop, study
from edgeeff.search.loop import Cost, Outcome, Work
from edgeeff.search.networks import Description
from edgeeff.search.space import Chooser, Dice, Skeleton, propose

TERMS: dict[str, Any] = {"target_ms": 1.0, "epochs": 1}


def proposed(chooser: Chooser, name: str = "found") -> Description:
    return propose(chooser, Skeleton(), name=name, resolution=32, width=0.25, classes=10)


def surrogate(target_s: float = 1e-3) -> Work:
    """A world in which kernels of 5 and excitation are worth having, and every layer costs."""

    def latency(network: Description) -> Cost:
        return Cost(1e-4 * sum(b.layers * b.expansion * b.kernel * b.channels / 64 for b in network.blocks), "estimate")

    def accuracy(network: Description) -> float:
        gains = sum(0.01 * (b.kernel == 5) + 0.03 * b.excited + 0.01 * b.skips for b in network.blocks)
        return 0.5 + gains + 0.002 * sum(b.layers for b in network.blocks)

    return Work(lambda chooser, name: proposed(chooser, name), latency, accuracy, target_s, SOFT)


def opened(folder: Path, name: str = "s", sampler: str = "tpe", seed: int = 0, **terms: Any) -> Any:
    return study.open_study(name, f"sqlite:///{folder / 's.sqlite'}", TERMS | terms, sampler=sampler, seed=seed)


def in_memory() -> Any:
    return optuna.create_study(sampler=study.controller("tpe", 0), study_name="s", direction="maximize")


def test_a_search_in_which_nothing_works_ends() -> None:
    def never(network: Description) -> Cost:
        raise UsageError("the latency model has seen no sigmoid")

    seen = []
    with pytest.raises(MeasurementError, match="10 networks in a row failed, the last one for: the latency model has"):
        for outcome in loop.run(in_memory(), replace(surrogate(), latency=never), 2):
            seen.append(outcome)
    assert [outcome.error for outcome in seen] == ["the latency model has seen no sigmoid"] * 10


def test_a_study_goes_on_where_it_was(tmp_path: Path) -> None:
    first = list(loop.run(opened(tmp_path), surrogate(), 3))
    more = list(loop.run(opened(tmp_path), surrogate(), 5))
    assert [outcome.number for outcome in loop.ended(opened(tmp_path))] == [0, 1, 2, 3, 4]
    assert (len(first), len(more)) == (3, 2)
    assert list(loop.run(opened(tmp_path), surrogate(), 5)) == []


@pytest.mark.parametrize(("terms", "said"), [
    ({"target_ms": 2.0}, r"target_ms 1\.0, now 2\.0"), ({"epochs": 3}, "epochs 1, now 3"),
])  # fmt: skip
def test_other_terms_are_refused(tmp_path: Path, terms: dict[str, Any], said: str) -> None:
    opened(tmp_path)
    with pytest.raises(UsageError, match=said):
        opened(tmp_path, **terms)


def test_a_study_of_another_version_or_of_others_is_refused(tmp_path: Path) -> None:
    made = opened(tmp_path)
    made.set_user_attr("edgeeff:terms", {"schema": 99, **TERMS})
    with pytest.raises(UsageError, match="of another version of edgeeff: its schema is 99"):
        opened(tmp_path)
    foreign = optuna.create_study(study_name="theirs", storage=f"sqlite:///{tmp_path / 's.sqlite'}")
    foreign.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(UsageError, match="was not made by edgeeff"):
        opened(tmp_path, "theirs")


def test_a_storage_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a database's URL"):
        study.open_study("s", "nonsense", TERMS, sampler="tpe", seed=0)
    with pytest.raises(UsageError, match="mysql is not supported"):
        study.open_study("s", "mysql://host/x", TERMS, sampler="tpe", seed=0)
    (tmp_path / "s.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(UsageError, match="the study's storage cannot be used: file is not a database"):
        opened(tmp_path)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from test_search import opened, surrogate
from dataclasses import replace
from pathlib import Path
from edgeeff.search import loop
def hang(network):
    print("there", flush=True)
    time.sleep(100_000)
for outcome in loop.run(opened(Path({folder!r})), replace(surrogate(), accuracy=hang), 5):
    pass
"""


def test_a_killed_trial_is_tried_again(tmp_path: Path) -> None:
    list(loop.run(opened(tmp_path), surrogate(), 2))
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    made = opened(tmp_path)
    lost = made.get_trials(deepcopy=False)[2]
    assert lost.state.name == "FAIL"
    next(loop.run(made, surrogate(), 3))
    assert made.get_trials(deepcopy=False)[3].params == lost.params


SHARED = """
import sys
sys.path.insert(0, {tests!r})
from test_search import TERMS, surrogate
from edgeeff.search import loop, study
for outcome in loop.run(study.open_study("s", {url!r}, TERMS, sampler="tpe", seed=0), surrogate(), 10):
    pass
"""


def test_several_machines_share_a_study_in_postgresql(postgres: str) -> None:
    code = SHARED.format(tests=str(Path(__file__).parent), url=postgres)
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        error = process.communicate(timeout=900)[1]
        assert process.returncode == 0, error.decode()
    found = study.open_study("s", postgres, TERMS, sampler="tpe", seed=0).get_trials(deepcopy=False)
    assert [trial.number for trial in found] == list(range(len(found)))
    assert len(found) in (10, 11)  # each may begin the last one
    first = found[:10]  # the controller's own; the eleventh's choice is of those that had ended by then
    assert {trial.state.name for trial in first} == {"COMPLETE"}
    assert len({json.dumps(trial.params) for trial in first}) == 10
    with pytest.raises(UsageError, match="epochs 1, now 2"):
        study.open_study("s", postgres, TERMS | {"epochs": 2}, sampler="tpe", seed=0)


def test_a_lost_device_ends_the_search_and_its_network_comes_again(tmp_path: Path) -> None:
    def lost(network: Description) -> Cost:
        raise DeviceError("the phone is gone")

    with pytest.raises(DeviceError, match="gone"):
        list(loop.run(opened(tmp_path), replace(surrogate(), latency=lost), 2))
    list(loop.run(opened(tmp_path), surrogate(), 2))
    first, again, _ = opened(tmp_path).get_trials(deepcopy=False)
    assert (first.state.name, again.state.name) == ("FAIL", "COMPLETE")
    assert first.params == again.params


def test_a_network_that_fails_costs_its_trial_alone(tmp_path: Path) -> None:
    seen: list[str] = []

    def sometimes(network: Description) -> float:
        seen.append(network.name)
        if len(seen) == 1:
            raise UsageError("the training diverged in epoch 1")
        return 0.5

    outcomes = list(loop.run(opened(tmp_path), replace(surrogate(), accuracy=sometimes), 2))
    assert [outcome.error for outcome in outcomes] == ["the training diverged in epoch 1", None, None]


def test_a_network_that_was_tried_is_not_trained_again_and_not_counted(tmp_path: Path) -> None:
    trained: list[str] = []
    numbers = iter([3, 3, 3, 4])
    work = replace(
        surrogate(),
        propose=lambda chooser, name: _asked(chooser, proposed(Dice(next(numbers))), name),
        accuracy=lambda network: trained.append(network.name) or 0.5,  # type: ignore[func-returns-value]
    )
    outcomes = list(loop.run(opened(tmp_path), work, 2))
    assert [outcome.repeated for outcome in outcomes] == [False, True, True, False]
    assert trained == ["s-0", "s-3"]
    assert len({outcome.reward for outcome in outcomes[:3]}) == 1
    assert [outcome.number for outcome in loop.ended(opened(tmp_path))] == [0, 1, 2, 3]


def test_a_space_with_nothing_new_ends_the_search() -> None:
    work = replace(surrogate(), propose=lambda chooser, name: _asked(chooser, proposed(Dice(3)), name))
    assert loop.fresh(loop.run(in_memory(), work, 2)) == 1


def test_a_network_too_slow_to_win_is_not_trained() -> None:
    latencies = iter([1.0, 2.5, 1.9, 2.5])
    numbers = iter([1, 2, 3, 2])
    trained: list[str] = []
    work = Work(
        lambda chooser, name: _asked(chooser, proposed(Dice(next(numbers))), name),
        lambda network: Cost(next(latencies), "measured"),
        lambda network: trained.append(network.name) or 0.5,  # type: ignore[func-returns-value]
        1.0,
        HARD,
    )
    made = in_memory()
    outcomes = list(loop.run(made, work, 3))
    # With 0.5 within T, one that takes 2.5 T could reach 1 / 2.5 at the most, and one of 1.9 T still 1 / 1.9.
    assert [outcome.pruned for outcome in outcomes] == [False, True, False]
    assert trained == ["s-0", "s-2"]
    assert [outcome.reward for outcome in loop.ended(made)] == [0.5, None, pytest.approx(0.5 / 1.9)]
    assert loop.best(loop.ended(made)).number == 0
    again = next(loop.run(made, work, 4))
    assert (again.pruned, again.repeated) == (True, True)


def _asked(chooser: Chooser, network: Description, name: str) -> Description:
    proposed(chooser)
    return replace(network, name=name)


def test_the_best_is_the_highest_reward_and_the_faster_of_equals() -> None:
    network = proposed(Dice(1))
    slow, fast = (Outcome(i, network, Cost(s, "measured"), 0.5, 0.4) for i, s in enumerate((2e-3, 1e-3)))
    assert loop.best([slow, fast, replace(slow, reward=0.3)]) is fast
    with pytest.raises(MeasurementError, match="no network could be timed"):
        loop.best([])
