"""--runner: a program of the user's own, in a file or at an address with its hash."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgeeff.cli._shared import say

if TYPE_CHECKING:
    from edgeeff.downloads import Pinned

F = TypeVar("F", bound=Callable[..., Any])


class RunnerFile(click.ParamType["Path | Pinned"]):
    """A path, or "https://host/path#sha256=HEX"."""

    name = "file|url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | Pinned:
        from edgeeff.downloads import is_address, pinned

        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        return pinned(value) if is_address(value) else Path(value)


def runner_option(what: str) -> Callable[[F], F]:
    """The option.

    Args:
        what: the program may be.
    """
    return click.option(
        "--runner", "runner_file", type=RunnerFile(), help=f"Your own {what}: a file, or https://...#sha256=HEX."
    )


def on_this_machine(runner: Path | Pinned | None) -> Path | None:
    """The file, downloaded where it is not here yet.

    Raises:
        UsageError: it cannot be downloaded, or is another than was said.
    """
    if runner is None or isinstance(runner, Path):
        return runner
    from edgeeff.downloads import program, programs_folder

    name = re.sub(r"[^A-Za-z0-9._-]", "_", runner.url.partition("?")[0].rpartition("/")[2])[-60:]
    target = programs_folder() / f"{runner.sha256[:16]}-{name or 'runner'}"
    if not target.exists():
        say(f"downloading {runner.url}")
    return program(runner, target, "download it elsewhere, and give it with --runner FILE")
