"""The types of `edgeeff bench`'s options, and their values as arguments again."""

from __future__ import annotations

import re
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


class Share(click.ParamType[float]):
    """ "2%" or 0.02."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", value.strip())
        share = float(found[1]) / (100 if found[2] else 1) if found else 0.0
        if not 0 < share < 1:
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


def repeated(ctx: click.Context) -> list[str]:
    """The command's arguments again, without those that say on which device, and how it is shown."""
    argv: list[str] = []
    left_out = ("device_names", "serial", "every", "session", "as_json", "help")
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if not isinstance(param, click.Option) or param.name in left_out or value is None:
            continue
        if param.is_flag:
            argv += [param.opts[0]] if value else []
        else:
            texts = map(_text, value) if param.multiple else [_text(value)]
            argv += [part for text in texts for part in (param.opts[0], text)]
    return [*argv, "--", *map(str, ctx.params["files"])] if ctx.params["files"] else argv


def _text(value: Any) -> str:
    match value:
        case (str(name), (*sizes,)):
            return f"{name}={'x'.join(map(str, sizes))}"
        case (*numbers,):
            return ",".join(map(str, numbers))
    return repr(value) if isinstance(value, float) else str(value)
