"""`edgeeff profile`: how long each op of a file takes on a device."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeeff import registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._runner_file import on_this_machine, runner_option
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.cli._types import InputShape

if TYPE_CHECKING:
    from edgeeff.downloads import Pinned
    from edgeeff.profiling.join import StepTimes


@click.command("profile")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--device",
    "device_name",
    default="host",
    show_default=True,
    help="host, a name of the catalog (pixel), adb:SERIAL, ssh://user@host, FILE.toml.",
)
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--runtime", help="litert, onnxruntime, benchmark_model. Default: by format and device.")
@runner_option("benchmark_model")
@click.option("--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="Of the runtime.")
@click.option("--launches", type=click.IntRange(1, 100), default=3, show_default=True, help="Processes.")
@click.option(
    "--input-shape", "shapes", multiple=True, type=InputShape(), help="For inputs that a file leaves open. Repeatable."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the inputs.")
@click.option("--top", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many ops are listed.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="The folder.")
@json_option
def profile(
    file: Path,
    device_name: str,
    serial: str | None,
    runtime: str | None,
    runner_file: Path | Pinned | None,
    threads: int,
    launches: int,
    shapes: Sequence[tuple[str, tuple[int, ...]]],
    seed: int,
    top: int,
    out: Path,
    as_json: bool,
) -> None:
    """Time each op of FILE by the runtime's own profiler, and show where the time goes.

    FILE is an .onnx or .tflite file, made by edgeeff or not. The ops' times are joined with the file's multiply-adds,
    by kind of op and by block of the network. The profile is kept in the results folder.
    """
    from edgeeff.measuring.cases import Wanted, build_cases, check_input_shapes
    from edgeeff.profiling.profile_session import ProfilePolicy, profile_case
    from edgeeff.profiling.profiles import write_profile
    from edgeeff.report.profile_table import profile_json, profile_text
    from edgeeff.targets import resolve

    def told(number: int, times: StepTimes) -> None:
        result = times.error or f"{len(times.steps)} steps, {times.profiled_s * 1e3:.4g} ms an inference"
        say(f"launch {number + 1} of {launches}: {result}")

    (target,) = resolve(device_name, serial=serial)
    wanted = Wanted(
        secrets.token_hex(4),
        [runtime] if runtime else [],
        [threads],
        runner_file=on_this_machine(runner_file),
        shapes=dict(shapes),
        seed=seed,
    )
    with registry.transport(target.connected.transport).open(target) as device:
        check_input_shapes([file], wanted.shapes)
        (case,) = build_cases([file], device, wanted)
        found = profile_case(case, device, ProfilePolicy(launches), told)
    say(f"the profile is in {write_profile(found, out)}")
    if as_json:
        print_json(profile_json(found))
    else:
        print_text(profile_text(found, top))
