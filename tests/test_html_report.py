"""The page in a real browser: it loads alone, ranks as the report does, sorts, and fits a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from edgeeff.objective import HARD, SOFT, TARGET_MACS, Exponents
from edgeeff.profiling.profiles import OpTime, Profile
from edgeeff.proportions import Share
from edgeeff.report import to_html
from edgeeff.report._document import _score, _top1
from edgeeff.report.accuracies import GivenAccuracy
from edgeeff.report.build import Inputs, build
from edgeeff.report.figures import write_figures
from edgeeff.report.values import Report, Settings
from edgeeff.values import Accuracy, DeviceInfo, DeviceState, Launch, Measurement, Normalisation, Summary, Variant

HOST = DeviceInfo("host", "host", "Some CPU", "Debian 12", "6.1", "x86_64", 2, None)
PIXEL = replace(HOST, name="pixel")
HOSTILE = "<img src=x onerror=alert(1)></script><script>document.title='taken'</script>"
TOP1 = {"b0": 0.763, "b1": 0.788, "lite0": 0.751, "lite2": 0.776}
VARIANTS = {
    name: Variant(name, "f", 1, 1, 224, 0.2, Normalisation((0.5,) * 3, (0.5,) * 3), "table",
                  published=Accuracy(top1, "table", "published"))
    for name, top1 in TOP1.items()
}  # fmt: skip
ROWS = [
    ("lite0", 20.0, "fp32", 400), ("lite0", 11.0, "int8", 400), ("b0", 31.0, "fp32", 386), ("b1", 66.0, "fp32", 690),
    ("lite2", 58.0, "fp32", 899), ("lite2", 30.0, "int8-weights", 899),
]  # fmt: skip

COUNTED = GivenAccuracy(0.776, "mine.json, entry 1", variant="lite2", precision="fp32", share=Share(776, 1000))


def measured(variant: str | None, ms: float, precision: str, megamacs: int, device: DeviceInfo = HOST) -> Measurement:
    name, weights = (variant, "wheel") if variant else ("foreign", HOSTILE)
    launches = tuple(
        Launch(i, tuple(round(ms * 1e6 * (1 + 0.01 * ((3 * i + j) % 7))) for j in range(20)), 1.79e9 + i,
               state_before=DeviceState(load_1min=0.5 + i, temperature_c=40.0 + i))
        for i in range(8)
    )  # fmt: skip
    size = 20_000_000 if precision == "fp32" else 5_000_000
    return Measurement(
        f"{name}-{precision}", "s1", f"{name}-{precision}.tflite", f"{name}{precision}", size, "tflite", precision,
        variant, weights, 224, megamacs * 10**6, 5_000_000, "litert", 1, "cpu", device, "0.1.0", 1.79e9, 0, launches,
    )  # fmt: skip


def report(target_ms: float = 75.0, w: Exponents = SOFT) -> Report:
    measurements = [measured(*row) for row in ROWS] + [measured(None, 5.0, "fp32", 100)]
    measurements += [measured("b0", 9.0, "fp32", 386, PIXEL)]
    return build(measurements, Inputs(VARIANTS, [COUNTED]), Settings(target_ms / 1e3, TARGET_MACS, w))


def profile() -> Profile:
    ops = (
        OpTime("stem", "conv 3x3", "Conv", "stem", 10**7, (), None, (2e-3, 2.2e-3)),
        OpTime("", "Transpose", "Transpose", None, None, (), None, (1e-3, 1e-3)),
        OpTime("blocks.0", "depthwise 3x3", "DW", "blocks.0", 10**6, (), None, (1e-3, 1e-3)),
    )
    return Profile(
        "p1", "b0.tflite", "0" * 64, 1, "tflite", "fp32", "b0", None, 11 * 10**6, "litert", None, 1, "cpu", HOST, "0",
        1.79e9, "LiteRT's profiler", 30, (4e-3, 4e-3), (4e-3, 4e-3), (), ops,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html.render(report(), [profile()]), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(program: object) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "apt-get install chromium")  # type: ignore[operator]
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = program("chromedriver", "apt-get install chromium-driver")  # type: ignore[operator]
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(600)
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome, page: str) -> webdriver.Chrome:
    """The page, loaded afresh at desktop width."""
    return opened(chromium, page, 1280)


def opened(browser: webdriver.Chrome, page: str, width: int, scheme: str = "light") -> webdriver.Chrome:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page)
    WebDriverWait(browser, 600).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
    return browser


def column(browser: webdriver.Chrome, title: str) -> list[str]:
    script = """
        const cells = [...document.querySelectorAll('#table th')];
        const place = cells.findIndex((cell) => cell.textContent === arguments[0]);
        return [...document.querySelectorAll('#table tbody tr')].map((row) => row.children[place].textContent);
    """
    return browser.execute_script(script, title)  # type: ignore[no-any-return]


def settled(browser: webdriver.Chrome) -> None:
    """Until the page has drawn what an input changed."""
    browser.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));")


def enter(browser: webdriver.Chrome, control: str, value: str) -> None:
    field = browser.find_element(By.ID, control)
    field.clear()
    field.send_keys(value, Keys.ENTER)
    settled(browser)


def test_it_asks_for_nothing_and_complains_of_nothing(browser: webdriver.Chrome, page: str) -> None:
    settled(browser)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith("data:")] == [page]
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    assert not browser.find_element(By.ID, "failure").is_displayed()


@pytest.mark.parametrize(("target_ms", "w"), [(75, SOFT), (25, HARD), (60, HARD), (75, Exponents(-0.3, -0.3))])
def test_it_ranks_as_the_report_does(browser: webdriver.Chrome, target_ms: float, w: Exponents) -> None:
    enter(browser, "target-number", str(target_ms))
    if w is HARD:
        Select(browser.find_element(By.ID, "kind")).select_by_value("hard")
    else:
        enter(browser, "w-number", str(w.alpha))
    settled(browser)
    rows = next(group for group in report(target_ms, w).groups if group.device is HOST).rows
    assert column(browser, "rank") == ["-" if row.rank is None else str(row.rank) for row in rows]
    assert column(browser, "variant") == [row.name for row in rows]
    assert column(browser, "precision") == [row.measurement.precision for row in rows]
    assert column(browser, "meets T") == [row.meets_target for row in rows]
    assert column(browser, "objective") == [_score(row, w.name, interval=True) for row in rows]
    assert column(browser, "top-1, %") == [_top1(row.accuracy) if row.accuracy else "unknown" for row in rows]


def test_a_slider_moves_the_ranks_by_keyboard(browser: webdriver.Chrome) -> None:
    Select(browser.find_element(By.ID, "kind")).select_by_value("hard")
    settled(browser)
    before = column(browser, "variant")
    assert before[0] == "b1"
    slider = browser.find_element(By.ID, "target")
    slider.send_keys(*[Keys.ARROW_LEFT] * 60)
    settled(browser)
    assert column(browser, "variant")[0] == "lite0"
    assert float(browser.find_element(By.ID, "target-number").get_attribute("value")) == 19.05
    assert browser.find_element(By.ID, "summary").text.startswith(
        "T = 19.05 ms, w = 0 within T and -1 beyond it: 1. lite0"
    )


def test_a_column_sorts_by_keyboard_both_ways(browser: webdriver.Chrome) -> None:
    def button() -> object:
        return next(b for b in browser.find_elements(By.CSS_SELECTOR, "#table th button") if b.text.startswith("size"))

    sizes = {}
    for order in ("ascending", "descending"):
        button().send_keys(Keys.ENTER)  # type: ignore[attr-defined]
        sizes[order] = [float(text) for text in column(browser, "size, MB")]
        head = next(h for h in browser.find_elements(By.CSS_SELECTOR, "#table th") if h.text.startswith("size"))
        assert head.get_attribute("aria-sort") == order
    assert sizes["ascending"] == sorted(sizes["ascending"])
    assert sizes["descending"] == sorted(sizes["ascending"], reverse=True)
    assert browser.switch_to.active_element.text.startswith("size")


def test_every_number_has_its_source(browser: webdriver.Chrome) -> None:
    assert set(column(browser, "source of top-1")) == {"published", "unknown", "measured"}
    assert column(browser, "median, ms (measured)")[0].endswith("]")


def test_the_intervals_of_latency_and_accuracy_are_drawn(browser: webdriver.Chrome) -> None:
    script = """
        const trace = document.querySelector('#accuracy .plot').data.find((found) => found.name === 'fp32 tflite');
        const place = trace.text.findIndex((text) => text.startsWith('lite2'));
        return ['error_x', 'error_y'].map((bars) => [trace[bars].arrayminus[place], trace[bars].array[place]]);
    """
    row = next(r for r in report().groups[0].rows if r.name == "lite2" and r.measurement.precision == "fp32")
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


def test_flops_are_drawn_against_latency_and_their_rank_correlation_is_told(browser: webdriver.Chrome) -> None:
    group = report().groups[0]
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


def test_ticks_of_a_wide_axis_stay_upright_on_a_phone(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    path = tmp_path / "wide.html"
    rows = [("lite0", 0.6, "fp32", 400), ("b0", 5000.0, "fp32", 386)]
    path.write_text(to_html.render(build([measured(*row) for row in rows], Inputs(VARIANTS), report().settings)))
    browser = opened(chromium, path.as_uri(), 360)
    settled(browser)
    labels = browser.find_elements(By.CSS_SELECTOR, "#flops .xaxislayer-above .xtick text")
    assert [label.text for label in labels] == ["1", "10", "100", "1000", "10000"]
    assert all(label.size["width"] < 60 > label.size["height"] for label in labels)
    assert not any("rotate(90" in (label.get_attribute("transform") or "") for label in labels)


def test_a_device_and_a_file_are_chosen(browser: webdriver.Chrome) -> None:
    Select(browser.find_element(By.ID, "group")).select_by_visible_text("pixel, 1 thread")
    settled(browser)
    assert column(browser, "variant") == ["b0"]
    assert "8 launches" in browser.find_element(By.CSS_SELECTOR, "#samples figcaption").text
    conditions = browser.find_element(By.CSS_SELECTOR, "#conditions figcaption").text
    assert "temperature, °C: 40.0 to 47.0" in conditions
    assert "Could not be read here: fastest clock" in conditions


def test_plots_are_told_in_words(browser: webdriver.Chrome) -> None:
    for plot in browser.find_elements(By.CSS_SELECTOR, "figure:not([hidden]) .plot"):
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label") or "") > 20
    told = browser.find_element(By.CSS_SELECTOR, "#precisions figcaption").text
    assert "lite2 int8-weights tflite on litert: 0.52x the time, 0.25x the size, top-1 change unknown" in told


def test_a_profile_shows_where_the_time_goes(browser: webdriver.Chrome) -> None:
    told = browser.find_element(By.CSS_SELECTOR, "#profile figcaption").text
    assert told.startswith(
        "b0 fp32 tflite on litert, host, 1 thread, measured by LiteRT's profiler, 2 launches of 30 runs."
    )
    assert "conv 3x3 51 %; (added by the runtime) 24 %; depthwise 3x3 24 %" in told


def test_a_runner_that_keeps_no_raw_samples_is_shown_by_its_medians(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    found = measured("b0", 30.0, "fp32", 386)
    summed = [replace(x, samples_ns=(), summary=Summary(50, 31e6, 29e6, 40e6)) for x in found.launches]
    told = build([replace(found, launches=summed)], Inputs(VARIANTS), report().settings)
    (tmp_path / "summed.html").write_text(to_html.render(told))
    assert not [path for path in write_figures(told, tmp_path) if "launches" in path.name]
    browser = opened(chromium, (tmp_path / "summed.html").as_uri(), 1280)
    assert browser.find_element(By.CSS_SELECTOR, "#samples figcaption").text.endswith("their medians are 31.00 ms.")
    assert browser.get_log("browser") == []


def test_rare_long_samples_do_not_press_the_others_together(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    found = measured("b0", 0.1, "fp32", 386)
    first = replace(found.launches[0], samples_ns=(*found.launches[0].samples_ns, 16_000_000))
    path = tmp_path / "long.html"
    long = replace(found, launches=(first, *found.launches[1:]))
    path.write_text(to_html.render(build([long], Inputs(VARIANTS), report().settings)))
    browser = opened(chromium, path.as_uri(), 1280)
    assert browser.execute_script("return document.querySelector('#samples .plot')._fullLayout.yaxis.type") == "log"


def test_names_of_foreign_files_stay_text(browser: webdriver.Chrome) -> None:
    assert browser.title == "edgeeff report: host, pixel"
    assert HOSTILE in column(browser, "weights")
    assert browser.find_elements(By.CSS_SELECTOR, "img[src=x]") == []


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_in_both_colours(chromium: webdriver.Chrome, page: str, width: int, scheme: str) -> None:
    browser = opened(chromium, page, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]
    plot = browser.execute_script("return document.querySelector('#accuracy .plot')._fullLayout.paper_bgcolor")
    assert plot == {"light": "#fff", "dark": "#16181c"}[scheme]


def test_paper_is_white_and_plots_are_as_wide_as_it(chromium: webdriver.Chrome, page: str) -> None:
    browser = opened(chromium, page, 390, "dark")
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


def test_paper_shows_every_row_under_a_head_that_repeats(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """Chromium draws no button in a table's head that it repeats on the next page."""
    path = tmp_path / "long.html"
    many = [replace(measured("b0", 20.0 + i, "fp32", 386), path=f"{i}.tflite") for i in range(60)]
    path.write_text(to_html.render(build(many, Inputs(VARIANTS), report().settings)))
    browser = opened(chromium, path.as_uri(), 1280)
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


