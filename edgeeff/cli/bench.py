"""`edgeeff bench`: times model files on a device."""

from __future__ import annotations

import random
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import __version__, registry
from edgeeff.cli._shared import INTERRUPTED, json_option, print_json, say
from edgeeff.errors import EdgeeffError, MeasurementError, UsageError

if TYPE_CHECKING:
    from edgeeff.cases import Wanted
    from edgeeff.harness import LaunchDone
    from edgeeff.launch import Case
    from edgeeff.protocols import Device
    from edgeeff.values import Measurement


class Threads(click.ParamType[tuple[int, ...]]):
    """ "1,4": numbers of threads."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[1-9]\d{0,2}(,[1-9]\d{0,2})*", value):
            self.fail(f"{value!r} is not a list of numbers of threads from 1 to 999, such as 1,4", param, ctx)
        return tuple(int(part) for part in value.split(","))


class Share(click.ParamType[float]):
    """ "2%" or 0.02."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", value.strip())
        share = float(found[1]) / (100 if found[2] else 1) if found else 0.0
        if not 0 < share < 1:
            self.fail(f"{value!r} is not a share between 0 and 1, such as 2% or 0.02", param, ctx)
        return share


class InputShape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """ "name=1x3x224x224"."""

    name = "name=shape"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(.+)=([1-9]\d{0,8}(?:x[1-9]\d{0,8})*)", value)
        if not found:
            self.fail(f"{value!r} is not an input's name and shape, such as x=1x3x224x224", param, ctx)
        return found[1], tuple(int(part) for part in found[2].split("x"))


@click.command("bench", short_help="Time model files on a device.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device",
    "device_name",
    default="host",
    show_default=True,
    help="host, a name of the catalog (pixel), adb:SERIAL, ssh://user@host, FILE.toml.",
)
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--runtime", "runtimes", multiple=True, help="litert, onnxruntime. Repeatable. Default: by format.")
@click.option("--threads", type=Threads(), default="1", show_default=True, help="One or several numbers: 1,4.")
@click.option("--accelerator", default="cpu", show_default=True, help="cpu, or what else the device has.")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="For the whole session.")
@click.option(
    "--precision-target",
    type=Share(),
    default="2%",
    show_default=True,
    help="A file is done when the interval's half-width is this share of the median.",
)
@click.option(
    "--input-shape", "shapes", multiple=True, type=InputShape(), help="For inputs that a file leaves open. Repeatable."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the inputs and the order."
)
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="Where files are looked for when none is named.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="The folder.")
@json_option
def bench(
    files: Sequence[Path],
    device_name: str,
    serial: str | None,
    runtimes: Sequence[str],
    threads: tuple[int, ...],
    accelerator: str,
    seconds: float,
    precision_target: float,
    shapes: Sequence[tuple[str, tuple[int, ...]]],
    seed: int,
    artifacts: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Time model files on a device: several launches of each, in random order.

    FILES are .onnx and .tflite files, made by edgeeff or not; by default all those in ./artifacts, and where there
    are none, b0 is converted first. Raw samples go to the results folder as they come.
    """
    from edgeeff.cases import Wanted, build_cases
    from edgeeff.harness import Policy
    from edgeeff.targets import resolve

    if not 0 < seconds < float("inf"):
        raise UsageError(f"--seconds must be finite and above 0, not {seconds:g}", "the default is 60")
    (target,) = resolve(device_name, serial=serial)
    policy = Policy(seconds, precision_target)
    wanted = Wanted(secrets.token_hex(4), runtimes, threads, accelerator, shapes=dict(shapes), seed=seed, policy=policy)
    measured: dict[str, Measurement] = {}
    stopped: EdgeeffError | KeyboardInterrupt | None = None
    with registry.transport(target.connected.transport).open(target) as device:
        cases = build_cases(files or _default_files(artifacts, runtimes), device, wanted)
        try:
            _measure(cases, device, wanted, out, measured)
        except (EdgeeffError, KeyboardInterrupt) as error:
            stopped = error
    shown = [measured[case.measurement.id] for case in cases if case.measurement.id in measured]
    if shown:
        _show(shown, as_json)
    _finish(shown, stopped)


def _default_files(artifacts: Path, runtimes: Sequence[str]) -> list[Path]:
    """All model files of the folder; b0, converted here and now, where there is none."""
    from edgeeff.cases import model_files

    found = model_files(artifacts, runtimes)
    if not found and runtimes:
        raise UsageError(f"no file in {artifacts} is for {' or '.join(runtimes)}", "make one: edgeeff convert")
    if not found:
        from edgeeff.cli.convert import convert_default

        say(f"no model file in {artifacts}: converting b0 to TFLite first")
        found = convert_default(artifacts)
    return found


def _measure(
    cases: Sequence[Case], device: Device, wanted: Wanted, out: Path, measured: dict[str, Measurement]
) -> None:
    """Runs the session; each launch is on disk and in `measured` as soon as it ends."""
    from edgeeff.harness import run_session
    from edgeeff.store import Writer

    seconds = wanted.policy.seconds
    say(f"timing {len(cases)} {'case' if len(cases) == 1 else 'cases'} on {device.name} for up to {seconds:g} s")
    with Writer(out, wanted.session, __version__) as writer, _progress(seconds) as show:
        for done in run_session(cases, device, wanted.policy, random.Random(wanted.seed)):
            measured[done.measurement.id] = done.measurement
            writer.launch(done.measurement, done.launch)
            show(done)
    say(f"raw samples are in {writer.path}")


@contextmanager
def _progress(seconds: float) -> Iterator[Callable[[LaunchDone], None]]:
    """A bar over the time budget where a person watches, else a line a launch."""
    if not sys.stderr.isatty():
        yield lambda done: say(_line(done))
        return
    with click.progressbar(length=round(seconds * 10), file=sys.stderr, show_pos=False) as bar:
        yield lambda done: bar.update(min(round(done.elapsed_s * 10), bar.length or 0) - bar.pos)


def _line(done: LaunchDone) -> str:
    from edgeeff import stats

    m, launch = done.measurement, done.launch
    result = launch.error or f"{stats.launch_median_s(launch) * 1e3:.4g} ms"
    return f"{done.elapsed_s:5.1f} s  {m.path} {m.runtime} x{m.threads} launch {launch.index + 1}: {result}"


def _show(measurements: Sequence[Measurement], as_json: bool) -> None:
    from edgeeff.report.bench_table import bench_json, bench_text

    if as_json:
        print_json(bench_json(measurements))
    else:
        click.echo(bench_text(measurements), nl=False)


def _finish(measurements: Sequence[Measurement], stopped: EdgeeffError | KeyboardInterrupt | None) -> None:
    """Ends the command as the session ended.

    A file that gave no sample at all fails the command, even beside others that did: a script that asked for four
    latencies must not take three for success. Single lost launches are warnings.
    """
    from edgeeff import stats

    failed = [m for m in measurements if not stats.succeeded(m)]
    if stopped is None and failed:
        names = ", ".join(f"{m.path} ({m.runtime})" for m in failed)
        stopped = MeasurementError(f"could not be measured: {names}", failed[0].launches[-1].error or "")
    if stopped is not None and measurements:
        # The document is already on stdout, and there is only one.
        failed_with = stopped.exit_code if isinstance(stopped, EdgeeffError) else INTERRUPTED
        say(f"error: {stopped}" if isinstance(stopped, EdgeeffError) else "interrupted")
        click.get_current_context().exit(failed_with)
    if stopped is not None:
        raise stopped
