"""Verdicts as a person and a program read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from edgeeff.compare import Check, Verdict, worst
from edgeeff.report.checks.sentence import conditions, figure_sentence, sentence, word
from edgeeff.wording import printable


def checks_text(checks: Sequence[Check]) -> str:
    """A line a model, with what it rests on below it; a last line for all of several."""
    lines = [line for check in checks for line in (printable(sentence(check)), *_details(check))]
    if len(checks) > 1:
        counts = Counter(word(check) for check in sorted(checks, key=lambda check: list(Verdict).index(check.verdict)))
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
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
    known = [figure for figure in check.figures if figure.baseline is not None or figure.candidate is not None]
    yield from (f"  {figure_sentence(figure)}" for figure in known if figure.limit is not None)
    others = "; ".join(figure_sentence(figure) for figure in known if figure.limit is None)
    if others:
        yield f"  {others}"
    if check.launches:
        launches = f"{check.launches} launch{'' if check.launches == 1 else 'es'} of both sides"
        yield printable(f"  {launches} in {check.seconds:.0f} s on {conditions(check)}")
