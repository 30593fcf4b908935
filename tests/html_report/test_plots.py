"""What the page's plots show, and that each is told in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from edgeeff.report import to_html
from edgeeff.report.accuracies import GivenAccuracy
from edgeeff.report.build import Inputs, build
from edgeeff.report.figures import write_figures
from edgeeff.values import Summary


def test_the_intervals_of_latency_and_accuracy_are_drawn(browser: Any, sample: Any) -> None:
    script = """
        const trace = document.querySelector('#accuracy .plot').data.find((found) => found.name === 'fp32 tflite');
        const place = trace.text.findIndex((text) => text.startsWith('lite2'));
        return ['error_x', 'error_y'].map((bars) => [trace[bars].arrayminus[place], trace[bars].array[place]]);
    """
    row = next(r for r in sample.report().groups[0].rows if r.name == "lite2" and r.measurement.precision == "fp32")
    assert row.accuracy is not None
    assert row.accuracy.interval is not None
    assert row.latency.interval is not None
    (left, right), (down, up) = browser.execute_script(script)
    assert (left + right) / 1e3 == pytest.approx(row.latency.interval.high - row.latency.interval.low, rel=1e-3)
    assert (down / 100, up / 100) == pytest.approx(
        (row.accuracy.top1 - row.accuracy.interval[0], row.accuracy.interval[1] - row.accuracy.top1), rel=1e-6
    )
    told = browser.find_element(By.CSS_SELECTOR, "#accuracy figcaption").text
    assert "Bars are the intervals of latencies and counted accuracies" in told


def test_flops_are_drawn_against_latency_and_their_rank_correlation_is_told(browser: Any, sample: Any) -> None:
    group = sample.report().groups[0]
    told = browser.find_element(By.CSS_SELECTOR, "#flops figcaption").text
    known = [found for found in group.correlations if found.rho is not None]
    # Of lite0, b0, b1, lite2 and the foreign file: one inversion among five, 1 - 6 * 2 / (5 * 24); and over all seven.
    assert [(c.configuration, round(c.rho or 0, 2)) for c in known] == [
        ("fp32 tflite on litert", 0.80),
        ("all configurations", 0.60),
    ]
    for found in known:
        assert f"{found.configuration}: {found.rho:.2f} over {found.networks} networks" in told
    assert "int8 tflite on litert: unknown, 1 network" in told
    script = """
        return document.querySelector('#flops .plot').data.flatMap(
            (trace) => Array.from(trace.x, (x, i) => [x, 10 ** trace.y[i]]));
    """
    drawn = sorted(browser.execute_script(script))
    expected = sorted((r.latency.median_s * 1e3, r.measurement.macs / 1e6) for r in group.rows)  # type: ignore[operator]
    assert [value for point in drawn for value in point] == pytest.approx(
        [value for point in expected for value in point], rel=1e-6
    )


def test_plots_are_told_in_words(browser: Any) -> None:
    for plot in browser.find_elements(By.CSS_SELECTOR, "figure:not([hidden]) .plot"):
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label") or "") > 20
    told = browser.find_element(By.CSS_SELECTOR, "#precisions figcaption").text
    assert "lite2 int8-weights tflite on litert: 0.52x the time, 0.25x the size, top-1 change unknown" in told


def test_a_profile_shows_where_the_time_goes(browser: Any) -> None:
    told = browser.find_element(By.CSS_SELECTOR, "#profile figcaption").text
    assert told.startswith(
        "b0 fp32 tflite on litert, host, 1 thread, measured by LiteRT's profiler, 2 launches of 30 runs."
    )
    assert "conv 3x3 51 %; (added by the runtime) 24 %; depthwise 3x3 24 %" in told


def test_a_runner_that_keeps_no_raw_samples_is_shown_by_its_medians(chromium: Any, tmp_path: Path, sample: Any) -> None:
    found = sample.measured("b0", 30.0, "fp32", 386)
    summed = [replace(x, samples_ns=(), summary=Summary(50, 31e6, 29e6, 40e6)) for x in found.launches]
    told = build([replace(found, launches=summed)], Inputs(sample.VARIANTS), sample.report().settings)
    (tmp_path / "summed.html").write_text(to_html.render(told))
    assert not [path for path in write_figures(told, tmp_path) if "launches" in path.name]
    browser = chromium.open((tmp_path / "summed.html").as_uri(), 1280)
    assert browser.find_element(By.CSS_SELECTOR, "#samples figcaption").text.endswith("their medians are 31.00 ms.")
    assert browser.get_log("browser") == []


def test_rare_long_samples_do_not_press_the_others_together(chromium: Any, tmp_path: Path, sample: Any) -> None:
    found = sample.measured("b0", 0.1, "fp32", 386)
    first = replace(found.launches[0], samples_ns=(*found.launches[0].samples_ns, 16_000_000))
    path = tmp_path / "long.html"
    long = replace(found, launches=(first, *found.launches[1:]))
    path.write_text(to_html.render(build([long], Inputs(sample.VARIANTS), sample.report().settings)))
    browser = chromium.open(path.as_uri(), 1280)
    assert browser.execute_script("return document.querySelector('#samples .plot')._fullLayout.yaxis.type") == "log"


def test_a_change_of_accuracy_is_of_two_measured_ones(chromium: Any, tmp_path: Path, sample: Any) -> None:
    int8 = GivenAccuracy(0.74, "mine", variant="lite0", precision="int8")
    fp32 = GivenAccuracy(0.75, "mine", variant="lite0", precision="fp32")
    told = []
    for number, given in enumerate(([int8], [int8, fp32])):
        path = tmp_path / f"{number}.html"
        path.write_text(
            to_html.render(
                build(
                    [sample.measured(*row) for row in sample.ROWS[:2]],
                    Inputs(sample.VARIANTS, given),
                    sample.report().settings,
                )
            )
        )
        told.append(chromium.open(path.as_uri(), 360).find_element(By.CSS_SELECTOR, "#precisions figcaption").text)
    assert "top-1 change unknown" in told[0] and "top-1 -1.0 points" in told[1]
