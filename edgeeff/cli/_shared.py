"""What several commands share: parameter types, the --json option, and how things are said."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from edgeeff.errors import EdgeeffError
from edgeeff.wording import printable

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and SIGINT, as shells have it."""

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """--json: one JSON document on stdout in place of the table."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


class Printed:
    """Whether the document of this run is out: one who presses Ctrl-C after that gets no second one."""

    document = False


def print_json(document: Mapping[str, Any]) -> None:
    """Prints the one JSON document of a command. Not-a-number has no place in it."""
    text = json.dumps(document, indent=2, allow_nan=False)
    Printed.document = True
    click.echo(text)


def say(message: str) -> None:
    """Progress, to stderr: one line."""
    click.echo(plain(printable(message)), err=True)


def say_error(error: EdgeeffError, kind: str = "error") -> None:
    """What went wrong in one line, and its cure, which may quote several of a foreign program."""
    say(f"{kind}: {error.message}")
    for line in error.hint.splitlines():
        say(f"  {line}")


def warn(message: str) -> None:
    """A warning, to stderr: one line."""
    click.secho(plain(f"warning: {printable(message)}"), err=True, fg="yellow")


COMMAND = re.compile(r"^\s*:(?=:)|#(?=#\[)", re.MULTILINE)
"""What GitHub's runner takes a line of a job's log for a command by: "::" at its beginning, "##[" anywhere."""


def plain(text: str) -> str:
    """The text without such lines: a foreign file's name may be one."""
    return COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):x}", text)


def say_stopped(stopped: EdgeeffError | KeyboardInterrupt) -> int:
    """Says what stopped a command that has shown what it had by then, and gives the exit code."""
    if isinstance(stopped, EdgeeffError):
        say_error(stopped)
        return stopped.exit_code
    say("interrupted")
    return INTERRUPTED


@contextmanager
def without_collection() -> Iterator[None]:
    """For what reads 100,000 measurements: values make no cycles, and looking for some takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
