"""Checks -> GitLab's report formats: metrics (OpenMetrics text) and code quality (a subset of Code Climate's JSON)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from edgeeff.compare import Check, Verdict
from edgeeff.report.checks.sentence import sentence, word
from edgeeff.wording import printable

SEVERITIES = {Verdict.REGRESSED: "major", Verdict.REFUSED: "critical", Verdict.INCONCLUSIVE: "minor"}


def metrics(checks: Sequence[Check]) -> str:
    """For `artifacts:reports:metrics`, which a merge request shows beside the target branch's."""
    families: dict[str, list[str]] = {}  # OpenMetrics wants all samples of a metric together
    for check in checks:
        for name, sample in _metrics(check):
            families.setdefault(name, [f"# TYPE {name} gauge"]).append(f"{name}{sample}")
    return "".join(f"{line}\n" for lines in families.values() for line in lines) + "# EOF\n"


def _metrics(check: Check) -> Iterator[tuple[str, str]]:
    """The name of each metric, and its labels and value."""
    labels = {"model": check.name, "device": check.device, "runtime": check.runtime, "threads": str(check.threads)}
    listed = ",".join(f'{name}="{_label(value)}"' for name, value in labels.items() if value)
    for name, value in (("ratio", check.ratio), ("ratio_low", check.low), ("ratio_high", check.high)):
        if value is not None:
            yield f"edgeeff_latency_{name}", f"{{{listed}}} {value:.6g}"
    for figure in check.figures:
        if figure.candidate is not None:
            unit = {"bytes": "bytes", "s": "seconds"}.get(figure.unit, figure.unit)
            name = figure.name if figure.name.endswith(unit) else f"{figure.name}_{unit}"
            yield f"edgeeff_{name}", f"{{{listed}}} {figure.candidate:.9g}"


def _label(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def code_quality(checks: Sequence[Check]) -> str:
    """For `artifacts:reports:codequality`: what is not fine, an issue each."""
    issues = [_issue(check) for check in checks if check.verdict in SEVERITIES]
    return json.dumps(issues, indent=2) + "\n"


def _issue(check: Check) -> dict[str, object]:
    # By what it is about and not by the numbers, so that GitLab knows an issue again in the next pipeline.
    about = "\0".join((check.name, check.device, check.runtime, str(check.threads), word(check)))
    return {
        "description": " ".join([f"{sentence(check)}.", *(f"{line}." for line in check.reasons)]),
        "check_name": f"edgeeff-{word(check).replace(' ', '-')}",
        "fingerprint": hashlib.sha256(about.encode()).hexdigest(),
        "severity": "info" if check.no_baseline else SEVERITIES[check.verdict],
        "location": {"path": check.candidate or check.name, "lines": {"begin": 1}},
    }
