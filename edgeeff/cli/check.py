"""`edgeeff check`: the gate for CI."""

from __future__ import annotations

import math
import random
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import __version__, registry
from edgeeff.cli._check_reports import Reports, report_options
from edgeeff.cli._fit import print_text
from edgeeff.cli._runner_file import on_this_machine, runner_option
from edgeeff.cli._shared import json_option, print_json, say, say_stopped
from edgeeff.cli._types import Duration, InputShape, Positive, Share, Threads
from edgeeff.errors import EdgeeffError, RefusedError, UsageError
from edgeeff.gate.comparable import ALLOWABLE
from edgeeff.wording import counted, printable

if TYPE_CHECKING:
    from edgeeff.compare import Check
    from edgeeff.gate.cases import Sides
    from edgeeff.gate.match import Match
    from edgeeff.gate.pairing import GateCase
    from edgeeff.gate.session import AloneDone, GatePolicy, PairDone
    from edgeeff.gate.several import Build
    from edgeeff.measuring.cases import Wanted
    from edgeeff.protocols import Device


@click.command("check")
@click.argument("candidates", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--against", help="A file, manifest, folder, git ref (git:REF) or stored run (run:ID).")
@click.option("--history", is_flag=True, help="No baseline: compare with earlier runs, by way of a reference model.")
@click.option(
    "--max-slowdown",
    type=Share(),
    default="3%",
    show_default=True,
    help="The slowdown to find. A third of it is seldom blamed; between the two either may be said.",
)
@click.option("--device", "device_name", default="host", show_default=True, help="As for edgeeff bench.")
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--runtime", help="litert, onnxruntime ... Default: the device's.")
@click.option("--against-runtime", help="The baseline's runtime, to compare runtimes.")
@click.option("--runtime-python", help="A Python on the device with the candidate's version of the runtime.")
@click.option("--against-python", help="A Python on the device with the baseline's version of the runtime.")
@runner_option("benchmark_model or the like")
@click.option("--threads", type=Threads(), default="1", show_default=True, help="One number.")
@click.option("--cores", help="all, big, or a list such as 4-7. Default: the device's.")
@click.option("--accelerator", default="cpu", show_default=True, help="cpu, gpu or npu: what the device has.")
@click.option("--allow-fallback", is_flag=True, help="Measure a GPU or NPU run that left ops to the CPU.")
@click.option("--fixed-performance", is_flag=True, help="Android's mode of steady clocks while measuring.")
@click.option("--seconds", type=Positive(), default=180.0, show_default=True, help="For each model, at most.")
@click.option("--cooldown", "cooldown_s", type=Duration(zero=True), help="Longest wait for a hot device.")
@click.option("--max-size-growth", type=Share(), help="Of the file: 5%.")
@click.option("--max-memory-growth", type=Share(), help="Of the memory that loading and running it takes: 10%.")
@click.option("--require-delegation", is_flag=True, help="Every op must run in the delegate.")
@click.option(
    "--allow-missing-baseline",
    "first_time",
    is_flag=True,
    help="What has no baseline yet (the first build, a new model) is told, and does not fail.",
)
@click.option("--allow", "allowed", multiple=True, type=click.Choice(ALLOWABLE), help="May differ. Repeatable.")
@click.option(
    "--input-shape", "shapes", multiple=True, type=InputShape(), help="For inputs that a file leaves open. Repeatable."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of inputs and order.")
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    default=(Path("results"), Path("results/checks")),
    help="Where stored runs are looked for. Repeatable.  [default: results, results/checks]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results/checks"), show_default=True, help="The folder."
)
@report_options
@json_option
def check(
    candidates: Sequence[Path], device_name: str, serial: str | None, reports: Reports, as_json: bool, **options: Any
) -> None:
    """Say whether model files became slower than their baselines: paired launches until the answer is clear.

    CANDIDATES are model files, manifests or folders of them. Verdicts: passed, improved (exit code 0), regressed (1),
    inconclusive (3), refused (4: the two are not comparable). Of several models the gravest counts, in the order
    regressed, refused, inconclusive.
    """
    from edgeeff.compare import exit_code, told_apart
    from edgeeff.targets import resolve

    if (options["against"] is None) != options["history"]:
        cure = "a stored latency is never a baseline; --history compares by way of a reference model"
        raise UsageError("say what to compare with: either --against or --history", cure)
    stopped: EdgeeffError | KeyboardInterrupt | None = None
    (target,) = resolve(device_name, serial=serial)
    with tempfile.TemporaryDirectory(prefix="edgeeff-check-") as scratch:
        matches, unmeasured = _matches(candidates, options, Path(scratch))
        checks = _on(target.name, options, unmeasured)
        if matches:
            with registry.transport(target.connected.transport).open(target) as device:
                measured, stopped = _run(matches, device, options, Path(scratch))
            checks = [*measured, *checks]
    checks = told_apart(checks)
    _show(checks, as_json)
    reports.write(checks)
    click.get_current_context().exit(exit_code(checks) if stopped is None else say_stopped(stopped))


