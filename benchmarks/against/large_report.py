"""What `edgeeff report --html` takes of a large results folder: CPU seconds of reading, building and rendering.

    python -m edgeeff.benchmarks.against.large_report build/large                  # every measurement of another file
    python -m edgeeff.benchmarks.against.large_report build/often --files 1000     # each file measured again and again

The folder is written first where it is not there: results as `edgeeff bench` writes them, of made-up latencies. Each
of the three steps is timed in one process, by its CPU time, which other programs disturb less than the clock's.
"""

from __future__ import annotations

import gc
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgeeff import registry, store
from edgeeff.codec import encode
from edgeeff.objective import SOFT, TARGET_MACS, TARGET_S
from edgeeff.report import to_html
from edgeeff.report.build import Inputs, build
from edgeeff.report.values import Settings
from edgeeff.values import DeviceInfo, DeviceState, Launch, Measurement, Variant

A_SESSION = 1000
"""Measurements of one results file."""

DEVICES = [DeviceInfo(name, "linux", "A CPU", "Debian 12", "6.1", "aarch64", 8, 2**33) for name in ("a", "b", "c", "d")]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--measurements", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--files", type=click.IntRange(1), help="Different ones. Default: as many as measurements.")
@click.option("--launches", type=click.IntRange(1), default=8, show_default=True, help="Of each measurement.")
@click.option("--samples", type=click.IntRange(1), default=5, show_default=True, help="Of each launch.")
@click.option("--states", is_flag=True, help="With the device's state around each launch, and CPU times.")
def main(folder: Path, measurements: int, files: int | None, launches: int, samples: int, states: bool) -> None:
    """Time the report of FOLDER, which is made where it is not there."""
    variants = {name: found for family in registry.families().values() for name, found in family.variants.items()}
    if folder.exists():
        click.echo(f"using the results that are there in {folder}, whatever the options say", err=True)
    else:
        made = _Maker([v for v in variants.values() if v.macs], files or measurements, launches, samples, states)
        made.write(folder, measurements)
    size = sum(path.stat().st_size for path in folder.iterdir())
    gc.disable()  # as the command has it
    times = [time.process_time()]
    found = store.read_lazily(folder)
    times.append(time.process_time())
    report = build(found, Inputs(variants), Settings(TARGET_S, TARGET_MACS, SOFT))
    times.append(time.process_time())
    page = to_html.render(report)
    times.append(time.process_time())
    steps = zip(("reading", "building", "rendering"), times, times[1:], strict=False)
    told = ", ".join(f"{name} {after - before:.1f} s" for name, before, after in steps)
    rows = sum(len(group.rows) for group in report.groups)
    click.echo(
        f"{len(found)} measurements ({size / 1e6:.0f} MB), {rows} rows, CPU: {told}; page {len(page) / 1e6:.1f} MB"
    )


class _Maker:
    """Makes results; the same arguments make the same ones."""

    def __init__(self, variants: list[Variant], files: int, launches: int, samples: int, states: bool) -> None:
        self.variants, self.files, self.launches = variants, files, launches
        self.samples, self.states = samples, states
        self.rng = random.Random(0)

    def write(self, folder: Path, count: int) -> None:
        """The folder has its name only when it is whole: an interrupted one is made anew."""
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for first in range(0, count, A_SESSION):
            session = f"{first:08x}"
            with (part / f"20261124T000000Z-{session}.jsonl").open("w", encoding="utf-8") as out:
                for record in self._records(session, first, min(A_SESSION, count - first)):
                    out.write(json.dumps(record, separators=(",", ":")) + "\n")
        part.rename(folder)

    def _records(self, session: str, first: int, count: int) -> Iterator[dict[str, Any]]:
        yield {"record": "session", "schema": store.SCHEMA, "session": session, "tool_version": "0"}
        for number in range(first, first + count):
            measurement, latency_ns = self._measurement(session, number)
            fields = encode(measurement)
            del fields["launches"]
            yield {"record": "measurement", **fields}
            for index in range(self.launches):
                yield {"record": "launch", "measurement": measurement.id, **encode(self._launch(index, latency_ns))}

    def _measurement(self, session: str, number: int) -> tuple[Measurement, float]:
        """A measurement without launches, and the latency to give them; a file is of one network on one device."""
        file = number % self.files
        of_file = random.Random(file)
        variant, precision = of_file.choice(self.variants), of_file.choice(("fp32", "fp16", "int8"))
        device, macs, parameters = of_file.choice(DEVICES), variant.macs or 0, variant.parameters or 0
        made = Measurement(
            f"{session}-{number}", session, f"{variant.name}-{precision}-{file}.tflite", f"{file:064x}", 4 * parameters,
            "tflite", precision, variant.name, "a.safetensors", variant.resolution, macs, parameters, "litert", 1,
            "cpu", device, "0", 1.79e9 + number, 0,
        )  # fmt: skip
        return made, macs / 20 * self.rng.lognormvariate(0, 0.2)

    def _launch(self, index: int, latency_ns: float) -> Launch:
        level = latency_ns * self.rng.lognormvariate(0, 0.02)
        samples = tuple(round(level * self.rng.lognormvariate(0, 0.01)) for _ in range(self.samples))
        cpu = samples if self.states else None
        before, after = (self._state(), self._state()) if self.states else (None, None)
        return Launch(
            index, samples, 1.79e9 + index, 0.14, 8e-4, 3, cpu, 1, 4, 10**8, 4 * 10**7, 60, 60, "XNNPACK", 1,
            state_before=before, state_after=after,
        )  # fmt: skip

    def _state(self) -> DeviceState:
        return DeviceState(
            temperature_c=40.0, load_1min=self.rng.random(), memory_available_bytes=10**9, cpu_pressure_avg10=0.1
        )


if __name__ == "__main__":
    main()
