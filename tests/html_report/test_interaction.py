"""What a reader does on the page: weigh, sort and choose; it ranks as the report does."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from edgeeff.objective import HARD, SOFT, Exponents
from edgeeff.report._document import _score, _top1


@pytest.mark.parametrize(("target_ms", "w"), [(75, SOFT), (25, HARD), (60, HARD), (75, Exponents(-0.3, -0.3))])
def test_it_ranks_as_the_report_does(browser: Any, target_ms: float, w: Exponents, sample: Any) -> None:
    browser.enter("target-number", str(target_ms))
    if w is HARD:
        Select(browser.find_element(By.ID, "kind")).select_by_value("hard")
    else:
        browser.enter("w-number", str(w.alpha))
    browser.settle()
    rows = next(group for group in sample.report(target_ms, w).groups if group.device is sample.HOST).rows
    assert browser.column("rank") == ["-" if row.rank is None else str(row.rank) for row in rows]
    assert browser.column("variant") == [row.name for row in rows]
    assert browser.column("precision") == [row.measurement.precision for row in rows]
    assert browser.column("meets T") == [row.meets_target for row in rows]
    assert browser.column("objective") == [_score(row, w.name, interval=True) for row in rows]
    assert browser.column("top-1, %") == [_top1(row.accuracy) if row.accuracy else "unknown" for row in rows]


def test_a_slider_moves_the_ranks_by_keyboard(browser: Any) -> None:
    Select(browser.find_element(By.ID, "kind")).select_by_value("hard")
    browser.settle()
    before = browser.column("variant")
    assert before[0] == "b1"
    slider = browser.find_element(By.ID, "target")
    slider.send_keys(*[Keys.ARROW_LEFT] * 60)
    browser.settle()
    assert browser.column("variant")[0] == "lite0"
    assert float(browser.find_element(By.ID, "target-number").get_attribute("value")) == 19.05
    assert browser.find_element(By.ID, "summary").text.startswith(
        "T = 19.05 ms, w = 0 within T and -1 beyond it: 1. lite0"
    )


def test_a_column_sorts_by_keyboard_both_ways(browser: Any) -> None:
    def button() -> object:
        return next(b for b in browser.find_elements(By.CSS_SELECTOR, "#table th button") if b.text.startswith("size"))

    sizes = {}
    for order in ("ascending", "descending"):
        button().send_keys(Keys.ENTER)  # type: ignore[attr-defined]
        sizes[order] = [float(text) for text in browser.column("size, MB")]
        head = next(h for h in browser.find_elements(By.CSS_SELECTOR, "#table th") if h.text.startswith("size"))
        assert head.get_attribute("aria-sort") == order
    assert sizes["ascending"] == sorted(sizes["ascending"])
    assert sizes["descending"] == sorted(sizes["ascending"], reverse=True)
    assert browser.switch_to.active_element.text.startswith("size")


def test_a_device_and_a_file_are_chosen(browser: Any) -> None:
    Select(browser.find_element(By.ID, "group")).select_by_visible_text("pixel, 1 thread")
    browser.settle()
    assert browser.column("variant") == ["b0"]
    assert "8 launches" in browser.find_element(By.CSS_SELECTOR, "#samples figcaption").text
    conditions = browser.find_element(By.CSS_SELECTOR, "#conditions figcaption").text
    assert "temperature, °C: 40.0 to 47.0" in conditions
    assert "Could not be read here: fastest clock" in conditions
