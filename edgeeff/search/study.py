"""The study: Optuna's, in a storage that several machines may share, with what makes its trials comparable.

Two runs of one study must agree on everything that a reward depends on; that is kept beside the study and compared.
A trial whose process died is failed and its network is tried again.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError, UsageError
from edgeeff.wording import first_line

if TYPE_CHECKING:
    import optuna

SCHEMA = 3
"""1 (2026-11); 2 (2026-11): the terms name the blocks and the depth of the space; 3 (2026-11): and whether images are
mirrored, and trials that could not win are pruned."""
ATTEMPTS = 5
_TERMS, _OWNER = "edgeeff:terms", "edgeeff:owner"


def open_study(name: str, storage: str, terms: Mapping[str, Any], *, sampler: str, seed: int) -> optuna.Study:
    """Opens a study, or makes it.

    Args:
        storage: SQLAlchemy's URL; "sqlite:///PATH" or "postgresql+psycopg://...".
        terms: what all trials of the study share: the images, the device, T, w, epochs ...

    Raises:
        MissingExtraError: Optuna or the database's driver is not installed.
        UsageError: the storage cannot be used, or the study was made under other terms.
    """
    try:
        import optuna
        import sqlalchemy
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "search", "edgeeff search") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        backend = sqlalchemy.make_url(storage).get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise UsageError(f"--storage: {backend} is not supported", "say sqlite:///PATH or postgresql+psycopg://...")
        _make_folder(storage)
        engine = {"connect_args": {"timeout": 60}} if storage.startswith("sqlite") else {}
        place = _storage(storage, engine)
        study = optuna.create_study(study_name=name, storage=place, direction="maximize", load_if_exists=True)
    except sqlalchemy.exc.ArgumentError as error:
        raise UsageError(f"--storage {storage!r} is not a database's URL", "say sqlite:///search.sqlite") from error
    except ImportError as error:  # Optuna's own, for a driver that is missing
        raise MissingExtraError("psycopg", "postgres", "a study in PostgreSQL") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise UsageError(f"the study's storage cannot be used: {reason}", "check --storage") from error
    _agree(study, terms)
    _fail_orphans(study)
    study.sampler = controller(sampler, seed)
    return study


def _storage(url: str, engine: Mapping[str, Any]) -> optuna.storages.RDBStorage:
    """The storage. Two runs that start at once both make its tables, and the second finds them there."""
    import optuna
    import sqlalchemy

    for _ in range(ATTEMPTS):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(engine))
        except sqlalchemy.exc.SQLAlchemyError as error:
            if "already exists" not in str(error):
                raise
            time.sleep(1)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(engine))


def controller(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The controller, whose chance in each trial is of the seed and the trial's number.

    So machines that start at once do not propose the same networks, and a study that goes on does not repeat itself.
    """
    import numpy as np
    import optuna

    def of(number: int) -> optuna.samplers.BaseSampler:
        mixed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])  # a sum would meet another seed's
        if name == "random":
            return optuna.samplers.RandomSampler(seed=mixed)
        # Networks of several machines that run at once are kept apart by assuming the worst of those unfinished.
        return optuna.samplers.TPESampler(seed=mixed, n_startup_trials=10, multivariate=True, constant_liar=True)

    class Controller(optuna.samplers.BaseSampler):
        def before_trial(self, study: Any, trial: Any) -> None:
            self._sampler = of(trial.number)

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return self._sampler.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return self._sampler.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    return Controller()


def _make_folder(storage: str) -> None:
    if storage.startswith("sqlite:///"):
        Path(storage.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)


def _agree(study: optuna.Study, terms: Mapping[str, Any]) -> None:
    """Writes the terms into a new study; compares them with those of an old one."""
    wanted = {"schema": SCHEMA, **terms}
    # In this order: another machine that starts at this moment writes its terms, and then its first trial.
    trials = study.get_trials(deepcopy=False)
    known = study.user_attrs.get(_TERMS)
    if known is None:
        if trials:
            raise UsageError(f"the study {study.study_name!r} was not made by edgeeff", "name another with --study")
        study.set_user_attr(_TERMS, wanted)
        return
    if known.get("schema") != SCHEMA:
        raise UsageError(
            f"the study {study.study_name!r} is of another version of edgeeff: its schema is {known.get('schema')}, "
            f"this one's is {SCHEMA}",
            "name another with --study",
        )
    different = [f"{key} {known.get(key)!r}, now {wanted[key]!r}" for key in wanted if known.get(key) != wanted[key]]
    if different:
        raise UsageError(
            f"the study {study.study_name!r} was made with other terms: {'; '.join(different)}",
            "rewards would not compare: say the same again, or name another study with --study",
        )


def claim(trial: optuna.Trial) -> None:
    """Notes whose trial it is, so that another run on this machine can tell whether its process is alive."""
    trial.set_user_attr(_OWNER, [socket.gethostname(), os.getpid()])


def _fail_orphans(study: optuna.Study) -> None:
    """Fails the trials of this machine whose process is gone, and has their networks tried again."""
    import optuna

    running = (optuna.trial.TrialState.RUNNING,)
    for trial in study.get_trials(deepcopy=False, states=running):
        host, process = trial.user_attrs.get(_OWNER, (None, None))
        if host == socket.gethostname() and not _alive(process):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)
            again(study, trial.params)


def again(study: optuna.Study, parameters: Mapping[str, Any]) -> None:
    """Has a network proposed once more, before any new one."""
    if parameters:
        study.enqueue_trial(dict(parameters), skip_if_exists=False)


def _alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
