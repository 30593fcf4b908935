"""Checks -> JUnit XML, as Jenkins, GitLab and GitHub's actions read it.

There is no official schema; this keeps to that of Jenkins' xUnit plugin (junit-10.xsd), which refuses what is not in
it, such as a `file` of a test case. So the model's path is the last line of the text. A regression and
a figure beyond its limit are failures, what could not be compared or decided is an error, what has no baseline yet is
skipped, and none of these is a pass.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from edgeeff.compare import Check, Verdict
from edgeeff.report.checks.sentence import sentence

PROBLEMS = {Verdict.REGRESSED: "failure", Verdict.REFUSED: "error", Verdict.INCONCLUSIVE: "error"}


def render(checks: Sequence[Check]) -> str:
    """One suite, a case a model; ends in a line break."""
    problems = ["skipped" if check.no_baseline else PROBLEMS.get(check.verdict) for check in checks]
    suite = ElementTree.Element(
        "testsuite",
        name="edgeeff check",
        tests=str(len(checks)),
        failures=str(problems.count("failure")),
        errors=str(problems.count("error")),
        skipped=str(problems.count("skipped")),
        time=f"{sum(check.seconds for check in checks):.1f}",
    )
    for check, problem in zip(checks, problems, strict=True):
        suite.append(_case(check, problem))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(check: Check, problem: str | None) -> ElementTree.Element:
    where = ".".join(part.replace(".", "_") for part in ("edgeeff", check.device, check.runtime) if part)
    case = ElementTree.Element(
        "testcase",
        name=_xml(check.name),
        classname=_xml(where),
        time=f"{check.seconds:.1f}",
    )
    told = [_xml(line) for line in (*check.reasons, check.candidate) if line]
    if problem is not None:
        message = _xml(sentence(check))
        found = ElementTree.SubElement(case, problem, message=message, type=check.verdict.value)
        found.text = "\n".join([message, *told])
    else:
        ElementTree.SubElement(case, "system-out").text = "\n".join([_xml(sentence(check)), *told])
    return case


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold at all, not even escaped."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in text
    )
