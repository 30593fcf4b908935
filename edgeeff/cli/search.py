"""`edgeeff search`: a network for a device and the user's images, by MnasNet's loop."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from edgeeff import __version__, registry
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.errors import DeviceError, MeasurementError, UsageError

if TYPE_CHECKING:
    from edgeeff.protocols import Device
    from edgeeff.search.loop import Cost, Outcome, Work
    from edgeeff.search.networks import Description
    from edgeeff.store import Writer
    from edgeeff.training import ImageFolder


@click.command("search", short_help="Search a network for a device and your images.")
@click.option(
    "--train", "folder", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Images, a folder a class."
)
@click.option("--target-ms", type=float, required=True, help="T: the latency to aim at.")
@click.option("--w", "exponents", default="soft", show_default=True, help="soft (-0.07), hard (0,-1), or alpha,beta.")
@click.option("--trials", type=click.IntRange(1, 100_000), default=30, show_default=True, help="Of the whole study.")
@click.option("--epochs", type=click.IntRange(1, 1000), default=5, show_default=True, help="Of each training.")
@click.option("--batch", type=click.IntRange(2, 1024), default=32, show_default=True)
@click.option("--learning-rate", type=float, default=0.05, show_default=True)
@click.option("--resolution", type=click.IntRange(32, 1024), default=64, show_default=True, help="Pixels.")
@click.option("--width", type=float, default=0.5, show_default=True, help="Of MobileNetV2's channels.")
@click.option("--device", "device_name", default="host", show_default=True, help="As for edgeeff bench.")
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--format", "form", default="tflite", show_default=True, help="tflite or onnx.")
@click.option("--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="Of the runtime.")
@click.option("--seconds", type=float, default=8.0, show_default=True, help="Of measuring, for each network.")
@click.option("--predict", "models", type=click.Path(path_type=Path), metavar="DIR", help="Estimate by models of DIR.")
@click.option("--sampler", type=click.Choice(["tpe", "random"]), default="tpe", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option("--study", "name", default="search", show_default=True, help="Its name; the same name goes on with it.")
@click.option("--storage", help="Optuna's, a database's URL that machines may share. Default: SQLite in --out.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("search"), show_default=True, help="The folder.")
@json_option
def search(folder: Path, name: str, out: Path, as_json: bool, **options: Any) -> None:
    """Search a network: propose, measure on the device, train on your images, reward with ACC * (LAT / T)^w.

    The space is MnasNet's: seven blocks that each choose their op, kernel, squeeze-and-excitation, skip, width, layers
    and expansion. A search that was stopped, at any point, goes on when the same command is given again. The winner is
    a variant like any other: edgeeff convert --variant OUT/STUDY.json --weights OUT/STUDY.safetensors
    """
    from edgeeff.objective import parse_exponents
    from edgeeff.search import loop, study
    from edgeeff.training import find

    _check(name, options)
    images = find(folder)
    exponents = parse_exponents(options["exponents"])
    storage = options["storage"] or f"sqlite:///{(out / 'study.sqlite').resolve()}"
    out.mkdir(parents=True, exist_ok=True)
    opened = study.open_study(name, storage, _terms(images, options), sampler=options["sampler"], seed=options["seed"])
    work = _work(images, exponents, out, options)
    done = len(loop.complete(opened))
    if done:
        say(f"going on with the study {name}: {done} trials are done")
    with _Latency(options, out) as latency:
        for outcome in loop.run(opened, replace(work, latency=latency), options["trials"]):
            say(_line(outcome))
    outcomes = loop.complete(opened)
    winner = _keep(loop.best(outcomes), out, name, options)
    _show(outcomes, winner, name, out, as_json)


def _check(name: str, options: dict[str, Any]) -> None:
    for option in ("target_ms", "seconds", "learning_rate", "width"):
        if not 0 < options[option] < float("inf"):
            raise UsageError(f"--{option.replace('_', '-')} must be finite and above 0, not {options[option]:g}")
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise UsageError(f"--study {name!r} is no name for a file", "letters, digits, - and _")
    registry.converter(options["form"])


def _terms(images: ImageFolder, options: dict[str, Any]) -> dict[str, Any]:
    """What every trial of a study must share for its reward to compare."""
    names = ("target_ms", "exponents", "epochs", "batch", "learning_rate", "resolution", "width", "device_name")
    kept = {key: options[key] for key in (*names, "form", "threads", "seed")}
    counts = f"{len(images.trained.paths)}+{len(images.held_out.paths)}"
    latency = "estimate" if options["models"] else "measured"
    return {**kept, "latency": latency, "images": counts, "classes": len(images.classes)}


def _work(images: ImageFolder, exponents: Any, out: Path, options: dict[str, Any]) -> Work:
    from edgeeff.search import space
    from edgeeff.search.loop import Work
    from edgeeff.search.networks import family_of
    from edgeeff.training import Recipe, train

    recipe = Recipe(options["epochs"], options["batch"], options["learning_rate"], options["seed"])
    sizes = {"resolution": options["resolution"], "width": options["width"], "classes": len(images.classes)}

    def accuracy(network: Description) -> float:
        module, top1 = train(*family_of(network), images, recipe)
        _save(module, out / f"{network.name}.safetensors")
        return top1

    return Work(
        propose=lambda chooser, name: space.propose(chooser, space.Skeleton(), name=name, **sizes),
        latency=_not_open,
        accuracy=accuracy,
        target_s=options["target_ms"] / 1e3,
        exponents=exponents,
    )


def _not_open(network: Description) -> Cost:
    raise DeviceError(f"no device is open to time {network.name}")


def _save(module: Any, path: Path) -> None:
    from safetensors.torch import save_file

    from edgeeff.files import replacing

    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, temporary)


class _Latency:
    """A context that gives what tells a network's latency: a measurement on the device, or a model's estimate."""

    def __init__(self, options: dict[str, Any], out: Path) -> None:
        self._options = options
        self._out = out

    def __enter__(self) -> Callable[[Description], Cost]:
        from contextlib import ExitStack

        from edgeeff.store import Writer
        from edgeeff.targets import resolve

        self._stack = ExitStack()
        (target,) = resolve(self._options["device_name"], serial=self._options["serial"])
        device = self._stack.enter_context(registry.transport(target.connected.transport).open(target))
        if self._options["models"] is not None:
            return _estimator(device, self._options)
        session = secrets.token_hex(4)
        writer = self._stack.enter_context(Writer(self._out / "results", session, __version__))
        place = Path(self._stack.enter_context(TemporaryDirectory(prefix="edgeeff-search-")))
        return lambda network: _measure(network, device, writer, place, session, self._options)

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _estimator(device: Device, options: dict[str, Any]) -> Callable[[Description], Cost]:
    from edgeeff import latency_model
    from edgeeff.cases import usual_runner
    from edgeeff.cli.predict import shapes
    from edgeeff.search.loop import Cost
    from edgeeff.search.networks import family_of

    runtime = usual_runner(options["form"], device.profile).name
    setting = latency_model.Setting(options["form"], "fp32", runtime, options["threads"])
    stored = latency_model.load(options["models"], device.info(), setting)

    def estimate(network: Description) -> Cost:
        found = latency_model.costs(shapes(*family_of(network)))
        return Cost(stored.model.predict(found).latency_s, "estimate")

    return estimate


def _measure(
    network: Description, device: Device, writer: Writer, place: Path, session: str, options: dict[str, Any]
) -> Cost:
    """Writes the network with random weights, which latency does not depend on, and times it on the device."""
    from edgeeff import stats
    from edgeeff.cases import Wanted, build_cases
    from edgeeff.converters import trace
    from edgeeff.harness import Policy, run_session
    from edgeeff.networks import from_variant
    from edgeeff.search.loop import Cost
    from edgeeff.search.networks import family_of
    from edgeeff.weights import random as random_weights

    variant, family = family_of(network)
    weights = random_weights(variant, family, classes=network.classes, padding=None)
    graph = from_variant(variant, family, weights, trace).graph
    path = place / f"{network.name}.{options['form']}"
    registry.converter(options["form"]).write(graph, path, precision="fp32", metadata={})
    policy = Policy(options["seconds"])
    wanted = Wanted(f"{session}-{network.name}", threads=(options["threads"],), policy=policy)
    (case,) = build_cases([path], device, wanted)
    measured = case.measurement
    for done in run_session([case], device, policy, random.Random(0)):
        measured = done.measurement
        writer.launch(measured, done.launch)
    path.unlink()
    latency_s = stats.undisturbed_s(measured)
    if latency_s is None:
        raise MeasurementError(f"{network.name} could not be timed: {measured.launches[-1].error or 'no samples'}")
    return Cost(latency_s, "measured")


def _line(outcome: Outcome) -> str:
    from edgeeff.search.networks import short

    what = short(outcome.network.blocks)
    if outcome.cost is None or outcome.top1 is None or outcome.reward is None:
        return f"trial {outcome.number} failed: {outcome.error}; {what}"
    repeated = " (tried before)" if outcome.repeated else ""
    figures = f"{outcome.cost.latency_s * 1e3:.3g} ms, top-1 {outcome.top1 * 100:.1f} %, reward {outcome.reward:.4f}"
    return f"trial {outcome.number}: {figures}{repeated}; {what}"


def _keep(outcome: Outcome, out: Path, name: str, options: dict[str, Any]) -> Description:
    """Writes the winner as a variant: description, weights, and its accuracy for the report."""
    from edgeeff.files import replacing
    from edgeeff.search.networks import write

    found = f"edgeeff search, study {name}, trial {outcome.number}, trained for {options['epochs']} epochs"
    winner = replace(outcome.network, name=name, top1=outcome.top1, found=found)
    source = out / f"{outcome.network.name}.safetensors"
    if not source.exists():
        say(f"the weights of trial {outcome.number} are on another machine: {source} is not here")
    else:
        with replacing(out / f"{name}.safetensors") as temporary:
            temporary.write_bytes(source.read_bytes())
    write(winner, out / f"{name}.json")
    with replacing(out / f"{name}.accuracy.csv") as temporary:
        temporary.write_text(f"variant,precision,top1\n{name},fp32,{outcome.top1}\n", encoding="utf-8")
    return winner


def _show(outcomes: list[Outcome], winner: Description, name: str, out: Path, as_json: bool) -> None:
    from edgeeff.report.found_networks import search_json, search_text

    if as_json:
        print_json(search_json(outcomes, winner, out / f"{name}.json"))
    else:
        click.echo(search_text(outcomes, winner, out / f"{name}.json"), nl=False)
