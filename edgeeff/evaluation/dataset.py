"""Images with their classes: a folder for each class, or a folder of images and a file of labels."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.evaluation.classes import Classes, named
from edgeeff.evaluation.labels import read_labels
from edgeeff.files import cannot_read
from edgeeff.images import SUFFIXES
from edgeeff.wording import counted

LABEL_FILES = ("labels.csv", "labels.txt", "labels.json")
"""Looked for in the folder itself where it has no class folders."""

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Example:
    """One image. `name` is its path below the folder; `label` the output that should win, None where not known."""

    path: Path
    name: str
    label: int | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples in the order of their names. `notes` say what was left out or assumed."""

    root: Path
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_labelled(self) -> bool:
        return self.examples[0].label is not None

    @property
    def classes(self) -> int:
        """How many classes have an image here."""
        return len({example.label for example in self.examples} - {None})

    def digest(self) -> str:
        """Changes when an image is added, taken away, replaced or labelled anew; contents are not read."""
        listing = hashlib.sha256()
        for example in self.examples:
            try:
                status = example.path.stat()
            except OSError as error:
                raise cannot_read(example.path, error) from error
            row = [example.name, example.label, status.st_size, status.st_mtime_ns]
            listing.update(json.dumps(row).encode() + b"\n")
        return listing.hexdigest()


def find(root: Path, classes: Classes | None, outputs: int, labels: Path | None, *, need_labels: bool) -> Dataset:
    """The examples of a folder.

    Args:
        classes: those of the network; None takes the class folders as they are.
        outputs: of the network.
        labels: a file that labels the images, in place of class folders.
        need_labels: whether images without labels are of no use.

    Raises:
        UsageError: there is no image, a label is none of the classes, or no label can be had and one is needed.
    """
    names = _images(root)
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    if labels is None and not folders:
        labels = next((root / name for name in LABEL_FILES if (root / name).is_file()), None)
    if labels is not None:
        return _by_file(root, names, labels, classes or named([str(i) for i in range(outputs)], f"{outputs} outputs"))
    if folders:
        return _by_folder(root, names, folders, classes, outputs)
    if need_labels:
        raise UsageError(
            f"the {len(names)} images in {root} have no labels",
            "put them into a folder for each class, or give --labels FILE; --against FILE compares without labels",
        )
    return find_unlabelled(root)


def find_unlabelled(root: Path) -> Dataset:
    """All images below a folder.

    Raises:
        UsageError: there is none.
    """
    return Dataset(root, tuple(Example(root / name, name, None) for name in _images(root)))


def _images(root: Path) -> list[str]:
    """Paths below the folder, with slashes, sorted. What begins with a dot is the system's own."""
    if not root.is_dir():
        raise UsageError(f"--data {root}: there is no such folder", "name a folder of images")
    found = []

    def fail(error: OSError) -> None:
        raise cannot_read(Path(error.filename or root), error)

    seen = set()
    for folder, folders, files in os.walk(root, onerror=fail, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                found.append((Path(folder) / name).relative_to(root).as_posix())
    if not found:
        raise UsageError(f"{root} holds no image ({', '.join(SUFFIXES)})", "name the folder that holds class folders")
    return sorted(found)


def _by_folder(
    root: Path, names: Sequence[str], folders: Sequence[str], classes: Classes | None, outputs: int
) -> Dataset:
    notes = []
    loose = [name for name in names if "/" not in name]
    if loose:
        notes.append(f"{_some(loose, 'image')} beside the class folders left out")
    if len(folders) == 1:
        raise UsageError(
            f"{root} has one class folder, {folders[0]!r}: accuracy on one class says nothing of a network",
            "name the folder that holds all class folders",
        )
    if classes is None:
        classes, note = _classes_of_folders(root, folders, outputs)
        notes += [note] if note else []
    label_of = {}
    for folder in folders:
        try:
            label_of[folder] = classes.index(folder)
        except UsageError as error:
            raise UsageError(f"class folder {root / folder}: {error.message}", error.hint) from error
    examples = [Example(root / name, name, label_of[name.partition("/")[0]]) for name in names if "/" in name]
    return Dataset(root, tuple(examples), tuple(notes))


def _classes_of_folders(root: Path, folders: Sequence[str], outputs: int) -> tuple[Classes, str | None]:
    """For a network that is not ImageNet's: folders named by index, or as many folders as outputs."""
    if all(folder.isdecimal() for folder in folders) and max(map(int, folders)) < outputs:
        return named([str(i) for i in range(outputs)], f"{outputs} outputs"), None
    if len(folders) == outputs:
        note = "class folders in alphabetical order are taken as the outputs in theirs, as torchvision and Keras do"
        return named(folders, f"the folders of {root}"), note
    raise UsageError(
        f"{root} has {len(folders)} class folders, and the file has {outputs} outputs",
        "name the folders by index, or give the outputs' names in order: --classes FILE",
    )


def _by_file(root: Path, names: Sequence[str], source: Path, classes: Classes) -> Dataset:
    labels = read_labels(source)
    by_stem = {name.rpartition("/")[2].rpartition(".")[0]: name for name in names}
    by_base = {name.rpartition("/")[2]: name for name in names}
    known = set(names)
    found: dict[str, int] = {}
    absent = []
    for entry in labels:
        name = entry.name if entry.name in known else by_base.get(entry.name) or by_stem.get(entry.name)
        if name is None:
            absent.append(entry.name)
            continue
        try:
            index = classes.index(entry.label)
        except UsageError as error:
            raise UsageError(f"{entry.where}: {error.message}", error.hint) from error
        if found.setdefault(name, index) != index:
            raise UsageError(f"{entry.where} labels {name} once more, as another class", "leave one of the two")
    if not found:
        raise UsageError(
            f"{source} labels {len(labels)} images, and none of them is in {root}",
            f"it names {labels[0].name!r}, and the folder has {names[0]!r}",
        )
    examples = tuple(Example(root / name, name, found[name]) for name in names if name in found)
    if len({example.label for example in examples}) == 1:
        raise UsageError(f"{source} gives all images one class: accuracy on one class says nothing of a network")
    unlabelled = [name for name in names if name not in found]
    notes = [f"{_some(absent, 'image')} that {source.name} labels not there"] if absent else []
    notes += [f"{_some(unlabelled, 'image')} without a label in {source.name} left out"] if unlabelled else []
    return Dataset(root, examples, tuple(notes))


def _some(names: Sequence[str], kind: str) -> str:
    """ "5 images (a, b, c ...)"."""
    return f"{counted(len(names), kind)} ({listed(names)})"


def listed(names: Iterable[str]) -> str:
    """The first few names."""
    names = list(names)
    return ", ".join(names[:MOST_NAMED]) + (" ..." if len(names) > MOST_NAMED else "")
