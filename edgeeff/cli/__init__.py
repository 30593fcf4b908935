"""The command line. The only place that prints, and the only one where adapters meet.

Every command is one module, imported when it is called, so that `edgeeff --help` costs no more than click.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import Sequence

import click

from edgeeff import __version__
from edgeeff.cli._shared import INTERRUPTED, Printed, plain, say, say_error
from edgeeff.errors import EdgeeffError, UsageError, unknown_name
from edgeeff.signals import STOPS

COMMANDS = {
    "variants": "List the networks: coefficients, parameters, multiply-adds, accuracy.",
    "convert": "Write a network as ONNX or TFLite, and prove that the file computes the same.",
    "bench": "Time model files on a device.",
    "check": "Say whether a file became slower than its baseline: the gate for CI.",
    "profile": "Time each op of a file: where the time goes.",
    "evaluate": "Measure how right a file is on labelled images, and how close to its float file.",
    "search": "Search a network for a device and your images: MnasNet's loop, small.",
    "predict": "Estimate what a network would take on a device, by a model fitted there.",
    "devices": "Show what is connected, and whether it works.",
    "history": "Show how latencies went over time, where they changed, and whether they creep.",
    "baseline": "Keep the files that edgeeff check compares with.",
    "scale": "Scale a network by phi, or find the largest phi that fits a target.",
    "report": "Show where each file stands against the MnasNet objective.",
}


class Commands(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"edgeeff.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise unknown_name("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgeeff")
def cli() -> None:
    """Scaled EfficientNets to ONNX and TFLite, measured on the device itself.

    Exit codes: 0 fine, 1 regressed, 2 usage or a missing extra, 3 inconclusive, 4 refused (not comparable),
    5 device, 6 conversion or parity, 7 measurement.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point: maps every error to one sentence on stderr and an exit code."""
    argv = sys.argv[1:] if argv is None else argv
    Printed.document = False
    _guard_streams()
    stop = _Stop()
    try:
        code = cli.main(args=list(argv), prog_name="edgeeff", standalone_mode=False)
        stop.end()
    except (click.Abort, KeyboardInterrupt):
        stop.end()
        code = _interrupted(argv)
    except Exception as error:
        stop.end()
        # A native module that is interrupted while it is imported makes an ImportError of it.
        code = _interrupted(argv) if stop.asked else _failed(error, argv)
    else:
        # Asked for in the last moment, or swallowed by a library that catches everything: done, but not as if unasked.
        code = _asked_too_late(code) if stop.asked else code
    sys.exit(code if isinstance(code, int) else 0)


ONE_STOP_S = 1.0
"""A second signal within this time says the same as the first: a key that was hit twice, or a terminal and a parent
that both pass it on. It must not interrupt the cleaning up; a later one may."""


class _Stop:
    """Remembers that Ctrl-C was pressed, and lets SIGTERM and SIGHUP clean up in the same way.

    So no temporary file and no running child stays behind. Python swallows what is raised in the callback of a weak
    reference or in a finalizer, and the work would go on to its end; a signal that fell into one is raised once more.
    """

    def __init__(self) -> None:
        self.asked = self._again = False
        self._asked_s = 0.0
        self._usual_hook, sys.unraisablehook = sys.unraisablehook, self._swallowed
        for number in STOPS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # nohup ignores SIGHUP
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        if self.asked and time.monotonic() - self._asked_s < ONE_STOP_S:
            return
        self.asked, self._asked_s = True, time.monotonic()
        raise KeyboardInterrupt

    def _ask_again(self, number: int, frame: object) -> None:
        raise KeyboardInterrupt

    def end(self) -> None:
        """The work is over: what was to be raised once more is not, and who asks now is too late."""
        for number in STOPS:
            # Python itself takes its own handlers away while it ends; a signal would kill it then.
            if signal.getsignal(number) == self._ask:
                signal.signal(number, signal.SIG_IGN)
        # Where what was raised passed through an exec() of a string (dataclasses have one), `python -m` remembers it as
        # not handled, and would end by SIGINT whatever our exit code is. It forgets that with the next string.
        eval("0")
        sys.unraisablehook = self._usual_hook
        if self._again:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _swallowed(self, unraisable: sys.UnraisableHookArgs) -> None:
        if not (self.asked and isinstance(unraisable.exc_value, KeyboardInterrupt)):
            self._usual_hook(unraisable)
        elif hasattr(signal, "setitimer"):  # Windows has none: there the exit code alone tells
            self._again = True
            signal.signal(signal.SIGALRM, self._ask_again)
            signal.setitimer(signal.ITIMER_REAL, 0.02)  # not at once: the callback is still on the stack


def _asked_too_late(code: object) -> int:
    if code != INTERRUPTED:  # else the command has told by itself what it kept
        say("interrupted")
    return INTERRUPTED


def _interrupted(argv: Sequence[str]) -> int:
    say("interrupted")
    return _document(EdgeeffError("interrupted"), INTERRUPTED, argv)


def _failed(error: Exception, argv: Sequence[str]) -> int:
    """The sentence and the exit code of an error; one that nobody foresaw is raised again."""
    match error:
        case EdgeeffError():
            return _fail(error, argv)
        case click.ClickException():
            shown = io.StringIO()
            error.show(shown)
            click.echo(plain(shown.getvalue()), nl=False, err=True)
            return _document(UsageError(error.format_message()), error.exit_code, argv)
        case MemoryError():
            cure = "close other programs, or take a smaller network or resolution"
            return _fail(UsageError("out of memory", cure), argv)
        case ImportError():
            # A package that is absent has its own error; this one is there and broken, or memory is short.
            cure = "free some memory, or install the package again"
            return _fail(UsageError(f"a package cannot be loaded: {error}", cure), argv)
        case OSError():
            return _system_error(error, argv)
    raise error


def _fail(error: EdgeeffError, argv: Sequence[str]) -> int:
    say_error(error)
    return _document(error, error.exit_code, argv)


def _document(error: EdgeeffError, code: int, argv: Sequence[str]) -> int:
    """Prints the one JSON document of a command that failed, where one was asked for; returns the exit code."""
    if "--json" in argv and not Printed.document:
        click.echo(json.dumps({"error": {"message": error.message, "hint": error.hint, "exit_code": code}}))
    return code


def _system_error(error: OSError, argv: Sequence[str]) -> int:
    """What the system refused: a path that cannot even be looked at, or an output that takes no more."""
    reason = (error.strerror or str(error)).lower()
    if error.filename is not None:
        path = os.fsdecode(error.filename)
        return _fail(UsageError(f"cannot use {path}: {reason}", "check the path and its permissions"), argv)
    # Standard output, since a file would have a name. What is left in its buffer would fail again at the exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        return 141  # the reader went away (`edgeeff variants | head`): nothing is left to be told
    say_error(UsageError(f"cannot write to standard output: {reason}", "free some space, or send the output elsewhere"))
    return UsageError.exit_code


def _guard_streams() -> None:
    """Makes the standard streams safe to write to, whatever the caller has done with them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets the number, and a runtime's messages go into it.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold what the terminal's encoding does not.
        sys.stdout.reconfigure(errors="backslashreplace")
