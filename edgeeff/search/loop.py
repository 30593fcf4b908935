"""The loop: propose, time, train, reward, until there are trials enough."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that ended.

    Args:
        reward: None where it failed, for `error`.
        repeated: the network had been tried before, and its figures were taken over.
    """

    number: int
    network: Description
    cost: Cost | None
    top1: float | None
    reward: float | None
    error: str | None = None
    repeated: bool = False


def run(study: optuna.Study, work: Work, trials: int) -> Iterator[Outcome]:
    """Runs trials until the study has so many that ended well.

    A network that cannot be timed or trained fails its trial; a lost device ends the search and its network is tried
    first when the search goes on.

    Raises:
        DeviceError: the device was lost.
        MeasurementError: network after network fails.
    """
    import optuna

    failures = 0
    while len(complete(study)) < trials:
        trial = study.ask()
        studies.claim(trial)
        network = work.propose(trial, f"{study.study_name}-{trial.number}")
        trial.set_user_attr("network", _plain(network))
        known = _known(study, network)
        try:
            outcome = known or _measured(trial.number, network, work)
        except (DeviceError, KeyboardInterrupt):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            studies.again(study, trial.params)
            raise
        _record(study, trial, outcome)
        yield outcome
        failures = 0 if outcome.error is None else failures + 1
        if failures == FAILURES:
            raise MeasurementError(f"{FAILURES} networks in a row failed, the last one for: {outcome.error}")


def _measured(number: int, network: Description, work: Work) -> Outcome:
    """Times, trains and rewards one network. The latency comes first: a network that cannot run is not trained."""
    try:
        cost = work.latency(network)
        top1 = work.accuracy(network)
    except DeviceError:
        raise
    except EdgeeffError as error:
        return Outcome(number, network, None, None, None, error=error.message)
    if top1 <= 0:
        return Outcome(number, network, cost, top1, 0.0)
    return Outcome(number, network, cost, top1, objective(top1, cost.latency_s, work.target_s, work.exponents))


def _known(study: optuna.Study, network: Description) -> Outcome | None:
    """The outcome of the same network in an earlier trial: choices without effect make one network twice."""
    for outcome in complete(study):
        if outcome.network.blocks == network.blocks:
            return Outcome(outcome.number, outcome.network, outcome.cost, outcome.top1, outcome.reward, repeated=True)
    return None


def _record(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    import optuna

    trial.set_user_attr("network", _plain(outcome.network))
    if outcome.reward is None or outcome.cost is None:
        trial.set_user_attr("error", outcome.error)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return
    trial.set_user_attr("cost", asdict(outcome.cost))
    trial.set_user_attr("top1", outcome.top1)
    trial.set_user_attr("repeated", outcome.repeated)
    study.tell(trial, outcome.reward)


def _plain(network: Description) -> Any:
    """As JSON would give it back, whatever the storage."""
    return json.loads(json.dumps(asdict(network)))


def complete(study: optuna.Study) -> list[Outcome]:
    """The trials that ended well, in their order."""
    import optuna

    found = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return [_outcome(trial) for trial in found]


def _outcome(trial: Any) -> Outcome:
    from edgeeff.codec import decode

    attributes = trial.user_attrs
    return Outcome(
        trial.number,
        decode(Description, attributes["network"]),
        decode(Cost, attributes["cost"]),
        attributes["top1"],
        trial.value,
        repeated=attributes.get("repeated", False),
    )


def best(outcomes: list[Outcome]) -> Outcome:
    """The highest reward; of those that tie, the fastest.

    Raises:
        MeasurementError: no trial ended well.
    """
    if not outcomes:
        raise MeasurementError("no network could be timed and trained", "look at the errors above")
    return max(outcomes, key=lambda o: (o.reward or 0.0, -(o.cost.latency_s if o.cost else 0.0)))
