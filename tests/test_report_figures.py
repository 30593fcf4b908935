"""The figures of a report as files: reproducible, and each under a name of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edgeeff import registry, store
from edgeeff.objective import SOFT, TARGET_MACS, TARGET_S
from edgeeff.report.build import Inputs, build
from edgeeff.report.figures import write_figures
from edgeeff.report.values import Report, Settings
from edgeeff.values import Measurement

GOLDEN = store.read(Path(__file__).parent / "golden" / "report.results")
ONE = next(found for found in GOLDEN if found.variant == "b0")


def report(*measurements: Measurement) -> Report:
    variants = {name: found for family in registry.families().values() for name, found in family.variants.items()}
    return build(measurements, Inputs(variants), Settings(TARGET_S, TARGET_MACS, SOFT))


def test_figures_are_written_and_reproducible(tmp_path: Path) -> None:
    first, second = (write_figures(report(*GOLDEN), tmp_path / name) for name in ("a", "b"))
    names = [path.name for path in first]
    assert "host-1-thread-accuracy.svg" in names
    assert "host-1-thread-precisions.png" in names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    svg = (tmp_path / "a" / "host-1-thread-accuracy.svg").read_text()
    assert not re.search(r"<dc:date>", svg)


def test_one_device_before_and_after_a_new_kernel_is_two_by_name(tmp_path: Path) -> None:
    host = ONE.device
    devices = [host, replace(host, kernel="6.2"), replace(host, memory_bytes=2**34)]
    told = report(*(replace(ONE, device=device) for device in devices))
    old = f"host: {host.model}, {host.os}, kernel {host.kernel}, 1 thread"
    assert sorted(told.group_names) == sorted([old, f"{old} (2)", old.replace(str(host.kernel), "6.2")])
    written = write_figures(told, tmp_path)
    assert len(set(written)) == len(written)


def test_devices_whose_names_differ_by_a_sign_have_figures_each(tmp_path: Path) -> None:
    devices = [replace(ONE.device, name=name) for name in ("my pi", "my-pi", "My pi")]
    told = report(*(replace(ONE, device=device) for device in devices))
    names = [path.name.lower() for path in write_figures(told, tmp_path) if "launches" in path.name]
    assert len(set(names)) == len(names) == 2 * len(devices)
