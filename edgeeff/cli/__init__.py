"""The command line. The only place that prints, and the only one where adapters meet.

Every command is one module, imported when it is called, so that `edgeeff --help` costs no more than click.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence

import click

from edgeeff import __version__
from edgeeff.errors import EdgeeffError, unknown_name

COMMANDS = {
    "variants": "List the networks: coefficients, parameters, multiply-adds, accuracy.",
    "convert": "Write a network as ONNX or TFLite, and prove that the file computes the same.",
    "bench": "Time model files on a device.",
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


def _fail(error: EdgeeffError, argv: Sequence[str]) -> int:
    click.echo(f"error: {error}", err=True)
    if "--json" in argv:
        fields = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        click.echo(json.dumps({"error": fields}))
    return error.exit_code


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point: maps every error to one sentence on stderr and an exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        code = cli.main(args=list(argv), prog_name="edgeeff", standalone_mode=False)
    except EdgeeffError as error:
        code = _fail(error, argv)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except MemoryError:
        click.echo("error: out of memory\n  close other programs, or take a smaller network or resolution", err=True)
        code = 2
    except BrokenPipeError:
        # The reader of our output went away (`edgeeff variants | head`): nothing is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code if isinstance(code, int) else 0)
