"""Frozen values to JSON and back, exactly; what comes in is checked against the fields' types."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

LARGEST = 2**63 - 1
"""Numbers beyond 64 bits, and so infinity and not-a-number, are no measurement of anything."""


def encode(value: Any) -> dict[str, Any]:
    """A dataclass as JSON-ready values."""
    return dataclasses.asdict(value)


def decode(kind: type[T], fields: Any) -> T:
    """A dataclass from JSON's values.

    Fields that are not known are ignored and those with a default may be absent, so that a field can be added
    without a new schema.

    Raises:
        ValueError: a field is missing or has another type; the message names it.
    """
    if not isinstance(fields, dict):
        raise ValueError(f"an object is expected for {kind.__name__}, not {_shown(fields)}")
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in fields:
            values[field.name] = _value(_hints(kind)[field.name], fields[field.name], field.name)  # type: ignore[arg-type]
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{field.name!r} is missing")
    return kind(**values)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _value(kind: Any, value: Any, name: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _value(inner[0], value, name)
    if origin is tuple and isinstance(value, list):
        element = get_args(kind)[0]
        return tuple(_value(element, item, name) for item in value)
    if origin is Mapping and isinstance(value, dict):
        return {key: _value(get_args(kind)[1], item, name) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return decode(kind, value)
    if kind is Path and type(value) is str:
        return Path(value)
    # Not isinstance: True is an int to Python and not to a reader of the file.
    plain = type(value) is kind or (kind is float and type(value) is int)
    if plain and (type(value) not in (int, float) or abs(value) <= LARGEST):
        return float(value) if kind is float else value
    raise ValueError(f"{name!r} cannot be {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
