"""A report of invented measurements, its page, and a real browser to look at it with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from edgeeff.objective import SOFT, TARGET_MACS, Exponents
from edgeeff.profiling.profiles import OpTime, Profile
from edgeeff.proportions import Share
from edgeeff.report import to_html
from edgeeff.report.accuracies import GivenAccuracy
from edgeeff.report.build import Inputs, build
from edgeeff.report.values import Report, Settings
from edgeeff.values import Accuracy, DeviceInfo, DeviceState, Launch, Measurement, Normalisation, Variant

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


@pytest.fixture(scope="session")
def sample() -> SimpleNamespace:
    """What the page is of: measured(...), report(...), and the values that they are made of."""
    return SimpleNamespace(HOST=HOST, HOSTILE=HOSTILE, ROWS=ROWS, VARIANTS=VARIANTS, measured=measured, report=report)


class Browser(webdriver.Chrome):
    """A browser, with what the tests do to the page."""

    def open(self, page: str, width: int, scheme: str = "light") -> Browser:
        """Loads the page afresh, and waits until it is drawn."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.get("about:blank")
        for log in ("browser", "performance"):
            self.get_log(log)
        self.get(page)
        WebDriverWait(self, 600).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
        return self

    def column(self, title: str) -> list[str]:
        """The cells of a column of the table."""
        script = """
            const cells = [...document.querySelectorAll('#table th')];
            const place = cells.findIndex((cell) => cell.textContent === arguments[0]);
            return [...document.querySelectorAll('#table tbody tr')].map((row) => row.children[place].textContent);
        """
        return self.execute_script(script, title)  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Waits until the page has drawn what an input changed."""
        frames = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
        self.execute_async_script(frames)

    def enter(self, control: str, value: str) -> None:
        """Types a value into a field, by its id."""
        field = self.find_element(By.ID, control)
        field.clear()
        field.send_keys(value, Keys.ENTER)
        self.settle()


@pytest.fixture(scope="package")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html.render(report(), [profile()]), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="package")
def chromium(program: Any) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "apt-get install chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = program("chromedriver", "apt-get install chromium-driver")
    browser = Browser(options=options, service=Service(driver))
    browser.set_script_timeout(600)
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser, page: str) -> Browser:
    """The page, loaded afresh at desktop width."""
    return chromium.open(page, 1280)
