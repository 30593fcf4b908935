"""JSON documents of one value with a schema: written whole, checked when read, refused from a later edgeeff.

A field may be added without a new schema: readers ignore what they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgeeff.codec import decode, encode
from edgeeff.errors import UsageError
from edgeeff.files import read_bytes, replacing

T = TypeVar("T")


def document_of(value: Any, schema: int) -> dict[str, Any]:
    """A dataclass with its schema, as JSON-ready values."""
    return {"schema": schema, **encode(value)}


def write_document(path: Path, value: Any, schema: int) -> None:
    """Writes a dataclass with its schema.

    Raises:
        UsageError: the file cannot be written.
    """
    text = json.dumps(document_of(value, schema), indent=1, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_document(
    path: Path, kind: type[T], schema: int, *, shown: object = None, replaced: Mapping[str, Any] | None = None
) -> T:
    """The value in a document.

    Args:
        schema: the latest that is known.
        shown: what the file is called in an error, if not by its path.
        replaced: fields that do not stand as they are in the file.

    Raises:
        UsageError: the file cannot be read, or a later edgeeff wrote it.
        ValueError: it is no such document; the message says why.
    """
    content = read_bytes(path)
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if type(found) is not int:
        raise ValueError("it has no schema")
    if found > schema:
        raise from_later_edgeeff(shown or path, found, schema)
    return decode(kind, {**document, **(replaced or {})})


def from_later_edgeeff(what: object, found: int, known: int) -> UsageError:
    """The error for what a later edgeeff wrote."""
    return UsageError(
        f"{what} was written by a later edgeeff: it has schema {found}, this one reads up to {known}",
        "pip install --upgrade edgeeff",
    )
