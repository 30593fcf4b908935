"""`edgeeff devices`: what is connected, and whether it works."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeeff import registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._runner_file import on_this_machine, runner_option
from edgeeff.cli._shared import json_option, print_json, say, say_error, say_stopped
from edgeeff.errors import DeviceError, EdgeeffError

if TYPE_CHECKING:
    from edgeeff.doctor import Finding
    from edgeeff.downloads import Pinned
    from edgeeff.values import Connected, DeviceProfile

MARKS = {True: "ok", False: "FAILS", None: "note"}


@click.group("devices", invoke_without_command=True)
@json_option
@click.pass_context
def devices(ctx: click.Context, /, as_json: bool) -> None:
    """List the connected devices: in which state, of which kind of the catalog, and what would time files there.

    `edgeeff devices doctor --device X` examines one end to end.
    """
    if ctx.invoked_subcommand is not None:
        return
    from edgeeff.catalog import load_catalog
    from edgeeff.targets import seen_everywhere

    found, problems = seen_everywhere(load_catalog())
    rows = [_device(device, profile) for device, profile in found]
    if as_json:
        print_json({"devices": rows, "problems": [{"message": p.message, "hint": p.hint} for p in problems]})
        return
    print_text(_table(rows))
    for problem in problems:
        say_error(problem, "note")


def _device(device: Connected, profile: DeviceProfile) -> dict[str, Any]:
    from edgeeff.measuring.cases import usual_runner
    from edgeeff.targets import argument_of

    runners: dict[str, dict[str, str | None]] = {}
    for format_name in sorted(registry.converters()):
        if registry.runners_for(format_name, profile.kind):
            runner = usual_runner(format_name, profile)
            runners[format_name] = {"runner": runner.name, "missing": runner.missing(profile, None)}
    return {
        "device": argument_of(device),
        "transport": device.transport,
        "address": device.address,
        "state": device.state,
        "cure": device.cure,
        "properties": dict(device.properties),
        "profile": profile.name,
        "title": profile.title,
        "accelerators": list(profile.accelerators),
        "runners": runners,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    from edgeeff.report._table import Column, Table, text

    cells = []
    notes: list[str] = []
    for row in rows:
        known = row["state"] == "ready"
        runs = [
            f"{name}: {entry['runner']}{' [*]' if entry['missing'] else ''}" for name, entry in row["runners"].items()
        ]
        cells.append(
            [
                row["device"],
                row["state"],
                row["properties"].get("model", "") or "?",
                row["profile"] if known else "?",
                ", ".join(runs) if known else "",
            ]
        )
        if row["cure"]:
            notes.append(f"{row['device']} ({row['state']}): {row['cure']}")
        if known:
            notes += [f"[*] {e['runner']}: {e['missing']}" for e in row["runners"].values() if e["missing"]]
    columns = [Column("--device"), Column("state"), Column("model"), Column("catalog"), Column("would run")]
    below = "".join(f"{note}\n" for note in dict.fromkeys(notes))
    return text(Table(columns, cells)) + (f"\n{below}" if below else "")


@devices.command("doctor", short_help="Examine a connected device end to end.")
@click.option("--device", "device_name", default="host", show_default=True, help="As for edgeeff bench.")
@click.option("--serial", help="The address of the device, where several fit.")
@runner_option("benchmark_model or the like")
@json_option
def doctor(device_name: str, serial: str | None, runner_file: Path | Pinned | None, as_json: bool) -> None:
    """Examine a connected device end to end, and say what works.

    Pushes files, runs programs, kills one, reads the condition, and times a tiny network on each accelerator. Nothing
    stays on the device but edgeeff's own cache of files.
    """
    from edgeeff.doctor import examine
    from edgeeff.targets import resolve

    (target,) = resolve(device_name, serial=serial)
    program = on_this_machine(runner_file)
    findings: list[Finding] = []
    with registry.transport(target.connected.transport).open(target) as device, _models() as models:
        say(f"examining {target.connected.address} ({target.profile.title})")
        for finding in examine(device, models, program):
            findings.append(finding)
            if not as_json:
                click.echo(_line(finding))
    if as_json:
        from edgeeff.codec import encode

        print_json({"device": target.connected.address, "findings": [encode(finding) for finding in findings]})
    failed = [finding.name for finding in findings if finding.works is False]
    if failed:
        error = DeviceError(f"{target.connected.address}: {', '.join(failed)} failed")
        click.get_current_context().exit(say_stopped(error))


def _line(finding: Finding) -> str:
    from edgeeff.wording import printable

    line = f"{MARKS[finding.works]:<5}  {finding.name:<14}  {printable(finding.detail)}"
    return line + (f"\n{'':23}{printable(finding.cure)}" if finding.cure and finding.works is not True else "")


@contextmanager
def _models() -> Iterator[dict[str, Path]]:
    """A tiny network in each format that can be written here."""
    import numpy as np

    from edgeeff.graph import Graph, Node
    from edgeeff.ops import Conv2d, Dense, Mean

    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    nodes = (
        Node("stem", Conv2d(weight(8, 3, 3, 3), weight(8), (2, 2), (1, 1, 1, 1), activation="relu6"), ("image",)),
        Node("pool", Mean((2, 3), False), ("stem",)),
        Node("classifier", Dense(weight(10, 8), weight(10)), ("pool",)),
    )
    graph = Graph("tiny", {"image": (1, 3, 32, 32)}, nodes, ("classifier",))
    with tempfile.TemporaryDirectory() as folder:
        written: dict[str, Path] = {}
        for name, converter in registry.converters().items():
            path = Path(folder) / f"tiny.{name}"
            try:
                converter.write(graph, path, precision="fp32", metadata={})
            except EdgeeffError as error:
                say(f"note: {name} is left out: {error.message}")
                continue
            written[name] = path
        yield written
