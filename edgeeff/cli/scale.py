"""`edgeeff scale`: compound scaling, to a phi or to the largest phi that fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff.cli._fit import print_text
from edgeeff.cli._scale_search import search
from edgeeff.cli._shared import json_option, print_json
from edgeeff.cli._types import BYTES, MACS, Positive
from edgeeff.cli.convert import find_variant
from edgeeff.errors import UsageError

if TYPE_CHECKING:
    from edgeeff.cli._scale_time import InTime
    from edgeeff.protocols import ModelFamily
    from edgeeff.scaling.solve import Bases, Limits, Scaled
    from edgeeff.values import Variant

PRECISIONS = ("fp32", "fp16", "int8-weights", "int8")
COUNTED = {
    "fp32": "weights and activations of 4 bytes",
    "fp16": "weights of 2 bytes, activations of 4, since both formats compute in float32",
    "int8-weights": "weights of 1 byte with 4 a channel, those below 2048 elements and biases of 4, activations of 4",
    "int8": "weights of 1 byte with 4 a channel, biases of 4, activations of 1",
}


@dataclass(frozen=True, slots=True)
class _Start:
    """Where scaling starts."""

    base: Variant
    family: ModelFamily
    bases: Bases
    precision: str


@click.group("scale", invoke_without_command=True)
@click.option("--variant", default="b0", show_default=True, metavar="NAME", help="What is scaled.")
@click.option("--phi", type=float, help="Depth, width and resolution times alpha, beta, gamma ^ PHI.")
@click.option("--target-macs", type=MACS, help="The most multiply-adds, e.g. 1G.")
@click.option("--target-memory", type=BYTES, help="The most bytes, e.g. 8MB: weights plus peak activations.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True, help="For the memory.")
@click.option("--alpha", type=float, default=1.2, show_default=True, help="Base of the depth.")
@click.option("--beta", type=float, default=1.1, show_default=True, help="Base of the width.")
@click.option("--gamma", type=float, default=1.15, show_default=True, help="Base of the resolution.")
@click.option("--step", type=float, help="Of phi, where it is looked for. Default: 0.01; 0.1 for --target-ms.")
@click.option("--target-ms", type=Positive(), metavar="MS", help="The most milliseconds, measured on --device.")
@click.option("--device", default="host", show_default=True, help="For --target-ms: as edgeeff bench has it.")
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--runtime", help="For --target-ms. Default: by format.")
@click.option("--format", "format_name", default="tflite", show_default=True, help="For --target-ms: tflite, onnx.")
@click.option("--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="For --target-ms.")
@click.option("--accelerator", default="cpu", show_default=True, help="For --target-ms.")
@click.option("--seconds", type=Positive(), default=10.0, show_default=True, help="For --target-ms: for each network.")
@click.option(
    "--most",
    type=click.IntRange(1, 100),
    default=8,
    show_default=True,
    help="For --target-ms: networks timed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("scale-timings"),
    show_default=True,
    help="For --target-ms: the folder of the raw samples.",
)
@click.option("--predicted", is_flag=True, help="For --target-ms: find phi by a latency model, then measure it.")
@click.option("--verify/--no-verify", default=True, show_default=True, help="For --predicted: measure what it found.")
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("latency-models"),
    show_default=True,
    help="For --predicted: where edgeeff predict --fit keeps models.",
)
@json_option
@click.pass_context
def scale(context: click.Context, /, variant: str, phi: float | None, as_json: bool, **options: Any) -> None:
    """Scale a network by one phi, or find the largest phi whose network fits the targets.

    Targets can be combined: the answer fits all of them. Without --phi and without a target, the published members are
    shown beside the exact powers. Nothing is built: counts are exact, and no weights are allocated; but for
    --target-ms, which writes and times a handful of networks with random weights, or with --predicted one or two.
    """
    if context.invoked_subcommand is not None:
        return
    from edgeeff.scaling.solve import STEP, Bases, Limits
    from edgeeff.scaling.solve_in_time import LATENCY_STEP

    target_ms, step = options["target_ms"], options["step"]
    _require(phi, target_ms, options["predicted"], options["verify"])
    bases = Bases(options["alpha"], options["beta"], options["gamma"])
    start = _Start(*find_variant(variant), bases, options["precision"])
    limits = Limits(options["target_macs"], options["target_memory"], start.precision)
    if target_ms is not None:
        asked = _in_time(options)
        _solve_in_time(start, limits, target_ms / 1e3, asked, LATENCY_STEP if step is None else step, as_json)
    elif phi is not None:
        _show_phi(start, phi, limits, as_json)
    elif limits.macs is None and limits.memory_bytes is None:
        _show_published(start, as_json)
    else:
        _solve(start, limits, STEP if step is None else step, as_json)


def _in_time(options: dict[str, Any]) -> InTime:
    """How latencies are had."""
    from edgeeff.cli._scale_time import InTime
    from edgeeff.cli._timing import TimingOptions

    names = ("device", "serial", "runtime", "format_name", "precision", "threads", "accelerator", "seconds", "out")
    timed = TimingOptions(*(options[name] for name in names))
    return InTime(timed, options["most"], options["models"] if options["predicted"] else None, options["verify"])


def _require(phi: float | None, target_ms: float | None, predicted: bool, verify: bool) -> None:
    """Refuses options that contradict each other, or that nothing would come of."""
    if not (predicted or verify):
        raise UsageError("--no-verify goes with --predicted: without it everything is measured")
    if target_ms is None:
        if predicted:
            raise UsageError("--predicted goes with --target-ms: nothing else depends on a latency")
        return
    if phi is not None:
        raise UsageError("--phi says what --target-ms looks for: leave out one of them")


def _show_phi(start: _Start, phi: float, limits: Limits, as_json: bool) -> None:
    from edgeeff.scaling.solve import scaled

    made = scaled(start.base, start.family, phi, start.bases, start.precision)
    excess = made.excess(limits)
    if excess:
        raise UsageError(
            f"--phi {phi:g} contradicts the target: {made.variant.name} has {' and '.join(excess)}",
            "leave out --phi for the largest that fits, or leave out the target",
        )
    _show(start, made, "", as_json, {})


def _solve(start: _Start, limits: Limits, step: float, as_json: bool) -> None:
    from edgeeff.scaling.solve import Ladder, largest

    found = largest(Ladder(start.base, start.family, start.bases, start.precision, step), limits)
    note = f"The largest phi that fits, in steps of {step:g}. At phi {found.next_phi:g}: {found.limited_by}."
    extra = {"step": step, "next_phi": found.next_phi, "limited_by": found.limited_by}
    _show(start, found.best, note, as_json, extra)


def _solve_in_time(start: _Start, limits: Limits, target_s: float, asked: InTime, step: float, as_json: bool) -> None:
    from edgeeff.cli._scale_time import solve_in_time
    from edgeeff.report.scale_table import timed_json, timed_text
    from edgeeff.scaling.solve import Ladder
    from edgeeff.scaling.solve_in_time import best_in_time

    ladder = Ladder(start.base, start.family, start.bases, start.precision, step)
    timed = solve_in_time(ladder, limits, target_s, asked)
    best = best_in_time(timed, target_s)
    if best is None:
        least = min(timed, key=lambda t: t.latency_s)
        raise UsageError(
            f"no scaling of {start.base.name} that was {'estimated' if least.is_estimate else 'timed'} for "
            f"{asked.timing.device} meets {target_s * 1e3:g} ms: {least.scaled.variant.name} takes "
            f"{least.latency_s * 1e3:.3g} ms, {least.latency_s / target_s:.3g} times as long",
            "a larger target, a smaller --variant, or --precision int8",
        )
    if not as_json:
        print_text(timed_text(timed, target_s) + "\n")
    how = "by estimate" if best.is_estimate else "measured with random weights"
    bounds = [t.scaled.phi for t in timed if t.scaled.phi > best.scaled.phi and t.latency_s > target_s]
    note = f"The largest phi that met {target_s * 1e3:g} ms on {asked.timing.device}, {how}; "
    note += f"phi {min(bounds):g} did not." if bounds else "none above it was timed."
    extra = {
        "latency_ms": best.latency_s * 1e3,
        "latency_provenance": best.provenance,
        "device": asked.timing.device,
        "timed": timed_json(timed),
    }
    _show(start, best.scaled, note, as_json, extra)


def _show(start: _Start, made: Scaled, note: str, as_json: bool, extra: dict[str, Any]) -> None:
    from edgeeff.report.scale_table import costs_text, rounding_text, to_json

    if as_json:
        print_json({**to_json(made, start.precision), **extra})
        return
    rows = [(f"{made.phi:g}", made), *(("-", member) for member in _members(start))]
    print_text(costs_text(rows, start.precision) + "\n")
    print_text(rounding_text(start.family.costs(start.base), start.family.costs(made.variant), made, start.base) + "\n")
    if note:
        click.echo(note)
    click.echo("Repeats round up, channels to multiples of 8, the resolution to the nearest multiple of 8 px.")
    click.echo(f"Memory: {COUNTED[start.precision]}; the activations are those alive at once, at their peak.")
    if made.variant.name not in start.family.variants:
        made_of = f"--variant {start.base.name} --width {made.scaling.width:.6g} --depth {made.scaling.depth:.6g}"
        click.echo(f"edgeeff convert {made_of} --resolution {made.variant.resolution}")


def _members(start: _Start) -> list[Scaled]:
    """The published members of the same architecture, with what they cost."""
    from edgeeff.scaling.compound import Scaling
    from edgeeff.scaling.solve import measured

    return [
        measured(start.family, member, 0.0, Scaling(member.width, member.depth, member.resolution), start.precision)
        for member in start.family.variants.values()
        if member.architecture == start.base.architecture
    ]


def _show_published(start: _Start, as_json: bool) -> None:
    from edgeeff.report.scale_table import implied_phi, published_text, to_json

    members = [made.variant for made in _members(start)]
    if as_json:
        documents = [
            {
                **{key: value for key, value in to_json(made, start.precision).items() if key != "phi"},
                "implied_phi": implied_phi(start.base, made.variant, start.bases),
            }
            for made in _members(start)
        ]
        print_json({"published": documents})
        return
    print_text(published_text(start.base, members, start.bases) + "\n")
    click.echo("phi: what each published coefficient implies alone; of cost: what the multiply-adds do.")
    click.echo("They differ, for the published coefficients are rounded by hand. exact: the powers of the phi of cost.")
    click.echo("--phi or a target scales: edgeeff scale --help")


scale.add_command(search)
