"""`edgeeff bench` on several devices at once: a process of its own for each.

So each device is measured serially in itself, they run in parallel, and one that is lost takes no other with it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from edgeeff.cli._shared import say
from edgeeff.errors import DeviceError, EdgeeffError, MeasurementError
from edgeeff.signals import undisturbed
from edgeeff.targets import argument_of

if TYPE_CHECKING:
    from edgeeff.values import Measurement, Target

GRACE_S = 60.0
"""For a device's process to end its launch, tidy up and restore what it changed."""


@dataclass(slots=True)
class _Child:
    """The process of one device."""

    name: str
    session: str
    process: subprocess.Popen[str]
    thread: threading.Thread


def run_many(
    targets: Sequence[Target], arguments: Sequence[str], session: str, out: Path
) -> tuple[list[Measurement], EdgeeffError | KeyboardInterrupt | None]:
    """Runs `edgeeff bench` for each target and waits for all of them.

    Args:
        arguments: of each, without its device and session.

    Returns:
        What was measured, and what stopped it: the first device's error, or the user.
    """
    children: list[_Child] = []
    stopped: EdgeeffError | KeyboardInterrupt | None = None
    try:
        for i, target in enumerate(targets):
            with undisturbed():  # else Ctrl-C could come when it runs and is not among the children yet
                children.append(_start(target, _named(target, targets), arguments, f"{session}-{i}"))
        for child in children:
            child.process.wait()
    except KeyboardInterrupt as interrupt:
        stopped = interrupt
    finally:
        with undisturbed():  # each has its time, and none stays
            _stop(children)
    for child in children:
        child.thread.join()
    if stopped is None:
        stopped = next((_error(child) for child in children if child.process.returncode), None)
    return _measured(children, out), stopped


def _named(target: Target, targets: Sequence[Target]) -> list[str]:
    """The options that mean one device: by the user's own name for it, or by its address where that means several."""
    if sum(other.name == target.name for other in targets) > 1:
        return ["--device", argument_of(target.connected)]
    return ["--device", target.name, "--serial", target.connected.address]


def _start(target: Target, named: Sequence[str], arguments: Sequence[str], session: str) -> _Child:
    argv = [sys.executable, "-m", "edgeeff", "bench", *named, "--session", session, *arguments]
    name = argument_of(target.connected)
    null = subprocess.DEVNULL
    # A session of its own, so that a terminal's Ctrl-C reaches it through us alone, and once.
    process = subprocess.Popen(
        argv, stdin=null, stdout=null, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    assert process.stderr is not None
    thread = threading.Thread(target=_relay, args=(name, process.stderr))
    thread.start()
    return _Child(name, session, process, thread)


def _relay(name: str, lines: IO[str]) -> None:
    with lines:
        for line in lines:
            say(f"{name}  {line.rstrip()}")


def _stop(children: Sequence[_Child]) -> None:
    """Lets each that still runs end as Ctrl-C lets it."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()  # it ends by that as by Ctrl-C, and silently where it has hardly begun
    for child in children:
        try:
            child.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.process.kill()


def _error(child: _Child) -> EdgeeffError:
    """Its own words are on stderr already; this is its exit code as an error of ours."""
    code = child.process.returncode
    kind = MeasurementError if code == MeasurementError.exit_code else DeviceError
    error = kind(f"{child.name} ended with exit code {code}", "its own lines above say why")
    error.exit_code = code if 0 < code < 8 else DeviceError.exit_code
    return error


def _measured(children: Sequence[_Child], out: Path) -> list[Measurement]:
    from edgeeff import store

    found: list[Measurement] = []
    for child in children:
        for path in out.glob(f"*-{child.session}.jsonl"):
            found.extend(store.read(path))
    return found


def repeated(ctx: click.Context) -> list[str]:
    """The command's arguments again, without those that say on which device, and how it is shown."""
    argv: list[str] = []
    left_out = ("device_names", "serial", "every", "session", "as_json", "help")
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if not isinstance(param, click.Option) or param.name in left_out or value is None:
            continue
        if param.is_flag:
            argv += [param.opts[0]] if value else []
        else:
            texts = map(_text, value) if param.multiple else [_text(value)]
            argv += [part for text in texts for part in (param.opts[0], text)]
    return [*argv, "--", *map(str, ctx.params["files"])] if ctx.params["files"] else argv


def _text(value: Any) -> str:
    match value:
        case (str(name), (*sizes,)):
            return f"{name}={'x'.join(map(str, sizes))}"
        case (*numbers,):
            return ",".join(map(str, numbers))
    return repr(value) if isinstance(value, float) else str(value)
