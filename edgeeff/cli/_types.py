"""The types of options that several commands have: numbers with a unit, lists, shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import click


class Threads(click.ParamType[tuple[int, ...]]):
    """ "1,4": numbers of threads."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[1-9]\d{0,2}(,[1-9]\d{0,2})*", value):
            self.fail(f"{value!r} is not a list of numbers of threads from 1 to 999, such as 1,4", param, ctx)
        return tuple(int(part) for part in value.split(","))


class Positive(click.ParamType[float]):
    """A finite number above 0."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not 0 < number < math.inf:
            self.fail(f"it must be finite and above 0, not {number:g}", param, ctx)
        return number


class Share(click.ParamType[float]):
    """ "2%" or 0.02.

    Args:
        zero: whether none at all is a share.
    """

    name = "share"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", value.strip())
        share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if not 0 <= share < 1 or (share == 0 and not self._zero):
            self.fail(f"{value!r} is not a share between 0 and 1, such as 2% or 0.02", param, ctx)
        return share


class Duration(click.ParamType[float]):
    """ "10m", "90s", "90" or "1h": seconds.

    Args:
        zero: whether no time at all is a duration.
    """

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,6}\.?\d*|\.\d+)\s*([smh]?)", value.strip())
        seconds = float(found[1]) * {"m": 60, "h": 3600}.get(found[2], 1) if found else -1.0
        if seconds < 0 or (seconds == 0 and not self._zero):
            self.fail(f"{value!r} is not a duration such as 90s, 10m or 1h", param, ctx)
        return seconds


class InputShape(click.ParamType[tuple[str, tuple[int, ...]]]):
    """ "name=1x3x224x224"."""

    name = "name=shape"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(.+)=([1-9]\d{0,8}(?:x[1-9]\d{0,8})*)", value)
        if not found:
            self.fail(f"{value!r} is not an input's name and shape, such as x=1x3x224x224", param, ctx)
        return found[1], tuple(int(part) for part in found[2].split("x"))


class Amount(click.ParamType[int]):
    """ "1G" or "400e6", "8MB" or "512KiB": a whole number with a unit.

    Args:
        units: unit in lower case -> its factor.
    """

    def __init__(self, name: str, example: str, units: Mapping[str, int]) -> None:
        self.name = name
        self._example = example
        self._units = units

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+\.?\d*(?:e\d{1,3})?|\.\d+)\s*([a-z]*)", value.strip().lower())
        amount = float(found[1]) * self._units.get(found[2], 0) if found else 0.0
        if not 1 <= amount < 2**62:
            self.fail(f"{value!r} is not an amount such as {self._example}", param, ctx)
        return round(amount)


_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30}


def _written(prefixes: Mapping[str, int], unit: str) -> dict[str, int]:
    """The prefixes alone, and before the unit."""
    return {prefix + end: factor for prefix, factor in prefixes.items() for end in ("", unit)}


MACS = Amount("count", "1G or 400M", {**_written(_DECIMAL, "macs"), "b": 10**9})
"""Multiply-adds; papers write "39B"."""

BYTES = Amount("bytes", "8MB or 512KiB", _written({**_DECIMAL, **_BINARY}, "b"))
