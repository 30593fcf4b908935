"""Verdicts as a person and a program read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from edgeeff.compare import Check, Figure, Verdict, worst
from edgeeff.report._table import printable


def check_line(check: Check) -> str:
    """ "b0 int8 tflite: +4.1 % (99 % interval +3.2 .. +5.0), regressed"."""
    if check.ratio is None or check.low is None or check.high is None:
        return printable(f"{check.name}: {check.verdict}")
    ends = f"{_percent(check.low)} .. {_percent(check.high)}"
    measured = f"{_percent(check.ratio)} % ({check.level * 100:g} % interval {ends})"
    return printable(f"{check.name}: {measured}, {check.verdict}")


def checks_text(checks: Sequence[Check]) -> str:
    """A line a model, with what it rests on below it; a last line for all of several."""
    lines = [line for check in checks for line in (check_line(check), *_details(check))]
    if len(checks) > 1:
        counts = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        lines.append(f"{len(checks)} models: {told}")
    return "\n".join(lines) + "\n"


def checks_json(checks: Sequence[Check]) -> dict[str, Any]:
    """One check as it is, several as a list under "checks" beside the verdict on all of them."""
    if len(checks) == 1:
        return check_json(checks[0])
    return {"verdict": worst(checks).value, "checks": [check_json(check) for check in checks]}


def check_json(check: Check) -> dict[str, Any]:
    """A check by its fields; growth is worked out where both sides are known."""
    figures = [{**asdict(figure), "growth": figure.growth} for figure in check.figures]
    return {**asdict(check), "verdict": check.verdict.value, "reasons": list(check.reasons), "figures": figures}


def _details(check: Check) -> Iterator[str]:
    for reason in check.reasons:
        yield printable(f"  {reason}")
    shown = [text for figure in check.figures if (text := _figure(figure)) is not None]
    if shown:
        yield f"  {'; '.join(shown)}"
    if check.launches:
        clock = ", by CPU time" if check.clock == "cpu" else ""
        yield f"  {check.launches} launches of both sides on {printable(check.device)}, {check.seconds:.0f} s{clock}"


def _figure(figure: Figure) -> str | None:
    if figure.baseline is None or figure.candidate is None:
        return None
    growth = "" if figure.growth is None else f" ({figure.growth * 100:+.1f} %)"
    match figure.unit:
        case "bytes":
            return f"{figure.name} {figure.baseline / 1e6:.2f} -> {figure.candidate / 1e6:.2f} MB{growth}"
        case "s":
            return f"start-up {figure.baseline * 1e3:.0f} -> {figure.candidate * 1e3:.0f} ms"
        case _:
            return f"delegated {figure.baseline * 100:.0f} -> {figure.candidate * 100:.0f} % of ops"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f}"