def test_a_change_of_accuracy_is_of_two_measured_ones(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    int8 = GivenAccuracy(0.74, "mine", variant="lite0", precision="int8")
    fp32 = GivenAccuracy(0.75, "mine", variant="lite0", precision="fp32")
    told = []
    for number, given in enumerate(([int8], [int8, fp32])):
        path = tmp_path / f"{number}.html"
        path.write_text(
            to_html.render(build([measured(*row) for row in ROWS[:2]], Inputs(VARIANTS, given), report().settings))
        )
        told.append(opened(chromium, path.as_uri(), 360).find_element(By.CSS_SELECTOR, "#precisions figcaption").text)
    assert "top-1 change unknown" in told[0] and "top-1 -1.0 points" in told[1]


def test_the_page_is_reproducible_and_small() -> None:
    text = to_html.render(report())
    assert text == to_html.render(report())
    many = [
        replace(measured("b0", 20 + i / 100, "fp32", 386), sha256=f"{i:064x}", path=f"{i}.tflite") for i in range(1000)
    ]
    large = to_html.render(build(many, Inputs(VARIANTS), Settings(0.075, TARGET_MACS, SOFT)))
    # 100,000 rows may take 20 MB together with plotly.js; the detailed rows' samples come once.
    assert len(large) - len(text) < 1000 * 150 + 300_000
