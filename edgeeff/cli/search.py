"""`edgeeff search`: a network for a device and the user's images, by MnasNet's loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.cli._types import Positive
from edgeeff.errors import UsageError

if TYPE_CHECKING:
    from edgeeff.cli._search_latency import Propose
    from edgeeff.search.loop import Outcome
    from edgeeff.search.networks import Description
    from edgeeff.training import ImageFolder, Loaded


@click.command("search")
@click.option(
    "--train", "folder", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Images, a folder a class."
)
@click.option("--target-ms", type=Positive(), required=True, help="T: the latency to aim at.")
@click.option("--w", "exponents", default="soft", show_default=True, help="soft (-0.07), hard (0,-1), or alpha,beta.")
@click.option(
    "--trials",
    type=click.IntRange(1, 100_000),
    default=30,
    show_default=True,
    help="Networks to try in the whole study; those that come again do not count.",
)
@click.option("--epochs", type=click.IntRange(1, 1000), default=5, show_default=True, help="Of each training.")
@click.option("--batch", type=click.IntRange(2, 1024), default=32, show_default=True, help="Images a step.")
@click.option("--learning-rate", type=Positive(), default=0.05, show_default=True, help="At its highest.")
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="Of images at random; no for digits.")
@click.option("--resolution", type=click.IntRange(2, 1024), default=64, show_default=True, help="Pixels.")
@click.option("--width", type=Positive(), default=0.5, show_default=True, help="Of MobileNetV2's channels.")
@click.option("--depth", type=float, default=1.0, show_default=True, help="Of MobileNetV2's layers.")
@click.option("--blocks", type=click.IntRange(1, 7), default=7, show_default=True, help="Of MobileNetV2's, the first.")
@click.option("--device", "device_name", default="host", show_default=True, help="As for edgeeff bench.")
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--format", "format_name", default="tflite", show_default=True, help="tflite or onnx.")
@click.option("--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="Of the runtime.")
@click.option("--seconds", type=Positive(), default=8.0, show_default=True, help="Of measuring, for each network.")
@click.option(
    "--predict", "models", type=click.Path(path_type=Path), metavar="DIR", help="Estimate, by a model kept in DIR."
)
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "random"]),
    default="tpe",
    show_default=True,
    help="What proposes: tpe learns from the trials so far, random does not.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of proposals, trainings."
)
@click.option("--study", "name", default="search", show_default=True, help="Its name; the same name goes on with it.")
@click.option("--storage", help="Optuna's, a database's URL that machines may share. Default: SQLite in --out.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("search"), show_default=True, help="The folder.")
@json_option
def search(folder: Path, name: str, out: Path, as_json: bool, **options: Any) -> None:
    """Search a network: propose, measure on the device, train on your images, reward with ACC * (LAT / T)^w.

    The space is MnasNet's: seven blocks that each choose their op, kernel, squeeze-and-excitation, skip, width, layers
    and expansion; --blocks, --depth and --width make it small. With --predict latencies are estimates of a model,
    which is fitted to measured networks of the space first where DIR has none. A search that was stopped, at any
    point, goes on when the same command is given again. The winner is a variant like any other: edgeeff convert
    --variant OUT/STUDY.json --weights OUT/STUDY.safetensors
    """
    from edgeeff.cli._search_latency import latency_of
    from edgeeff.objective import parse_exponents
    from edgeeff.search import loop, study
    from edgeeff.training import find

    _check(name, options)
    images = find(folder)
    exponents, propose = parse_exponents(options["exponents"]), _proposer(images, options)
    storage = options["storage"] or f"sqlite:///{(out / 'study.sqlite').resolve()}"
    out.mkdir(parents=True, exist_ok=True)
    opened = study.open_study(name, storage, _terms(images, options), sampler=options["sampler"], seed=options["seed"])
    done = loop.fresh(loop.ended(opened))
    if done:
        say(f"going on with the study {name}: {done} networks were tried")
    with latency_of(propose, options, out) as latency:
        work = loop.Work(propose, latency, _trainer(images, out, options), options["target_ms"] / 1e3, exponents)
        for outcome in loop.run(opened, work, options["trials"]):
            say(_line(outcome))
    outcomes = loop.ended(opened)
    if (tried := loop.fresh(outcomes)) < options["trials"]:
        say(f"{tried} networks and no more: {loop.REPEATS} proposals in a row had been tried before")
    winner = _keep(loop.best(outcomes), out, name, options)
    _show(outcomes, winner, name, out, as_json)


def _check(name: str, options: dict[str, Any]) -> None:
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise UsageError(f"--study {name!r} is no name for a file", "letters, digits, - and _")
    registry.converter(options["format_name"])


def _terms(images: ImageFolder, options: dict[str, Any]) -> dict[str, Any]:
    """What every trial of a study must share for its reward to compare."""
    recipe = ("epochs", "batch", "learning_rate", "mirror", "seed")
    names = (*recipe, "target_ms", "exponents", "resolution", "width", "depth", "blocks", "device_name")
    kept = {key: options[key] for key in (*names, "threads")}
    counts = f"{len(images.trained.paths)}+{len(images.held_out.paths)}"
    latency = "estimate" if options["models"] else "measured"
    return {
        **kept,
        "form": options["format_name"],
        "latency": latency,
        "images": counts,
        "classes": len(images.classes),
    }


def _proposer(images: ImageFolder, options: dict[str, Any]) -> Propose:
    """(chooser, name) -> a network of the space that the options leave."""
    from edgeeff.search import space

    skeleton = space.Skeleton().part(options["blocks"], options["depth"])
    skeleton.require(options["resolution"])
    sizes = {"resolution": options["resolution"], "width": options["width"], "classes": len(images.classes)}
    return lambda chooser, name: space.propose(chooser, skeleton, name=name, **sizes)


def _trainer(images: ImageFolder, out: Path, options: dict[str, Any]) -> Callable[[Description], float]:
    """What trains a network, keeps its weights in the folder, and gives its accuracy."""
    from edgeeff.search.networks import family_of
    from edgeeff.training import Recipe, load, train

    loaded: list[Loaded] = []
    recipe = Recipe(
        options["epochs"], options["batch"], options["learning_rate"], options["seed"], mirrored=options["mirror"]
    )

    def accuracy(network: Description) -> float:
        variant, family = family_of(network)
        if not loaded:  # all networks take images of one size
            loaded.append(load(images, variant.resolution, variant.normalisation))
        module, top1 = train(variant, family, images, recipe, loaded=loaded[0])
        _save(module, out / f"{network.name}.safetensors")
        return top1

    return accuracy


def _save(module: Any, path: Path) -> None:
    from safetensors.torch import save_file

    from edgeeff.files import replacing

    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, temporary)


def _line(outcome: Outcome) -> str:
    from edgeeff.search.networks import short

    what = short(outcome.network.blocks)
    if outcome.cost is None:
        return f"trial {outcome.number} failed: {outcome.error}; {what}"
    repeated = " (tried before)" if outcome.repeated else ""
    if outcome.top1 is None or outcome.reward is None:
        latency = f"{outcome.cost.latency_s * 1e3:.3g} ms"
        return f"trial {outcome.number}: {latency}, too slow to win, so not trained{repeated}; {what}"
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
        print_text(search_text(outcomes, winner, out / f"{name}.json"))
