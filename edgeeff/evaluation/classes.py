"""The classes of a network's outputs, and every name that people give them: index, WordNet id, name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from edgeeff.errors import UsageError
from edgeeff.files import read_bytes

IMAGENET = 1000
BACKGROUND = 1001
"""TensorFlow's older ImageNet networks have a background class before the 1000."""

_WNID = re.compile(r"n\d{8}(?!\d)")


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Args:
    kind: for messages: "ImageNet's 1000 classes".
    names: one for each output, to be shown.
    known: each spelling, as `_plain` has it, -> the outputs that bear it. More than one: ambiguous.
    """

    kind: str
    names: tuple[str, ...]
    known: Mapping[str, tuple[int, ...]]

    def index(self, label: str) -> int:
        """The output that a label names.

        Raises:
            UsageError: none, or more than one; the message fits behind the label's place.
        """
        found = self.known.get(_plain(label), ())
        if not found and (wnid := _WNID.match(label.strip())):
            found = self.known.get(wnid[0], ())
        if not found and label.strip().isdecimal():
            found = (int(label),) if int(label) < len(self.names) else ()
            if not found:
                raise UsageError(f"{label} is beyond the last of {self.kind}, which is {len(self.names) - 1}")
        if len(found) > 1:
            several = " and ".join(f"{i} ({self.names[i]})" for i in found)
            raise UsageError(f"{label!r} names several of {self.kind}: {several}", "use indices or WordNet ids")
        if not found:
            close = difflib.get_close_matches(_plain(label), self.known, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"{label!r} is none of {self.kind}", hint + "an index, a WordNet id or a name serves")
        return found[0]


def _plain(label: str) -> str:
    """Case, and what stands between the words, do not count."""
    return re.sub(r"[\W_]+", " ", label.lower()).strip()


def _spelled(names: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    known: dict[str, tuple[int, ...]] = {}
    for index, spellings in enumerate(names):
        for plain in {_plain(spelling) for spelling in spellings}:
            known[plain] = (*known.get(plain, ()), index)
    return known


@cache
def imagenet() -> Classes:
    """ILSVRC 2012's classes in the order that torchvision, timm, Keras and TensorFlow share: by WordNet id."""
    text = (files("edgeeff.evaluation") / "imagenet.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    spellings = [(wnid, lemmas, *lemmas.split(", ")) for wnid, lemmas in rows]
    names = tuple(f"{wnid} {lemmas.partition(', ')[0]}" for wnid, lemmas in rows)
    return Classes("ImageNet's 1000 classes", names, _spelled(spellings))


def with_background(classes: Classes) -> Classes:
    """The same classes behind one for the background; an index then counts from the background on."""
    shifted = {name: tuple(i + 1 for i in found) for name, found in classes.known.items()}
    return Classes(f"{classes.kind} and a background", ("background", *classes.names), shifted)


def named(names: Sequence[str], kind: str) -> Classes:
    """Classes by their names alone, in the order of the outputs."""
    return Classes(kind, tuple(names), _spelled([name] for name in names))


def read_names(path: Path) -> Classes:
    """A text file with one name a line, in the order of the outputs.

    Raises:
        UsageError: it cannot be read, or names two classes alike.
    """
    try:
        lines = [line.strip() for line in read_bytes(path).decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file", "give one class name a line, in UTF-8") from error
    classes = named([line for line in lines if line], f"the classes in {path.name}")
    for name, found in classes.known.items():
        if len(found) > 1:
            raise UsageError(f"{path} names two classes {name!r}: {found[0]} and {found[1]}")
    return classes


def classes_of(outputs: int, names: Path | None, source: str) -> Classes | None:
    """The classes of a file with so many outputs; None where only its data can tell.

    Raises:
        UsageError: the file of names has another number of them.
    """
    if names is not None:
        classes = read_names(names)
        if len(classes.names) != outputs:
            raise UsageError(f"{names} names {len(classes.names)} classes, and {source} has {outputs} outputs")
        return classes
    if outputs == IMAGENET:
        return imagenet()
    return with_background(imagenet()) if outputs == BACKGROUND else None
