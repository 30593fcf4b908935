"""A candidate and its baseline, and what says that there is none or none to be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeeff.artifacts import read_manifest
from edgeeff.errors import RefusedError, UsageError
from edgeeff.files import sha256_of
from edgeeff.measuring.cases import model_files


class NoBaselineError(UsageError):
    """There is nothing to compare a candidate with, as on the first build of all or of a new model."""


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate and its baseline.

    Args:
        name: as people say it: "b0 int8 tflite".
        origin: where the baseline is from, for the reader.
    """

    name: str
    candidate: Path
    baseline: Path
    origin: str


def label(path: Path) -> str:
    """ "b0 int8 tflite", by the manifest; else the file's name."""
    manifest = read_manifest(path)
    return path.name if manifest is None else f"{manifest.variant} {manifest.precision} {manifest.format}"


@contextmanager
def refusing(origin: object) -> Iterator[None]:
    """What is wrong with a baseline's content refuses the comparison: it is no mistake of who asked for it.

    Raises:
        RefusedError: with what is wrong.
    """
    try:
        yield
    except UsageError as error:
        raise RefusedError(f"the baseline in {origin} cannot be trusted: {error.message}", error.hint) from error


def of_hash(sha256: str, files: Iterable[Path]) -> Path | None:
    """The first file with this content; None where none has it."""
    return next((file for file in files if file.is_file() and sha256_of(file) == sha256), None)


def beside(recorded: Path, candidate: Path) -> Iterator[Path]:
    """Where a file may be that was moved, or has been written anew in its old place."""
    for folder in dict.fromkeys((recorded.parent, candidate.parent, Path("artifacts"))):
        if folder.is_dir():
            yield from model_files(folder, ())
