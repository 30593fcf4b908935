"""`edgeeff scale search`: the grid search for alpha, beta and gamma, with accuracies that are estimated or measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff.cli._fit import print_text
from edgeeff.cli._scale_time import stored_model
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.cli._types import Positive
from edgeeff.cli.convert import find_variant
from edgeeff.errors import UsageError

if TYPE_CHECKING:
    from edgeeff.protocols import ModelFamily
    from edgeeff.scaling.grid_study import Trained
    from edgeeff.scaling.law import Candidate, Law
    from edgeeff.scaling.solve import Bases
    from edgeeff.values import Variant

GROWTH = 2.0
OF_THE_BASE = click.FloatRange(0, 100, min_open=True)


@click.command("search", short_help="Search alpha, beta and gamma again.")
@click.option("--variant", default="b0", show_default=True, metavar="NAME", help="The base, at phi = 0.")
@click.option("--tolerance", type=float, default=0.1, show_default=True, help="Of alpha * beta^2 * gamma^2 about 2.")
@click.option("--grid-step", type=float, default=0.05, show_default=True, help="Of alpha, beta and gamma.")
@click.option("--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many are shown.")
@click.option(
    "--train", type=click.Path(path_type=Path), metavar="DIR", help="Measure: train on a folder of images a class."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=12,
    show_default=True,
    help="Triples to train, best first.",
)
@click.option("--epochs", type=click.IntRange(1, 1000), default=5, show_default=True, help="For --train.")
@click.option("--batch", type=click.IntRange(2, 1024), default=32, show_default=True, help="For --train.")
@click.option("--learning-rate", type=Positive(), default=0.05, show_default=True, help="For --train.")
@click.option("--mirror/--no-mirror", default=True, show_default=True, help="For --train: images, at random.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="For --train.")
@click.option(
    "--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="For --train, or the runtime's."
)
@click.option(
    "--proxy-width", type=OF_THE_BASE, default=0.5, show_default=True, help="For --train: of the base's channels."
)
@click.option(
    "--proxy-depth", type=OF_THE_BASE, default=1.0, show_default=True, help="For --train: of the base's repeats."
)
@click.option(
    "--proxy-resolution",
    type=click.IntRange(8, 1024),
    default=64,
    show_default=True,
    help="For --train: pixels at phi = 0.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("scale-search"),
    show_default=True,
    help="For --train: the folder.",
)
@click.option("--target-ms", type=Positive(), help="Latency in place of FLOPs: the most accurate within so many ms.")
@click.option("--w", default="soft", show_default=True, help="Of the objective, for --target-ms.")
@click.option("--device", "device_name", default="host", show_default=True, help="For --target-ms.")
@click.option("--serial", help="For --target-ms: the address of the device, where several fit.")
@click.option("--format", "format_name", default="tflite", show_default=True, help="For --target-ms: tflite or onnx.")
@click.option("--precision", default="fp32", show_default=True, help="For --target-ms: fp32 or int8.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("latency-models"),
    show_default=True,
    help="For --target-ms: where edgeeff predict --fit keeps models.",
)
@json_option
def search(variant: str, train: Path | None, target_ms: float | None, top: int, as_json: bool, **options: Any) -> None:
    """Search alpha, beta and gamma with alpha * beta^2 * gamma^2 about 2 at phi = 1 (Tan & Le 2019, section 3.3).

    The accuracy is estimated by a law fitted to the published scalings, or with --train measured: each triple scales
    a small proxy of the base, which is trained on your images. A search that is stopped goes on where it was.
    With --target-ms, depth, width and resolution are chosen for the device, by a model of its latency.
    """
    from edgeeff.scaling.law import grid, law_for
    from edgeeff.scaling.law import search as ranked

    if target_ms is not None and train is not None:
        raise UsageError("--target-ms goes by estimates and --train measures: take one of them")
    base, family = _base(variant)
    law = law_for(family.name)
    if target_ms is not None:
        _in_time(base, family, law, target_ms, top, as_json, options)
        return
    found = ranked(law, base, family, grid(GROWTH, options["tolerance"], options["grid_step"]), GROWTH)
    if train is None:
        _show_estimates(base, family, law, found, top, as_json)
    else:
        triples = [candidate.bases for candidate in found[: options["limit"]]]
        trained, held_out = _train(base, family, triples, train, options)
        _show_trained(base, trained, held_out, as_json)


def _base(variant: str) -> tuple[Variant, ModelFamily]:
    """The network at phi = 0.

    Raises:
        UsageError: it is a scaling itself.
    """
    base, family = find_variant(variant)
    if base.published is None or base.name != base.architecture:
        raise UsageError(
            f"{base.name} is itself a scaling of {base.architecture}", f"search from it: --variant {base.architecture}"
        )
    return base, family


def _train(
    base: Variant, family: ModelFamily, triples: Sequence[Bases], train: Path, options: dict[str, Any]
) -> tuple[list[Trained], int]:
    """Trains each triple's proxy, telling each as it ends; the results, and the number of images held out."""
    # Threads of torch that wait for each other spin by default, which costs a busy machine several times the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from edgeeff.scaling.grid_study import Proxy, run
    from edgeeff.training import Recipe, find

    names = ("epochs", "batch", "learning_rate", "seed", "threads", "mirror")
    recipe = Recipe(*(options[name] for name in names))
    proxy = Proxy(options["proxy_width"], options["proxy_depth"], options["proxy_resolution"])
    folder = find(train)
    say(f"{len(folder.trained.paths)} images of {len(folder.classes)} classes, {len(folder.held_out.paths)} held out")
    trained = []
    for result, was_there in run(base, family, triples, folder, recipe, proxy, options["out"]):
        trained.append(result)
        b = result.bases
        how = "as before" if was_there else f"{result.seconds:g} s"
        say(f"{len(trained)}/{len(triples)} {b.alpha:g} {b.beta:g} {b.gamma:g}: {result.top1 * 100:.1f} % ({how})")
    return trained, len(folder.held_out.paths)


