"""What CI systems read of checks: JUnit, GitHub, GitLab, Markdown; whatever a model is called."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from edgeeff.compare import Check, Figure, Verdict, exit_code, told_apart, worst
from edgeeff.report.check_text import checks_text
from edgeeff.report.checks import github, gitlab, junit, markdown
from edgeeff.report.checks.sentence import figure_sentence, headline, sentence

PASSED = Check("b0 fp32 tflite", Verdict.PASSED, (), 1.002, 0.995, 1.009, launches=14, seconds=21.04,
               candidate="artifacts/b0-fp32.tflite", device="host", runtime="litert",
               figures=(Figure("size", "bytes", 21.12e6, 21.12e6), Figure("startup", "s", 0.081, 0.084)))  # fmt: skip
REGRESSED = replace(PASSED, name="b0 int8 tflite", verdict=Verdict.REGRESSED, ratio=1.041, low=1.032, high=1.05,
                    candidate="artifacts/b0-int8.tflite",
                    reasons=("size grew by 5.5 %, the limit is 2 %",),
                    figures=(Figure("size", "bytes", 5.31e6, 5.6e6, 0.02, True),))  # fmt: skip
REFUSED = Check("lite0 int8 onnx", Verdict.REFUSED, ("threads differ: 1 and 4",), candidate="lite0.onnx", device="host")
UNDECIDED = replace(PASSED, verdict=Verdict.INCONCLUSIVE, reasons=("after 20 launches the interval is still +-4.1 %",))
ALL = (PASSED, REGRESSED, REFUSED, UNDECIDED)
HOSTILE = "a\x00\x1b[2J<b>&\"'|`,:%0A::error::taken\r\n]]>\ufffe"


@pytest.mark.parametrize(("said", "expected"), [
    (sentence(REGRESSED), "b0 int8 tflite: +4.1 % (99 % interval +3.2 .. +5.0), regressed"),
    (sentence(PASSED), "b0 fp32 tflite: +0.2 % (99 % interval -0.5 .. +0.9), passed"),
    (sentence(replace(PASSED, ratio=1.0004, low=0.9996, high=1.0011)),
     "b0 fp32 tflite: +0.04 % (99 % interval -0.04 .. +0.11), passed"),
    (sentence(REFUSED), "lite0 int8 onnx: refused"),
    (figure_sentence(REGRESSED.figures[0]), "size 5.31 MB -> 5.60 MB (+5.5 %), the limit is +2 %"),
    (figure_sentence(Figure("size", "bytes", 19_400, 29_667)), "size 19.4 kB -> 29.7 kB (+52.9 %)"),
    (figure_sentence(Figure("memory", "bytes", None, 1e6, 0.1, True)), "memory unknown -> 1.00 MB, the limit is +10 %"),
    (headline(ALL), "regressed: 1 of 4 models (1 passed, 1 refused, 1 inconclusive)"),
    (headline((PASSED,)), "passed: 1 of 1 model"),
    (headline(()), "refused: 0 of 0 models"),
])  # fmt: skip
def test_a_check_in_words(said: str, expected: str) -> None:
    assert said == expected


def test_junit_counts_what_is_not_fine() -> None:
    suite = ElementTree.fromstring(junit.render(ALL)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "2")
    fine, failed, refused, undecided = suite.findall("testcase")
    assert [child.tag for child in fine] == ["system-out"]
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == sentence(REGRESSED)
    assert "size grew by 5.5 %, the limit is 2 %" in (failure.text or "")
    assert refused.find("error").get("type") == "refused"  # type: ignore[union-attr]
    assert undecided.find("error").get("type") == "inconclusive"  # type: ignore[union-attr]
    assert fine.get("classname") == "edgeeff.host.litert"
    assert fine.get("time") == "21.0"


JUNIT = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
         "file", "log", "url", "version"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "skipped": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "failure": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}  # fmt: skip
"""What Jenkins' xUnit plugin allows (junit-10.xsd): attributes and children. It refuses a file with anything else."""


