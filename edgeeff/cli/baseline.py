"""`edgeeff baseline`: keeps the files that `edgeeff check` compares with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeeff.cli._fit import print_text
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.errors import UsageError
from edgeeff.wording import counted

if TYPE_CHECKING:
    from edgeeff.gate.kept_baseline import Entry

DEFAULT = Path("baseline")

where = click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="A folder (for a cache), or an archive ending in .tar.gz (for a release).",
)


@click.group("baseline")
def baseline() -> None:
    """Keep the files that `edgeeff check` compares with: in a folder for a CI cache, or in an archive for a release.

    An artifact is kept, never a latency: what a number was on another day says nothing of today's machine.
    """


@baseline.command("save", short_help="Keep model files as a baseline.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="Where files are looked for when none is named.",
)
@where
@json_option
def save(files: Sequence[Path], artifacts: Path, target: Path, as_json: bool) -> None:
    """Keep FILES with their manifests and hashes; by default all model files in ./artifacts.

    FILES are model files, manifests or folders of them. A baseline is replaced whole: a file that it held and that is
    not among FILES is no longer in it, which is said.
    """
    from edgeeff.gate import kept_baseline as baselines
    from edgeeff.gate.baseline import candidates

    found = candidates(files or (artifacts,))
    held = _held(target)
    entries = baselines.save(found, target)
    say(f"saved {counted(len(entries), 'file')} to {target}")
    gone = [name for name in held if name not in {entry.file for entry in entries}]
    if gone:
        say(f"no longer in {target}, which was replaced whole: {', '.join(gone)}")
    _show(entries, as_json)


def _held(target: Path) -> list[str]:
    """The files of the baseline that is about to be replaced; none where there is none."""
    from edgeeff.gate import kept_baseline as baselines

    if not (target / baselines.INDEX if target.is_dir() else target).exists():
        return []
    try:
        return [entry.file for entry in baselines.read(target)]
    except UsageError as error:
        say(f"what {target} held is not listed: {error.message}")
        return []


@baseline.command("show", short_help="List what a baseline holds, and check it.")
@click.argument("source", type=click.Path(path_type=Path), default=DEFAULT)
@json_option
def show(source: Path, as_json: bool) -> None:
    """List what SOURCE holds, every file checked by its hash; ./baseline by default."""
    from edgeeff.gate import kept_baseline as baselines

    _show(baselines.read(source), as_json)


@baseline.command("restore", short_help="Put a baseline's files into a folder.")
@click.argument("source", type=click.Path(path_type=Path), default=DEFAULT)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("baseline-artifacts"), show_default=True, help="The folder."
)
@json_option
def restore(source: Path, out: Path, as_json: bool) -> None:
    """Put the files of SOURCE, a folder or an archive, into a folder, each checked by its hash."""
    from edgeeff.gate import kept_baseline as baselines

    entries = baselines.restore(source, out)
    say(f"restored {counted(len(entries), 'file')} into {out}")
    _show(entries, as_json)


def _show(entries: Sequence[Entry], as_json: bool) -> None:
    from edgeeff.report import _table
    from edgeeff.report._table import Column, Table

    if as_json:
        print_json({"entries": [asdict(entry) for entry in entries]})
        return
    names = [Column(name) for name in ("file", "variant", "format", "precision", "weights")]
    unit, bytes_each = ("MB", 1e6) if max((e.size_bytes for e in entries), default=0) >= 1e6 else ("kB", 1e3)
    columns = [*names, Column(f"size, {unit}", "decimal"), Column("sha256")]
    rows = [
        [
            e.file,
            e.variant or "-",
            e.format,
            *(text or "unknown" for text in (e.precision, e.weights)),
            f"{e.size_bytes / bytes_each:.2f}",
            e.sha256[:12],
        ]
        for e in entries
    ]
    print_text(_table.text(Table(columns, rows)))
