"""What tells a search the latency of its networks: the device, or a model of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgeeff import __version__, registry
from edgeeff.cli._shared import say
from edgeeff.cli._timing import run_alone
from edgeeff.errors import MeasurementError, UsageError

if TYPE_CHECKING:
    from edgeeff.prediction.latency_model import Stored
    from edgeeff.protocols import Device
    from edgeeff.search.loop import Cost
    from edgeeff.search.networks import Description
    from edgeeff.search.space import Chooser
    from edgeeff.store import Writer

PROBES, SECONDS_EACH = 28, 2.0
"""Networks of the space, by chance and beside its corners, that a latency model is fitted to; and their measuring."""

Propose = Callable[["Chooser", str], "Description"]


@contextmanager
def latency_of(propose: Propose, options: dict[str, Any], out: Path) -> Iterator[Callable[[Description], Cost]]:
    """What tells a network's latency: a measurement on the device, or a model's estimate."""
    from edgeeff.store import Writer
    from edgeeff.targets import resolve

    (target,) = resolve(options["device_name"], serial=options["serial"])
    with registry.transport(target.connected.transport).open(target) as device:
        if options["models"] is not None:
            yield _estimator(device, propose, options)
            return
        session = secrets.token_hex(4)
        with (
            Writer(out / "results", session, __version__) as writer,
            TemporaryDirectory(prefix="edgeeff-search-") as place,
        ):
            yield lambda network: _measure(network, device, writer, Path(place), session, options)


def _estimator(device: Device, propose: Propose, options: dict[str, Any]) -> Callable[[Description], Cost]:
    from edgeeff.measuring.cases import usual_runner
    from edgeeff.prediction import latency_model
    from edgeeff.search.loop import Cost

    runtime = usual_runner(options["format_name"], device.profile).name
    setting = latency_model.Setting(options["format_name"], "fp32", runtime, options["threads"])
    if latency_model.path_of(options["models"], device.name, setting).exists():
        stored = latency_model.load(options["models"], device.info(), setting)
        _require_space(stored, propose, options["models"])
    else:
        stored = _fit(device, setting, propose, options["models"])
    model = stored.model
    say(
        f"latencies are estimates, of a model fitted to {len(model.samples)} networks; left out, they were "
        f"{model.error * 100:.1f} % off in the middle and {model.worst * 100:.1f} % at the worst"
    )
    return lambda network: Cost(_estimate_s(network, stored), "estimate")


def _estimate_s(network: Description, stored: Stored) -> float:
    from edgeeff.prediction.latency_model import costs_without_graph
    from edgeeff.search.networks import family_of

    variant, family = family_of(network)
    return stored.model.predict(costs_without_graph(family.costs(variant, classes=network.classes))).latency_s


def _require_space(stored: Stored, propose: Propose, models: Path) -> None:
    """Refuses a model of other networks: it would refuse most of a search's, one by one."""
    from edgeeff.search.space import CORNERS

    try:
        for corner in CORNERS:
            _estimate_s(propose(corner, "corner"), stored)
    except UsageError as error:
        raise UsageError(
            f"the latency model in {models} is of other networks than this search's: {error.message}",
            "name a new folder with --predict: a model of this search's networks is fitted there",
        ) from error


def _fit(device: Device, setting: Any, propose: Propose, models: Path) -> Stored:
    """A model of the space: fitted to its corners, and to networks of it that chance chose."""
    from edgeeff.cli.predict import fit_networks
    from edgeeff.search.networks import family_of
    from edgeeff.search.space import CORNERS, Dice

    choosers: list[Chooser] = [*CORNERS, *map(Dice, range(PROBES))]
    proposed = [propose(chooser, f"probe-{index}") for index, chooser in enumerate(choosers)]
    networks, classes = [family_of(network) for network in proposed], proposed[0].classes
    (stored,) = fit_networks(device, [setting], networks, len(networks) * SECONDS_EACH, models, classes)
    return stored


def _measure(
    network: Description, device: Device, writer: Writer, place: Path, session: str, options: dict[str, Any]
) -> Cost:
    """Writes the network with random weights, which latency does not depend on, and times it on the device."""
    from edgeeff import stats
    from edgeeff.converters import trace
    from edgeeff.measuring.cases import Wanted, build_cases
    from edgeeff.measuring.harness import Policy
    from edgeeff.networks import from_variant
    from edgeeff.search.loop import Cost
    from edgeeff.search.networks import family_of
    from edgeeff.weights.sources import random as random_weights

    variant, family = family_of(network)
    weights = random_weights(variant, family, classes=network.classes, padding=None)
    graph = from_variant(variant, family, weights, trace).graph
    path = place / f"{network.name}.{options['format_name']}"
    registry.converter(options["format_name"]).write(graph, path, precision="fp32", metadata={})
    policy = Policy(options["seconds"])
    wanted = Wanted(f"{session}-{network.name}", threads=(options["threads"],), policy=policy)
    (case,) = build_cases([path], device, wanted)
    measured = run_alone(case, device, policy, writer)
    path.unlink()
    latency_s = stats.undisturbed_s(measured)
    if latency_s is None:
        raise MeasurementError(f"{network.name} could not be timed: {measured.launches[-1].error or 'no samples'}")
    return Cost(latency_s, "measured")
