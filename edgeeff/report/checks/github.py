"""Checks -> GitHub Actions: annotations (workflow commands on stdout) and the step's summary."""

from __future__ import annotations

from collections.abc import Sequence

from edgeeff.compare import Check, Verdict
from edgeeff.report.checks import markdown
from edgeeff.report.checks.sentence import sentence, word

LEVELS = {Verdict.REGRESSED: "error", Verdict.REFUSED: "error", Verdict.INCONCLUSIVE: "warning"}
"""What is fine is a notice, and so is a model without a baseline yet."""


def commands(checks: Sequence[Check]) -> str:
    """A workflow command a check ("::error title=...::..."), each on a line of its own."""
    return "".join(f"{_annotation(check)}\n" for check in checks)


def _annotation(check: Check) -> str:
    told = "\n".join([sentence(check), *check.reasons])
    properties = {"title": f"edgeeff: {check.name} {word(check)}"}
    # A path outside the repository would be shown nowhere.
    if check.candidate and not check.candidate.startswith(("/", "..")):
        properties = {"file": check.candidate, **properties}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    level = "notice" if check.no_baseline else LEVELS.get(check.verdict, "notice")
    return f"::{level} {listed}::{_data(told)}"


def _data(text: str) -> str:
    """As actions/toolkit escapes a message: nothing in it can begin another command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """As actions/toolkit escapes the value of a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(checks: Sequence[Check]) -> str:
    """What is appended to the file $GITHUB_STEP_SUMMARY: the same table as a comment has."""
    return markdown.render(checks)
