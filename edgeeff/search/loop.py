"""The loop: propose, time, train, reward, until there are trials enough.

A network that is so slow that it could not win with an accuracy of 1 is not trained: its trial is pruned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeeff.errors import DeviceError, EdgeeffError, MeasurementError
from edgeeff.objective import Exponents, objective
from edgeeff.search import study as studies
from edgeeff.search.networks import Description
from edgeeff.search.space import Chooser

if TYPE_CHECKING:
    import optuna


FAILURES = 10
"""So many networks in a row that cannot be timed or trained are no accident."""
REPEATS = 100
"""So many proposals in a row that were tried before say that the space has hardly anything new."""


@dataclass(frozen=True, slots=True)
class Cost:
    """A network's latency, and whether it was "measured" or is an "estimate"."""

    latency_s: float
    provenance: str


@dataclass(frozen=True, slots=True)
class Work:
    """What a trial does.

    Args:
        propose: (chooser, name) -> a network.
        latency: of a network.
        accuracy: of a network: trains it and keeps what it has learnt, under the network's name.
    """

    propose: Callable[[Chooser, str], Description]
    latency: Callable[[Description], Cost]
    accuracy: Callable[[Description], float]
    target_s: float
    exponents: Exponents

    def reward(self, top1: float, cost: Cost) -> float:
        """ACC * (LAT / T)^w."""
        return objective(top1, cost.latency_s, self.target_s, self.exponents) if top1 > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that ended.

    Args:
        top1: None where it failed or was pruned.
        reward: None where it failed, for `error`, or was pruned.
        repeated: the network had been tried before, and its figures were taken over.
    """

    number: int
    network: Description
    cost: Cost | None
    top1: float | None
    reward: float | None
    error: str | None = None
    repeated: bool = False

    @property
    def pruned(self) -> bool:
        """Whether the network was timed, and not trained, as it could not win."""
        return self.cost is not None and self.reward is None


def run(study: optuna.Study, work: Work, trials: int) -> Iterator[Outcome]:
    """Runs trials until so many networks were rewarded or pruned.

    A network that comes again gets what it got the first time, which costs nothing and does not count; where hardly
    anything new comes, the search ends early. A network that cannot be timed or trained fails its trial; a lost device
    ends the search, and its network is tried first when the search goes on.

    Raises:
        DeviceError: the device was lost.
        MeasurementError: network after network fails.
    """
    import optuna

    failures = repeats = 0
    while fresh(before := ended(study)) < trials and repeats < REPEATS:
        trial = study.ask()
        studies.claim(trial)
        network = work.propose(trial, f"{study.study_name}-{trial.number}")
        trial.set_user_attr("network", _plain(network))
        try:
            outcome = _known(before, trial.number, network) or _measured(trial.number, network, work, before)
        except (DeviceError, KeyboardInterrupt):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            studies.again(study, trial.params)
            raise
        _record(study, trial, outcome)
        yield outcome
        failures = 0 if outcome.error is None else failures + 1
        repeats = repeats + 1 if outcome.repeated else 0
        if failures == FAILURES:
            raise MeasurementError(f"{FAILURES} networks in a row failed, the last one for: {outcome.error}")


def _measured(number: int, network: Description, work: Work, before: Sequence[Outcome]) -> Outcome:
    """Times, trains and rewards one network. The latency comes first: a network that cannot run is not trained."""
    try:
        cost = work.latency(network)
        if work.reward(1.0, cost) <= max((outcome.reward or 0.0 for outcome in before), default=0.0):
            return Outcome(number, network, cost, None, None)
        top1 = work.accuracy(network)
    except DeviceError:
        raise
    except EdgeeffError as error:
        return Outcome(number, network, None, None, None, error=error.message)
    return Outcome(number, network, cost, top1, work.reward(top1, cost))


def _known(before: Sequence[Outcome], number: int, network: Description) -> Outcome | None:
    """The outcome of the same network in an earlier trial: choices without effect make one network twice."""
    for outcome in before:
        if outcome.network.blocks == network.blocks:
            return replace(outcome, number=number, repeated=True)
    return None


def _record(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    import optuna

    trial.set_user_attr("network", _plain(outcome.network))
    if outcome.cost is None:
        trial.set_user_attr("error", outcome.error)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    trial.set_user_attr("cost", asdict(outcome.cost))
    trial.set_user_attr("top1", outcome.top1)
    trial.set_user_attr("repeated", outcome.repeated)
    if outcome.reward is None:
        trial.report(-outcome.cost.latency_s, 0)  # the slower, the worse, is all that the controller can learn from it
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, outcome.reward)


def _plain(network: Description) -> Any:
    """As JSON would give it back, whatever the storage."""
    return json.loads(json.dumps(asdict(network)))


def ended(study: optuna.Study) -> list[Outcome]:
    """The trials that were rewarded or pruned, in their order."""
    from optuna.trial import TrialState

    found = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [_outcome(trial) for trial in found]


def fresh(outcomes: Iterable[Outcome]) -> int:
    """How many networks were tried: what the budget counts."""
    return sum(not outcome.repeated for outcome in outcomes)


def _outcome(trial: Any) -> Outcome:
    from edgeeff.codec import decode

    attributes = trial.user_attrs
    return Outcome(
        trial.number,
        decode(Description, attributes["network"]),
        decode(Cost, attributes["cost"]),
        attributes["top1"],
        trial.value if trial.state.name == "COMPLETE" else None,  # Optuna gives what a pruned one reported last
        repeated=attributes.get("repeated", False),
    )


def best(outcomes: list[Outcome]) -> Outcome:
    """The highest reward; of those that tie, the fastest.

    Raises:
        MeasurementError: no trial ended well.
    """
    rewarded = [outcome for outcome in outcomes if outcome.reward is not None]
    if not rewarded:
        raise MeasurementError("no network could be timed and trained", "look at the errors above")
    return max(rewarded, key=lambda o: (o.reward or 0.0, -(o.cost.latency_s if o.cost else 0.0)))
