"""The page in a real browser: it loads alone, is small, and says where its numbers are from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from selenium.webdriver.common.by import By

from edgeeff.objective import SOFT, TARGET_MACS
from edgeeff.report import to_html
from edgeeff.report.build import Inputs, build
from edgeeff.report.values import Settings


def test_it_asks_for_nothing_and_complains_of_nothing(browser: Any, page: str) -> None:
    browser.settle()
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [page]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    assert not browser.find_element(By.ID, "failure").is_displayed()


def test_every_number_has_its_source(browser: Any) -> None:
    assert set(browser.column("source of top-1")) == {"published", "unknown", "measured"}
    assert browser.column("median, ms (measured)")[0].endswith("]")


def test_names_of_foreign_files_stay_text(browser: Any, sample: Any) -> None:
    assert browser.title == "edgeeff report: host, pixel"
    assert sample.HOSTILE in browser.column("weights")
    assert browser.find_elements(By.CSS_SELECTOR, "img[src=x]") == []


def test_the_page_is_reproducible_and_small(sample: Any) -> None:
    text = to_html.render(sample.report())
    assert text == to_html.render(sample.report())
    many = [
        replace(sample.measured("b0", 20 + i / 100, "fp32", 386), sha256=f"{i:064x}", path=f"{i}.tflite")
        for i in range(1000)
    ]
    large = to_html.render(build(many, Inputs(sample.VARIANTS), Settings(0.075, TARGET_MACS, SOFT)))
    # 100,000 rows may take 20 MB together with plotly.js; the detailed rows' samples come once.
    assert len(large) - len(text) < 1000 * 150 + 300_000
