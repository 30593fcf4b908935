"""The page on a phone, on a desktop and on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from edgeeff.report import to_html
from edgeeff.report.build import Inputs, build


def test_ticks_of_a_wide_axis_stay_upright_on_a_phone(chromium: Any, tmp_path: Path, sample: Any) -> None:
    path = tmp_path / "wide.html"
    rows = [("lite0", 0.6, "fp32", 400), ("b0", 5000.0, "fp32", 386)]
    path.write_text(
        to_html.render(
            build([sample.measured(*row) for row in rows], Inputs(sample.VARIANTS), sample.report().settings)
        )
    )
    browser = chromium.open(path.as_uri(), 360)
    browser.settle()
    labels = browser.find_elements(By.CSS_SELECTOR, "#flops .xaxislayer-above .xtick text")
    assert [label.text for label in labels] == ["1", "10", "100", "1000", "10000"]
    assert all(label.size["width"] < 60 > label.size["height"] for label in labels)
    assert not any("rotate(90" in (label.get_attribute("transform") or "") for label in labels)


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_in_both_colours(chromium: Any, page: str, width: int, scheme: str) -> None:
    browser = chromium.open(page, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]
    plot = browser.execute_script("return document.querySelector('#accuracy .plot')._fullLayout.paper_bgcolor")
    assert plot == {"light": "#fff", "dark": "#16181c"}[scheme]


def test_paper_is_white_and_plots_are_as_wide_as_it(chromium: Any, page: str) -> None:
    browser = chromium.open(page, 390, "dark")
    script = """
        const plots = [...document.querySelectorAll('figure:not([hidden]) .plot')].map((plot) => plot._fullLayout);
        return [...new Set(plots.map((layout) => `${layout.width} ${layout.paper_bgcolor}`))];
    """
    on_screen = browser.execute_script(script)
    assert [entry.split()[1] for entry in on_screen] == ["#16181c"]
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(script) == ["980 #fff"]
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(script) == on_screen
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_paper_shows_every_row_under_a_head_that_repeats(chromium: Any, tmp_path: Path, sample: Any) -> None:
    """Chromium draws no button in a table's head that it repeats on the next page."""
    path = tmp_path / "long.html"
    many = [replace(sample.measured("b0", 20.0 + i, "fp32", 386), path=f"{i}.tflite") for i in range(60)]
    path.write_text(to_html.render(build(many, Inputs(sample.VARIANTS), sample.report().settings)))
    browser = chromium.open(path.as_uri(), 1280)
    shown = (
        "return [document.querySelectorAll('#table tbody tr').length, document.querySelectorAll('th button').length]"
    )
    rows, buttons = browser.execute_script(shown)
    assert rows == 25 and buttons > 10
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(shown) == [60, 0]
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(shown) == [25, buttons]
    assert browser.find_element(By.ID, "page").text == "Page 1 of 3, 60 files"
