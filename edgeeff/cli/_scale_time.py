"""The largest network within a time: by measurements, or by estimates of a latency model that a measurement checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeeff.cli._shared import say

if TYPE_CHECKING:
    from edgeeff.cli._timing import TimingOptions
    from edgeeff.prediction.latency_model import Stored
    from edgeeff.protocols import ModelFamily
    from edgeeff.scaling.solve import Ladder, Limits, Scaled
    from edgeeff.scaling.solve_in_time import Timed, Timer


@dataclass(frozen=True, slots=True)
class InTime:
    """How latencies are had.

    Args:
        most: networks timed, where measurements lead.
        models: the folder of latency models, where estimates lead.
        verify: whether what the estimates found is measured.
    """

    timing: TimingOptions
    most: int
    models: Path | None
    verify: bool


def solve_in_time(ladder: Ladder, limits: Limits, target_s: float, asked: InTime) -> list[Timed]:
    """The networks that were looked at; `best_in_time` of them is the answer.

    Raises:
        UsageError: no latency model was fitted for the device and setting, or it does not reach to the target.
    """
    from edgeeff.cli._timing import timing
    from edgeeff.scaling.solve_in_time import ESTIMATES, estimated_then_measured, largest_in_time

    if asked.models is None:
        with timing(asked.timing, ladder.family) as measure:
            return largest_in_time(ladder, target_s, limits, measure, asked.most)
    estimate = _estimator(ladder.family, asked.timing, asked.models)
    if not asked.verify:
        return largest_in_time(ladder, target_s, limits, estimate, ESTIMATES)
    with timing(asked.timing, ladder.family) as measure:
        return estimated_then_measured(ladder, target_s, limits, estimate, measure)


def _estimator(family: ModelFamily, options: TimingOptions, models: Path) -> Timer:
    from edgeeff.prediction.latency_model import costs_without_graph
    from edgeeff.scaling.solve_in_time import Timed

    stored = stored_model(
        options.device, options.serial, options.format, options.precision, options.threads, models, options.runtime
    )
    say(f"estimates are of a model of {stored.device.name} ({stored.setting}), usually {stored.model.error:.1%} off")

    def estimate(made: Scaled) -> Timed:
        found = stored.model.predict(costs_without_graph(family.costs(made.variant)))
        return Timed(made, found.latency_s, provenance="estimate")

    return estimate


def stored_model(
    device_name: str,
    serial: str | None,
    format_name: str,
    precision: str,
    threads: int,
    models: Path,
    runtime: str | None = None,
) -> Stored:
    """The latency model that was fitted on a device.

    Raises:
        UsageError: there is none for the device, format, precision and threads; the hint fits one.
    """
    from edgeeff import registry
    from edgeeff.measuring.cases import usual_runner
    from edgeeff.prediction import latency_model
    from edgeeff.targets import resolve

    registry.converter(format_name)
    (target,) = resolve(device_name, serial=serial)
    with registry.transport(target.connected.transport).open(target) as device:
        name = runtime or usual_runner(format_name, device.profile).name
        setting = latency_model.Setting(format_name, precision, name, threads)
        return latency_model.load(models, device.info(), setting)
