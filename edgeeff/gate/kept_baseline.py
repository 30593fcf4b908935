"""A baseline to keep: model files with their manifests and hashes, in a folder or in one archive.

A folder is for a CI system's cache, an archive for a release. Both hold the files as they are, so that
`edgeeff check --against FOLDER` takes the folder directly, and an index, `baseline.json`, by which every file is
checked when it is read again. The same files give the same archive, byte for byte.
"""

from __future__ import annotations

import gzip
import io
import json
import secrets
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeeff import __version__
from edgeeff.artifacts import manifest_path, read_manifest
from edgeeff.documents import document_of, read_document
from edgeeff.errors import UsageError
from edgeeff.files import cannot_read, cannot_write, read_bytes, replacing, sha256_of

SCHEMA = 1
"""1 (2026-11): {"schema", "tool_version", "entries": [`Entry`]}."""

INDEX = "baseline.json"
ARCHIVES = (".tar.gz", ".tgz")
MOST_BYTES = 4 << 30
"""Of a file in an archive; no model file is larger than 2 GB, and a damaged header may promise anything."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model file of a baseline; what its manifest says of it, as far as it has one."""

    file: str
    sha256: str
    size_bytes: int
    manifest_sha256: str | None
    variant: str | None
    format: str
    precision: str | None
    weights: str | None


@dataclass(frozen=True, slots=True)
class _Index:
    """What `baseline.json` holds."""

    tool_version: str
    entries: tuple[Entry, ...]


def save(files: Sequence[Path], target: Path) -> list[Entry]:
    """Keeps model files and their manifests; what was there before is replaced when all is written.

    Args:
        target: a folder, or an archive by its suffix .tar.gz.

    Raises:
        UsageError: a file is missing or two have one name, or the target cannot be written.
    """
    names = [path.name for path in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two files are called {twice}: a baseline keeps one of a name", "rename one of them")
    if not files:
        raise UsageError("no file to keep as a baseline", "edgeeff baseline save FILE ... --to FOLDER")
    entries = [_entry(path) for path in files]
    sources = {path.name: path for path in files}
    sources |= {
        manifest_path(p).name: manifest_path(p) for p, e in zip(files, entries, strict=True) if e.manifest_sha256
    }
    text = json.dumps(document_of(_Index(__version__, tuple(entries)), SCHEMA), indent=2) + "\n"
    try:
        if _is_archive(target):
            with replacing(target) as temporary:
                _write_archive(temporary, sources, text)
        else:
            _write_folder(target, sources, text)
    except OSError as error:
        raise cannot_write(target, error) from error
    return entries


def _entry(path: Path) -> Entry:
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "edgeeff convert writes model files into ./artifacts")
    manifest = read_manifest(path)
    return Entry(
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        manifest_sha256=sha256_of(manifest_path(path)) if manifest else None,
        variant=manifest.variant if manifest else None,
        format=manifest.format if manifest else path.suffix[1:].lower(),
        precision=manifest.precision if manifest else None,
        weights=manifest.weights if manifest else None,
    )


def _write_folder(target: Path, sources: dict[str, Path], index: str) -> None:
    """Writes beside the target, then takes its place, so that there is always a whole baseline."""
    if target.exists() and not (target / INDEX).is_file() and any(target.iterdir()):
        raise UsageError(f"{target} holds other files and is no baseline", "name a new folder, or an empty one")
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.parent / f".{target.name}-{secrets.token_hex(4)}"
    try:
        made.mkdir()
        for name, source in sources.items():
            shutil.copyfile(source, made / name)
        (made / INDEX).write_text(index, encoding="utf-8")
        old = made.with_name(f"{made.name}-old")
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _write_archive(path: Path, sources: dict[str, Path], index: str) -> None:
    with (
        path.open("wb") as raw,
        # Without a name and a date, which would make other bytes of the same files.
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        _add(archive, INDEX, index.encode())
        for name in sorted(sources):
            _add(archive, name, read_bytes(sources[name]))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def read(source: Path) -> list[Entry]:
    """The entries of a baseline, every file checked by its hash.

    Raises:
        UsageError: it is missing, not a baseline, from a later edgeeff, or a file is not what was saved.
    """
    with _opened(source) as (entries, _):
        return entries


def restore(source: Path, folder: Path) -> list[Entry]:
    """Puts a baseline's files into a folder, each checked by its hash first; other files there stay.

    Raises:
        UsageError: see `read`, or the folder cannot be written.
    """
    with _opened(source) as (entries, place):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in [name for entry in entries for name in _files_of(entry)]:
                with replacing(folder / name) as temporary:
                    shutil.copyfile(place / name, temporary)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return entries


@contextmanager
def _opened(source: Path) -> Iterator[tuple[list[Entry], Path]]:
    """The entries and the folder that the files are in, checked."""
    if not source.exists():
        raise UsageError(f"there is no baseline {source}", f"edgeeff baseline save FILE ... --to {source}")
    if source.is_dir():
        yield _checked(source, source), source
        return
    with tempfile.TemporaryDirectory(prefix="edgeeff-baseline-") as name:
        place = Path(name)
        _unpack(source, place)
        yield _checked(source, place), place


def _unpack(source: Path, place: Path) -> None:
    """Takes out plain files only, by their bare names: an archive may come from anywhere."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                plain = member.isfile() and Path(member.name).name == member.name and member.size <= MOST_BYTES
                content = archive.extractfile(member) if plain else None
                if content is None:
                    raise UsageError(f"{source} is not a baseline of edgeeff: it holds {member.name!r}", _CURE)
                with (place / member.name).open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{source} is no archive, or a damaged one: {error}", _CURE) from error
    except OSError as error:
        raise cannot_read(source, error) from error


_CURE = "save it again: edgeeff baseline save"


def _checked(source: Path, place: Path) -> list[Entry]:
    index = place / INDEX
    if not index.is_file():
        raise UsageError(f"{source} is not a baseline of edgeeff: it has no {INDEX}", _CURE)
    try:
        entries = read_document(index, _Index, SCHEMA, shown=source).entries
    except ValueError as error:
        raise UsageError(f"{source}: its {INDEX} is damaged", _CURE) from error
    for entry in entries:
        for name, sha256 in _files_of(entry).items():
            if Path(name).name != name:
                raise UsageError(f"{source}: its {INDEX} is damaged: it names {name!r}", _CURE)
            if not (place / name).is_file():
                raise UsageError(f"{source}: {name} is missing", _CURE)
            if sha256_of(place / name) != sha256:
                raise UsageError(f"{source}: {name} is not the file that was saved: its SHA-256 differs", _CURE)
    return list(entries)


def _files_of(entry: Entry) -> dict[str, str]:
    """The names of an entry's files, with their hashes."""
    found = {entry.file: entry.sha256}
    if entry.manifest_sha256 is not None:
        found[manifest_path(Path(entry.file)).name] = entry.manifest_sha256
    return found


def _is_archive(path: Path) -> bool:
    return path.name.endswith(ARCHIVES)