def test_junit_has_only_what_jenkins_allows() -> None:
    hostile = replace(REGRESSED, name=HOSTILE, reasons=(HOSTILE,), candidate=HOSTILE, device=HOSTILE, seconds=12345.6)
    everything = (*ALL, replace(UNDECIDED, no_baseline=True), hostile)
    for checks in (everything, ()):
        root = ElementTree.fromstring(junit.render(checks))
        for element in root.iter():
            attributes, children = JUNIT[element.tag]
            assert set(element.attrib) <= attributes and {child.tag for child in element} <= children
            assert element.tag not in ("testsuite", "testcase") or element.get("name")
            assert re.fullmatch(r"\d*(\.\d{0,3})?", element.get("time", ""))
        (suite,) = root.findall("testsuite")
        cases = suite.findall("testcase")
        assert {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")} == {
            "tests": len(cases),
            **{f"{kind}s": len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "error")},
            "skipped": len(suite.findall("testcase/skipped")),
        }


def test_what_has_no_baseline_yet_is_neither_a_pass_nor_a_failure() -> None:
    new = replace(UNDECIDED, name="b7", no_baseline=True, ratio=None, low=None, high=None, launches=0)
    assert sentence(new) == "b7: no baseline yet"
    assert headline((new,)) == "no baseline yet: 1 of 1 model"
    assert headline((PASSED, new)) == "passed: 1 of 2 models (1 no baseline yet)"
    assert "2 models: 1 passed, 1 no baseline yet" in checks_text([PASSED, new])
    assert (worst((new, PASSED)), worst((new, REGRESSED)), worst((new,))) == ("passed", "regressed", "inconclusive")
    codes = [exit_code(checks) for checks in ((new,), (new, PASSED), (new, UNDECIDED), (new, REGRESSED), ())]
    assert codes == [0, 0, 3, 1, 4]
    suite = ElementTree.fromstring(junit.render((PASSED, new))).find("testsuite")
    assert suite is not None and (suite.get("skipped"), suite.get("errors")) == ("1", "0")
    assert "b7: no baseline yet" in (suite.findall("testcase")[1].find("skipped").text or "")  # type: ignore[union-attr]
    assert github.commands((new,)).startswith("::notice ")
    assert [(i["severity"], i["check_name"]) for i in json.loads(gitlab.code_quality((PASSED, new)))] == [
        ("info", "edgeeff-no-baseline-yet")
    ]
    assert "| b7 | no baseline yet | - | - |" in markdown.render((new,))


def test_github_annotates_each_check() -> None:
    lines = github.commands(ALL).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::notice", "::error", "::error", "::warning"]
    assert lines[1].startswith("::error file=artifacts/b0-int8.tflite,title=edgeeff%3A b0 int8 tflite regressed::")
    assert "+4.1 %25 (99 %25 interval" in lines[1]
    assert "%0Asize grew by 5.5 %25" in lines[1]
    outside = github.commands([replace(PASSED, candidate="/tmp/x.tflite")])
    assert "file=" not in outside


def test_gitlab_reads_metrics_and_issues() -> None:
    lines = gitlab.metrics((PASSED,)).splitlines()
    labels = '{model="b0 fp32 tflite",device="host",runtime="litert",threads="1"}'
    assert lines[:2] == ["# TYPE edgeeff_latency_ratio gauge", f"edgeeff_latency_ratio{labels} 1.002"]
    assert f"edgeeff_size_bytes{labels} 21120000" in lines
    assert f"edgeeff_startup_seconds{labels} 0.084" in lines
    assert lines[-1] == "# EOF"
    issues = json.loads(gitlab.code_quality(ALL))
    assert [issue["severity"] for issue in issues] == ["major", "critical", "minor"]
    assert len({issue["fingerprint"] for issue in issues}) == 3
    again = json.loads(gitlab.code_quality([replace(REGRESSED, ratio=1.06, low=1.05, high=1.07)]))
    assert again[0]["fingerprint"] == issues[0]["fingerprint"]
    assert issues[0]["location"] == {"path": "artifacts/b0-int8.tflite", "lines": {"begin": 1}}