def _in_time(
    base: Variant, family: ModelFamily, law: Law, target_ms: float, top: int, as_json: bool, options: dict[str, Any]
) -> None:
    """Depth, width and resolution for a device: the best within T beside the paper's own direction."""
    from edgeeff.objective import parse_exponents
    from edgeeff.report.latency_scaling_table import in_time_json, in_time_text
    from edgeeff.report.search_table import PAPER
    from edgeeff.scaling.latency_scaling import Question, directions, fit_in_time, slower_for_the_same

    names = ("device_name", "serial", "format_name", "precision", "threads", "models")
    stored = stored_model(*(options[name] for name in names))
    question = Question(base, family, law, stored.model, target_ms / 1e3, parse_exponents(options["w"]))
    found = fit_in_time(question, [*directions(), PAPER])
    if not found:
        raise UsageError(f"no scaling of {base.name} within {target_ms:g} ms lies in what law and model cover")
    same = slower_for_the_same(question, PAPER, found[0].top1)
    if as_json:
        print_json(in_time_json(question, stored, found, same))
    else:
        print_text(in_time_text(question, stored, found, same, top))


def _show_estimates(
    base: Variant, family: ModelFamily, law: Law, found: Sequence[Candidate], top: int, as_json: bool
) -> None:
    from edgeeff.report.search_table import estimates_json, estimates_text

    if as_json:
        print_json(estimates_json(base, family, law, found))
    else:
        print_text(estimates_text(base, family, law, found, top))


def _show_trained(base: Variant, trained: Sequence[Trained], held_out: int, as_json: bool) -> None:
    from edgeeff.report.search_table import trained_json, trained_text

    if as_json:
        print_json(trained_json(base, trained, held_out))
    else:
        print_text(trained_text(trained, held_out))
