"""Times networks that have not been written yet: random weights into a file of a temporary folder, onto a device."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edgeeff import __version__, registry
from edgeeff.cli._shared import say
from edgeeff.errors import MeasurementError

if TYPE_CHECKING:
    from edgeeff.measuring.harness import Policy
    from edgeeff.measuring.launch import Case
    from edgeeff.protocols import Device, ModelFamily
    from edgeeff.scaling.solve import Scaled
    from edgeeff.scaling.solve_in_time import Timed
    from edgeeff.store import Writer
    from edgeeff.traced_network import Network
    from edgeeff.values import Measurement


@dataclass(frozen=True, slots=True)
class TimingOptions:
    """Where and how networks are timed; `seconds` is for each, and `out` where the raw samples go."""

    device: str
    serial: str | None
    runtime: str | None
    format: str
    precision: str
    threads: int
    accelerator: str
    seconds: float
    out: Path


@contextmanager
def timing(options: TimingOptions, family: ModelFamily) -> Iterator[Callable[[Scaled], Timed]]:
    """A timer on the device, which stays open. The weights are random: latency does not depend on them."""
    from edgeeff.store import Writer
    from edgeeff.targets import resolve

    (target,) = resolve(options.device, serial=options.serial)
    session = secrets.token_hex(4)
    with (
        registry.transport(target.connected.transport).open(target) as device,
        TemporaryDirectory(prefix="edgeeff-") as folder,
        Writer(options.out, session, __version__) as writer,
    ):
        yield lambda made: _time(made, family, options, device, Path(folder), session, writer)
        say(f"raw samples are in {writer.path}")


def _time(
    made: Scaled,
    family: ModelFamily,
    options: TimingOptions,
    device: Device,
    folder: Path,
    session: str,
    writer: Writer,
) -> Timed:
    from edgeeff import stats
    from edgeeff.measuring.cases import Wanted, build_cases
    from edgeeff.measuring.harness import Policy
    from edgeeff.scaling.solve_in_time import Timed

    path = _write(made, family, options, folder)
    runtimes = [options.runtime] if options.runtime else []
    name = f"{session}-{made.variant.name}"
    policy = Policy(options.seconds)
    wanted = Wanted(name, runtimes, (options.threads,), options.accelerator, policy=policy)
    case = build_cases([path], device, wanted)[0]
    measured = run_alone(case, device, policy, writer)
    path.unlink()
    found = stats.latency(measured)
    if found.median_s is None:
        reason = measured.launches[-1].error if measured.launches else None
        raise MeasurementError(f"{made.variant.name} could not be measured on {device.name}", reason or "")
    low, high = (found.interval.low, found.interval.high) if found.interval else (None, None)
    bounds = f" [{low * 1e3:.4g}, {high * 1e3:.4g}]" if low is not None and high is not None else ""
    say(f"phi {made.phi:g}: {found.median_s * 1e3:.4g}{bounds} ms, {found.launches} launches")
    return Timed(made, found.median_s, low, high)


def run_alone(case: Case, device: Device, policy: Policy, writer: Writer) -> Measurement:
    """All launches of one case; each is on disk as soon as it ends."""
    from edgeeff.measuring.harness import run_session

    measured = case.measurement
    for done in run_session([case], device, policy, random.Random(0)):
        measured = done.measurement
        writer.launch(measured, done.launch)
    return measured


def _write(made: Scaled, family: ModelFamily, options: TimingOptions, folder: Path) -> Path:
    from edgeeff.convert import convert
    from edgeeff.converters import trace
    from edgeeff.int8.integer_options import IntegerOptions
    from edgeeff.networks import from_variant
    from edgeeff.weights.sources import random as random_weights

    say(f"phi {made.phi:g}: writing {made.variant.name}")
    weights = random_weights(made.variant, family, classes=None, padding=None)
    network = from_variant(made.variant, family, weights, trace)
    converter = registry.converter(options.format)
    target = (converter, registry.runtime(converter.runtime), options.precision)
    (artifact,) = convert(network, [target], folder, quantize=_quantize, options=IntegerOptions(-1000.0))
    return artifact.path


def _quantize(network: Network, precision: str) -> Iterable[Network]:
    """Integers whose ranges one picture of noise gave: as fast as any, and good for nothing else."""
    from edgeeff.converters import quantize, quantize_for_timing

    if precision != "int8":
        return [quantize(network, precision, None)]
    return [replace(network, graph=quantize_for_timing(network.graph, network.inputs[0]))]
