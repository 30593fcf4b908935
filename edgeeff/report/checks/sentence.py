"""A check in one line, and all of them as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgeeff.compare import Check, Figure, worst
from edgeeff.report._numbers import significant

NAMES = {"startup": "start-up"}
"""Of figures, as people write them."""


def sentence(check: Check) -> str:
    """ "b0 int8 tflite: +4.1 % (99 % interval +3.2 .. +5.0), regressed"."""
    measured = change(check)
    return f"{check.name}: {f'{measured}, ' if measured else ''}{word(check)}"


def word(check: Check) -> str:
    """The verdict as people read it."""
    return "no baseline yet" if check.no_baseline else check.verdict.value


def change(check: Check) -> str:
    """ "+4.1 % (99 % interval +3.2 .. +5.0)"; empty where nothing was measured."""
    if check.ratio is None:
        return ""
    if check.low is None or check.high is None:
        return f"{percent(check.ratio)} %"
    digits = 1 if (check.high - check.low) * 100 > 0.2 else 2
    ends = f"{percent(check.low, digits)} .. {percent(check.high, digits)}"
    return f"{percent(check.ratio, digits)} % ({check.level * 100:.3g} % interval {ends})"


def percent(ratio: float, digits: int = 1) -> str:
    """What a ratio says in percent, signed: 1.041 is "+4.1"."""
    return f"{(ratio - 1) * 100:+.{digits}f}"


def conditions(check: Check) -> str:
    """What a check was measured on: "host, onnxruntime 1.32.0 (Release), 2 threads"; empty where nothing was."""
    if not check.launches:
        return ""
    threads = f"{check.threads} thread{'' if check.threads == 1 else 's'}"
    clock = ["by CPU time"] if check.clock == "cpu" else []
    return ", ".join([check.device, check.runtime_build or check.runtime, threads, *clock])


def figure_sentence(figure: Figure) -> str:
    """ "size 5.31 MB -> 5.60 MB (+5.5 %), the limit is +2 %"."""
    ends = " -> ".join(amount(value, figure.unit) for value in (figure.baseline, figure.candidate))
    # Of shares, and of what varies by more than any change that matters, growth would only mislead.
    growth = "" if figure.growth is None or figure.unit != "bytes" else f" ({figure.growth * 100:+.1f} %)"
    if figure.low is not None and figure.high is not None:
        growth = f"{growth[:-1]}, 99 % interval {figure.low * 100:+.1f} .. {figure.high * 100:+.1f})"
    elif figure.name == "memory":
        growth = ""
    limit = "" if figure.limit is None else f", the limit is {figure.limit * 100:+.3g} %"
    return f"{NAMES.get(figure.name, figure.name)} {ends}{growth}{limit}"


def amount(value: float | None, unit: str) -> str:
    """A figure with its unit, in the size that people use."""
    if value is None:
        return "unknown"
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{significant(value / 1e3)} kB"
    if unit == "s":
        return f"{significant(value * 1e3)} ms"
    if unit == "share":
        return f"{value * 100:.0f} % of ops"
    raise ValueError(f"a figure cannot be in {unit!r}")


def headline(checks: Sequence[Check]) -> str:
    """The build in a sentence: "regressed: 1 of 3 models (2 passed)"."""
    counts = Counter(map(word, checks))
    first = word(checks[0]) if len(counts) == 1 else worst(checks).value
    count = counts.pop(first, 0)
    others = ", ".join(f"{number} {name}" for name, number in counts.items())
    models = f"{count} of {len(checks)} model{'s' if len(checks) != 1 else ''}"
    return f"{first}: {models}{f' ({others})' if others else ''}"
