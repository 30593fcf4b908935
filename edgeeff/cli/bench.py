"""`edgeeff bench`: times model files on a device."""

from __future__ import annotations

import random
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import __version__, registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._runner_file import on_this_machine, runner_option
from edgeeff.cli._shared import json_option, print_json, say, say_stopped
from edgeeff.cli._types import Duration, InputShape, Positive, Share, Threads
from edgeeff.errors import EdgeeffError, MeasurementError, UsageError
from edgeeff.wording import counted

if TYPE_CHECKING:
    from edgeeff.measuring.cases import Wanted
    from edgeeff.measuring.harness import LaunchDone
    from edgeeff.measuring.launch import Case
    from edgeeff.protocols import Device
    from edgeeff.values import DeviceProfile, Measurement, Target


@click.command("bench")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device",
    "device_names",
    default=("host",),
    multiple=True,
    show_default=True,
    help="host, a name of the catalog (pixel), adb:SERIAL, ssh://user@host, FILE.toml. Repeatable: at the same time.",
)
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--all", "every", is_flag=True, help="All connected devices that fit, at the same time.")
@click.option("--runtime", "runtimes", multiple=True, help="litert, onnxruntime ... Repeatable. Default: the device's.")
@runner_option("benchmark_model or the like")
@click.option("--threads", type=Threads(), help="One or several numbers: 1,4. Default: the device's, mostly 1.")
@click.option("--cores", help="all, big, or a list such as 4-7. Default: the device's.")
@click.option("--accelerator", default="cpu", show_default=True, help="cpu, gpu or npu: what the device has.")
@click.option("--allow-fallback", is_flag=True, help="Measure a GPU or NPU run that left ops to the CPU.")
@click.option("--seconds", type=Positive(), default=60.0, show_default=True, help="For the whole session.")
@click.option(
    "--precision-target",
    type=Share(),
    default="2%",
    show_default=True,
    help="A file is done when the interval's half-width is this share of the median.",
)
@click.option(
    "--cooldown", "cooldown_s", type=Duration(zero=True), help="Longest wait for a hot device. Default: the device's."
)
@click.option("--sustained", "sustained_s", type=Duration(), help="Run without a pause for so long: latency over time.")
@click.option("--fixed-performance", is_flag=True, help="Android's mode of steady clocks while measuring.")
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
@click.option("--session", hidden=True)
@json_option
def bench(
    files: Sequence[Path],
    device_names: Sequence[str],
    serial: str | None,
    every: bool,
    seconds: float,
    precision_target: float,
    cooldown_s: float | None,
    session: str | None,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Time model files on a device: several launches of each, in random order.

    FILES are .onnx and .tflite files, made by edgeeff or not; by default all those in ./artifacts, and where there
    are none, b0 is converted first. Raw samples go to the results folder as they come.
    """
    from edgeeff.measuring.cases import Wanted
    from edgeeff.measuring.harness import Policy
    from edgeeff.targets import resolve

    if serial is not None and len(device_names) > 1:
        raise UsageError("--serial says which device fits one --device", "leave one of them out")
    found = [t for name in dict.fromkeys(device_names) for t in resolve(name, serial=serial, every=every)]
    targets = list({(t.connected.transport, t.connected.address): t for t in found}.values())
    session = session or secrets.token_hex(4)
    runner_file = on_this_machine(options["runner_file"])
    if len(targets) > 1:
        from edgeeff.cli._bench_many import repeated, run_many

        measured, stopped = run_many(targets, repeated(click.get_current_context()), session, out)
    else:
        wanted = Wanted(
            session,
            options["runtimes"],
            options["threads"] or (),
            options["accelerator"],
            runner_file,
            options["cores"],
            options["allow_fallback"],
            options["fixed_performance"],
            dict(options["shapes"]),
            options["seed"],
            Policy(seconds, precision_target, cooldown_s),
        )
        measured, stopped = _run_one(targets[0], files, options["artifacts"], wanted, options["sustained_s"], out)
    if measured:
        _show(measured, as_json)
    _finish(measured, stopped)


def _run_one(
    target: Target, files: Sequence[Path], artifacts: Path, wanted: Wanted, sustained_s: float | None, out: Path
) -> tuple[list[Measurement], EdgeeffError | KeyboardInterrupt | None]:
    """Measures on one device; what was measured before something stopped it is returned with it."""
    from edgeeff.measuring.cases import build_cases, check_input_shapes

    measured: dict[str, Measurement] = {}
    stopped: EdgeeffError | KeyboardInterrupt | None = None
    with registry.transport(target.connected.transport).open(target) as device:
        files = files or _default_files(artifacts, wanted, device.profile)
        check_input_shapes(files, wanted.shapes)
        cases = build_cases(files, device, wanted)
        try:
            with device.hold_performance() if wanted.fixed_performance else nullcontext():
                _measure(cases, device, wanted, sustained_s, out, measured)
        except (EdgeeffError, KeyboardInterrupt) as error:
            stopped = error
    return [measured[case.measurement.id] for case in cases if case.measurement.id in measured], stopped


def _default_files(artifacts: Path, wanted: Wanted, profile: DeviceProfile) -> list[Path]:
    """All model files of the folder that the device can run; b0, converted here and now, where there is none."""
    from edgeeff.measuring.cases import model_files, runs_on

    found = model_files(artifacts, wanted.runtimes)
    if not found and wanted.runtimes:
        raise UsageError(f"no file in {artifacts} is for {' or '.join(wanted.runtimes)}", "make one: edgeeff convert")
    if not found:
        from edgeeff.cli.convert import convert_default

        say(f"no model file in {artifacts}: converting b0 to TFLite first")
        return convert_default(artifacts)
    able = [path for path in found if wanted.runtimes or runs_on(path, profile, wanted.runner_file)]
    if able and len(able) < len(found):
        say(f"{len(found) - len(able)} of {len(found)} files left out: nothing is at hand that times them there")
    return able or found


def _measure(
    cases: Sequence[Case],
    device: Device,
    wanted: Wanted,
    sustained_s: float | None,
    out: Path,
    measured: dict[str, Measurement],
) -> None:
    """Runs the session; each launch is on disk and in `measured` as soon as it ends."""
    from edgeeff.measuring.harness import run_session, run_sustained
    from edgeeff.store import Writer

    seconds = wanted.policy.seconds if sustained_s is None else sustained_s * len(cases)
    say(f"timing {counted(len(cases), 'case')} on {device.name} for up to {seconds:g} s")
    if sustained_s is None:
        launches = run_session(cases, device, wanted.policy, random.Random(wanted.seed), on_wait=say)
    else:
        launches = (done for case in cases for done in run_sustained(case, device, sustained_s))
    with Writer(out, wanted.session, __version__) as writer, _progress(seconds) as show:
        for done in launches:
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
    from edgeeff.measuring.sustained import is_sustained
    from edgeeff.report.bench_table import bench_json, bench_text
    from edgeeff.report.sustained_table import sustained_json, sustained_text

    sustained = all(map(is_sustained, measurements))
    if as_json:
        print_json(sustained_json(measurements) if sustained else bench_json(measurements))
    else:
        print_text(sustained_text(measurements) if sustained else bench_text(measurements))


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
        click.get_current_context().exit(say_stopped(stopped))
    if stopped is not None:
        raise stopped