def test_all_samples_of_a_metric_are_together() -> None:
    """As OpenMetrics wants it: its reference parser refuses metrics whose samples alternate."""
    lines = gitlab.metrics(ALL).splitlines()
    names = [line.partition("{")[0] for line in lines if not line.startswith("#")]
    assert [name for name, _ in itertools.groupby(names)] == list(dict.fromkeys(names))
    assert names.count("edgeeff_latency_ratio") == names.count("edgeeff_size_bytes") == 3
    assert [line for line in lines if line.startswith("#")] == [
        *(f"# TYPE {name} gauge" for name in dict.fromkeys(names)), "# EOF",
    ]  # fmt: skip


def test_models_that_are_called_alike_are_told_apart_in_every_report() -> None:
    """Of one name, GitLab would take two issues for one, and OpenMetrics allows a series to have one value."""
    twin = replace(REGRESSED, candidate="other/b0-int8.tflite")
    checks = told_apart([PASSED, REGRESSED, twin])
    assert checks[0] is PASSED and checks[1].name == "b0 int8 tflite (artifacts/b0-int8.tflite)"
    series = [line.rpartition(" ")[0] for line in gitlab.metrics(checks).splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series) == 13
    assert len({issue["fingerprint"] for issue in json.loads(gitlab.code_quality(checks))}) == 2
    cases = ElementTree.fromstring(junit.render(checks)).findall("testsuite/testcase")
    assert len({case.get("name") for case in cases}) == 3


def test_code_quality_has_the_fields_that_gitlab_reads() -> None:
    for issue in json.loads(gitlab.code_quality((*ALL, replace(UNDECIDED, no_baseline=True)))):
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert re.fullmatch(r"[a-z-]+", issue["check_name"]) and re.fullmatch(r"[0-9a-f]{64}", issue["fingerprint"])
        assert issue["location"]["path"] and issue["location"]["lines"]["begin"] == 1


def test_markdown_is_one_table_and_the_reasons() -> None:
    text = markdown.render(ALL)
    assert text.startswith(markdown.MARKER)
    assert "### edgeeff check: regressed: 1 of 4 models" in text
    assert "| b0 int8 tflite | regressed | +4.1 | +3.2 .. +5.0 | 5.31 MB -> 5.60 MB (+5.5 %) | - | - | - | 14 |" in text
    assert (
        "| b0 fp32 tflite | passed | +0.2 | -0.5 .. +0.9 | 21.12 MB (+0.0 %) | - | 81.0 ms -> 84.0 ms | - | 14 |"
        in text
    )
    assert "- **lite0 int8 onnx**: threads differ: 1 and 4" in text
    assert text.endswith("- host, litert, 1 thread\n")


def test_a_hostile_name_breaks_nothing() -> None:
    hostile = replace(REGRESSED, name=HOSTILE, reasons=(HOSTILE,), candidate=HOSTILE, device=HOSTILE)
    case = ElementTree.fromstring(junit.render([hostile])).find("testsuite/testcase")
    assert case is not None
    assert "::error::taken" in (case.get("name") or "")
    assert len(github.commands([hostile]).splitlines()) == 1
    assert len(gitlab.metrics([hostile]).splitlines()) == len(gitlab.metrics([REGRESSED]).splitlines())
    assert json.loads(gitlab.code_quality([hostile]))[0]["location"]["path"] == HOSTILE
    assert "\x1b" not in markdown.render([hostile])
    assert markdown.render([hostile]).count("\n") == markdown.render([replace(REGRESSED, reasons=("a",))]).count("\n")


@pytest.mark.parametrize(("figure", "expected"), [
    (Figure("startup", "s", 0.554, 0.544), "start-up 554 ms -> 544 ms"),
    (Figure("delegated", "share", 1.0, 0.5), "delegated 100 % of ops -> 50 % of ops"),
])  # fmt: skip
def test_every_unit_of_a_figure_has_its_words(figure: Figure, expected: str) -> None:
    assert figure_sentence(figure) == expected