def _matches(
    candidates: Sequence[Path], options: dict[str, Any], scratch: Path
) -> tuple[list[Match] | list[Path], list[Check]]:
    """Candidates with their baselines, alone where they are compared with their history; and what is said of those
    that have no baseline yet, where that is allowed, or one that cannot be trusted."""
    from edgeeff.gate import baseline
    from edgeeff.gate.match import label
    from edgeeff.gate.verdict import refused, without_baseline

    found = baseline.candidates(candidates)
    if options["history"]:
        return found, []
    missing: dict[Path, str] = {}
    untrusted: dict[Path, RefusedError] = {}
    allowed = missing if options["first_time"] else None
    matches = baseline.resolve(options["against"], found, options["results"], scratch, allowed, untrusted)
    new = [without_baseline(label(path), path, why) for path, why in missing.items()]
    return matches, [*new, *(refused(label(path), path, error) for path, error in untrusted.items())]


def _on(device: str, options: dict[str, Any], unmeasured: Sequence[Check]) -> list[Check]:
    """What is said of candidates that were not measured, with where they would have been."""
    runtime, threads = options["runtime"] or "", options["threads"][0]
    return [replace(check, device=device, runtime=runtime, threads=threads) for check in unmeasured]


def _run(
    matches: list[Match] | list[Path], device: Device, options: dict[str, Any], scratch: Path
) -> tuple[list[Check], EdgeeffError | KeyboardInterrupt | None]:
    """The verdicts, and what stopped the measurement before its end: then none of them is a pass."""
    from edgeeff.gate.match import label
    from edgeeff.gate.several import Build
    from edgeeff.gate.verdict import refused

    wanted, sides = _wanted(options), _sides(options)
    policy = _policy(options, sides)
    try:
        cases = _cases(matches, device, wanted, sides, options, scratch)
    except RefusedError as error:
        paths = [match if isinstance(match, Path) else match.candidate for match in matches]
        return _on(device.name, options, [refused(label(path), path, error) for path in paths]), None
    build = Build(cases, device, policy, random.Random(wanted.seed), on_wait=say)
    say(f"comparing {counted(len(cases), 'model')} on {device.name}, each for up to {policy.seconds:g} s")
    try:
        with device.hold_performance() if wanted.fixed_performance else nullcontext():
            _measure(build, options["out"], wanted.session, policy.seconds * len(cases))
    except KeyboardInterrupt as error:
        return build.checks(interrupted=True), error
    except EdgeeffError as error:
        return build.checks(lost=error.message), error
    return build.checks(), None


