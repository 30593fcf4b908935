"""Frozen values to JSON and back, exactly; what comes in is checked against the fields' types."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

LARGEST = 2**63 - 1
"""Numbers beyond 64 bits, and so infinity and not-a-number, are no measurement of anything."""

MOST_PLANS = 1000
"""Of one type; a field may be None or not, so that a foreign file could make a great many."""

Reader = Callable[[Any, str], Any]
"""A value from JSON's, given its field's name, or a ValueError."""

_ABSENT = object()


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
    reader: Reader = _reader(kind)  # type: ignore[arg-type]  # a class is hashable
    decoded: T = reader(fields, "")
    return decoded


@cache
def _reader(kind: Any) -> Reader:
    """What reads a type, made once: a results folder has millions of fields of a few dozen types."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional(_reader(next(option for option in get_args(kind) if option is not type(None))))
    if origin is tuple:
        return _integers if get_args(kind)[0] is int else _tuple(kind)
    if origin is Sequence:
        return _sequence(kind)
    if origin is Mapping:
        return _mapping(kind)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        return _dataclass(kind)
    return _path if kind is Path else _plain(kind)


def _dataclass(kind: type) -> Reader:
    """Reads field by field what says that it must be; else all fields at once, by a plan for the types they have.

    A results folder has millions of objects and a handful of such plans: per object there is left to look one up, and
    to read the few fields that need more than their type to be right.
    """
    careful, names = _field_by_field(kind), tuple(field.name for field in dataclasses.fields(kind))
    if len(names) < 2 or any(field.kw_only or not field.init for field in dataclasses.fields(kind)):
        return careful
    pick, plan = itemgetter(*names), _planner(kind)

    def read(value: Any, name: str) -> Any:
        try:
            given = pick(value)
        except (KeyError, TypeError):  # written by an earlier version, or no object
            return careful(value, name)
        found = plan(tuple(map(type, given)))
        if found is None:
            return careful(value, name)
        numbers, others = found
        for place in numbers:
            if not -LARGEST <= given[place] <= LARGEST:
                return careful(value, name)
        if not others:
            return kind(*given)
        fields = list(given)
        for place, reader in others:
            fields[place] = reader(fields[place], names[place])
        return kind(*fields)

    return read


Plan = tuple[tuple[int, ...], tuple[tuple[int, Reader], ...]]
"""Which fields are numbers, whose size is to be checked, and which have to be read; the others are right already."""


def _planner(kind: type) -> Callable[[tuple[type, ...]], Plan | None]:
    """From the types of an object's fields to their plan; None where a type is not the field's."""
    hints = get_type_hints(kind)
    fields = [(hints[field.name], field.default is None) for field in dataclasses.fields(kind)]

    @lru_cache(MOST_PLANS)
    def plan(types_given: tuple[type, ...]) -> Plan | None:
        numbers, others = [], []
        for place, ((hint, none_by_default), given) in enumerate(zip(fields, types_given, strict=True)):
            options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
            if given is type(None) and (none_by_default or type(None) in options):
                continue
            wanted = next(option for option in options if option is not type(None))
            if wanted in (str, bool) and given is wanted:
                continue
            if wanted in (int, float) and given is wanted:
                numbers.append(place)
            elif given in (list, dict, int, str) or get_origin(wanted) is Sequence:
                others.append((place, _reader(hint)))
            else:
                return None
        return tuple(numbers), tuple(others)

    return plan


def _field_by_field(kind: type) -> Reader:
    hints = get_type_hints(kind)
    columns = [
        (field.name, _reader(hints[field.name]), field.default is None, _has_default(field))
        for field in dataclasses.fields(kind)
    ]

    def read(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"an object is expected for {kind.__name__}, not {_shown(value)}")
        found = {}
        for field, reader, none_by_default, has_default in columns:
            given = value.get(field, _ABSENT)
            if given is None and none_by_default:
                continue
            if given is not _ABSENT:
                found[field] = reader(given, field)
            elif not has_default:
                raise ValueError(f"{field!r} is missing")
        return kind(**found)

    return read


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _optional(inner: Reader) -> Reader:
    return lambda value, name: None if value is None else inner(value, name)


def _integers(value: Any, name: str) -> Any:
    """A tuple of integers, checked at once: nearly all of a results file is samples."""
    if not isinstance(value, list):
        raise _wrong(value, name)
    if value and (set(map(type, value)) != {int} or max(value) > LARGEST or min(value) < -LARGEST):
        raise _wrong(next(x for x in value if type(x) is not int or abs(x) > LARGEST), name)
    return tuple(value)


def _tuple(kind: Any) -> Reader:
    element = _reader(get_args(kind)[0])

    def read(value: Any, name: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(value, name)
        return tuple([element(item, name) for item in value])

    return read


def _sequence(kind: Any) -> Reader:
    """As a tuple; but a sequence that is not JSON's is one that decodes its elements itself, and stays as it is."""
    as_tuple = _tuple(kind)

    def read(value: Any, name: str) -> Any:
        own = isinstance(value, Sequence) and not isinstance(value, str | list)
        return value if own else as_tuple(value, name)

    return read


def _mapping(kind: Any) -> Reader:
    element = _reader(get_args(kind)[1])

    def read(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, name)
        return {key: element(item, name) for key, item in value.items()}

    return read


def _path(value: Any, name: str) -> Any:
    if type(value) is not str:
        raise _wrong(value, name)
    return Path(value)


def _plain(kind: Any) -> Reader:
    is_float, is_number = kind is float, kind in (int, float)

    def read(value: Any, name: str) -> Any:
        # Not isinstance: True is an int to Python and not to a reader of the file.
        if not (type(value) is kind or (is_float and type(value) is int)):
            raise _wrong(value, name)
        if is_number and not abs(value) <= LARGEST:
            raise _wrong(value, name)
        return float(value) if is_float else value

    return read


def _wrong(value: Any, name: str) -> ValueError:
    return ValueError(f"{name!r} cannot be {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
