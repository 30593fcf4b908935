"""A file that labels images: CSV, text or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeeff.errors import UsageError
from edgeeff.files import read_bytes

_LAYOUT = 'give a line for each image, "photo.jpg,label" or "photo.jpg label", or a JSON object of such pairs'
_HEADERS = {"file", "filename", "file name", "image", "imageid", "image id", "name", "path"}


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """A label as it stands in the file; `name` is the image's path below the folder, or its name, with or without
    its suffix."""

    name: str
    label: str
    where: str


def read_labels(path: Path) -> list[LabelEntry]:
    """The labels in the file's order. A line of titles is passed over.

    The lists of Caffe ("ILSVRC2012_val_00000001.JPEG 65") and of Kaggle ("ILSVRC2012_val_00000001,n01751748 111 ...",
    a box behind the WordNet id) are among what is read.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file", _LAYOUT) from error
    entries = list(_json(path, text) if text.lstrip()[:1] == "{" else _lines(path, text))
    if not entries:
        raise UsageError(f"{path} holds no label", _LAYOUT)
    return entries


def _json(path: Path, text: str) -> Iterator[LabelEntry]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not valid JSON: {error}", _LAYOUT) from error
    for name, label in document.items():
        if type(label) not in (int, str):
            raise UsageError(f"{path}: the label of {name!r} is neither text nor a number: {label!r}", _LAYOUT)
        yield LabelEntry(name, str(label), f"{path}, {name}")


def _lines(path: Path, text: str) -> Iterator[LabelEntry]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = _fields(path, number, line)
        if number == 1 and fields[0].lower().replace("_", " ") in _HEADERS:
            continue
        if len(fields) < 2 or not fields[0] or not fields[1]:
            raise UsageError(f"{path}, line {number} has no label: {line.strip()[:60]!r}", _LAYOUT)
        # Kaggle writes boxes behind the label.
        label = re.sub(r"^(n\d{8})( \d+){4}.*$", r"\1", fields[1])
        yield LabelEntry(fields[0].removeprefix("./"), label, f"{path}, line {number}")


def _fields(path: Path, number: int, line: str) -> list[Any]:
    for separator in (",", "\t"):
        if separator in line:
            try:
                row = next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True, strict=True))
            except (csv.Error, StopIteration) as error:
                raise UsageError(f"{path}, line {number} is not valid CSV: {error}", _LAYOUT) from error
            return [field.strip() for field in row]
    return line.rsplit(None, 1)