def _cases(
    matches: list[Match] | list[Path],
    device: Device,
    wanted: Wanted,
    sides: Sides,
    options: dict[str, Any],
    scratch: Path,
) -> list[GateCase]:
    from edgeeff import store
    from edgeeff.gate.cases import gate_cases, history_cases
    from edgeeff.gate.match import refusing

    paired = [match for match in matches if not isinstance(match, Path)]
    if paired:
        return gate_cases(paired, device, wanted, sides)
    places = [place for place in dict.fromkeys((*options["results"], options["out"])) if place.exists()]
    with refusing(" and ".join(map(str, places))):
        stored = [found for place in places for found in store.read_comparisons(place)]
    paths = [path for path in matches if isinstance(path, Path)]
    return history_cases(paths, device, wanted, options["runtime"], stored, scratch)


def _wanted(options: dict[str, Any]) -> Wanted:
    from edgeeff.measuring.cases import Wanted

    return Wanted(
        secrets.token_hex(4),
        (),
        options["threads"],
        options["accelerator"],
        on_this_machine(options["runner_file"]),
        options["cores"],
        options["allow_fallback"],
        options["fixed_performance"],
        dict(options["shapes"]),
        options["seed"],
    )


def _sides(options: dict[str, Any]) -> Sides:
    from edgeeff.gate.cases import Sides

    return Sides(options["runtime"], options["against_runtime"], options["runtime_python"], options["against_python"])


def _policy(options: dict[str, Any], sides: Sides) -> GatePolicy:
    from edgeeff.gate.decision import Plan
    from edgeeff.gate.figures import Limits
    from edgeeff.gate.session import GatePolicy

    return GatePolicy(
        Plan(options["max_slowdown"]),
        options["seconds"],
        frozenset(options["allowed"]) | sides.allowed,
        Limits(options["max_size_growth"], options["max_memory_growth"], options["require_delegation"]),
        cooldown_s=options["cooldown_s"],
        first_time=options["first_time"],
    )


def _measure(build: Build, out: Path, session: str, seconds: float) -> None:
    """Runs all of it; each launch is on disk as soon as it ends."""
    from edgeeff.gate.session import AloneDone
    from edgeeff.store import Writer

    with Writer(out, session, __version__) as writer, _progress() as show:
        for done in build.run():
            if isinstance(done, AloneDone):
                writer.launch(done.measurement, done.launch)
            else:
                writer.pair(done.comparison, done.pair)
            show(done)
    if writer.path.exists():
        say(f"raw samples are in {writer.path}")


@contextmanager
def _progress() -> Iterator[Callable[[AloneDone | PairDone], None]]:
    """One line that is written over where a person watches, else a line in ten looks, and one where it ends."""
    if sys.stderr.isatty():
        yield lambda done: click.echo(f"\r\x1b[2K{printable(_line(done))}", nl=False, err=True)
        click.echo("\r\x1b[2K", nl=False, err=True)
    else:
        yield lambda done: say(_line(done)) if _is_told(done) else None


def _is_told(done: AloneDone | PairDone) -> bool:
    from edgeeff.gate.session import AloneDone

    if isinstance(done, AloneDone):
        return done.launch.error is not None
    ended = done.decision.verdict is not None
    return ended or done.pair.error is not None or len(done.comparison.log_ratios) % 10 == 0


def _line(done: AloneDone | PairDone) -> str:
    from edgeeff.gate.session import AloneDone

    if isinstance(done, AloneDone):
        m = done.measurement
        return f"{done.elapsed_s:5.1f} s  {m.path} alone, launch {len(m.launches)}: {done.launch.error or 'done'}"
    launch = f"{done.elapsed_s:5.1f} s  {done.comparison.candidate.path} paired launch {done.pair.index + 1}"
    interval = done.decision.interval
    if done.pair.error is not None or interval is None:
        return f"{launch}: {done.pair.error or 'done'}"
    value, low, high = (math.expm1(log) * 100 for log in (interval.value, interval.low, interval.high))
    return f"{launch}: {value:+.1f} % ({low:+.1f} .. {high:+.1f})"


def _show(checks: Sequence[Check], as_json: bool) -> None:
    from edgeeff.report.check_text import checks_json, checks_text

    if as_json:
        print_json(checks_json(checks))
    else:
        print_text(checks_text(checks))
