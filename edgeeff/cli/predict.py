"""`edgeeff predict`: what a network would take on a device, by a model of its latency."""

from __future__ import annotations

import random
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeeff import __version__, registry
from edgeeff.cli._fit import print_text
from edgeeff.cli._scaling import ScalingOptions, scaling_options
from edgeeff.cli._shared import json_option, print_json, say
from edgeeff.cli._types import Positive
from edgeeff.errors import MeasurementError, UsageError, unknown_name

if TYPE_CHECKING:
    from edgeeff.prediction.latency_model import Costs, Setting, Stored
    from edgeeff.prediction.probes import Probe
    from edgeeff.protocols import Device, ModelFamily
    from edgeeff.values import Measurement, Variant

    Member = tuple[Variant, ModelFamily]

PRECISIONS = ("fp32", "int8")


@click.command("predict")
@click.option(
    "--variant", "variants", multiple=True, metavar="NAME", help="b0, lite0 ...: see edgeeff variants. Repeatable."
)
@click.option("--fit", is_flag=True, help="Measure some networks on the device and fit the model; takes minutes.")
@click.option("--verify", is_flag=True, help="Measure the variants too, and show how far the estimates are off.")
@click.option("--base", "bases", multiple=True, help="Whose scalings --fit measures. Default: b0 and lite0.")
@click.option("--device", "device_name", default="host", show_default=True, help="As for edgeeff bench.")
@click.option("--serial", help="The address of the device, where several fit.")
@click.option("--format", "formats", multiple=True, default=["tflite"], show_default=True, help="tflite, onnx.")
@click.option("--precision", "precisions", multiple=True, default=["fp32"], show_default=True, help="fp32, int8.")
@click.option("--threads", type=click.IntRange(1, 999), default=1, show_default=True, help="Of the runtime.")
@click.option(
    "--seconds", type=Positive(), default=200.0, show_default=True, help="Of measuring, for --fit and for --verify."
)
@click.option(
    "--models",
    type=click.Path(path_type=Path),
    default=Path("latency-models"),
    show_default=True,
    help="Where models are kept, with the raw samples that they were fitted to.",
)
@scaling_options
@json_option
def predict(
    variants: Sequence[str],
    fit: bool,
    verify: bool,
    bases: Sequence[str],
    device_name: str,
    serial: str | None,
    formats: Sequence[str],
    precisions: Sequence[str],
    threads: int,
    seconds: float,
    models: Path,
    scaling: ScalingOptions,
    as_json: bool,
) -> None:
    """Estimate what networks would take on a device, without measuring them.

    The estimate comes from a model of the device, which --fit makes: it measures twelve scalings of b0 and lite0 with
    random weights (latency does not depend on weights). Networks outside of what was measured are refused.
    """
    from edgeeff.cli.convert import find_variant
    from edgeeff.prediction.latency_model import costs_without_graph
    from edgeeff.targets import resolve

    if not variants and not fit:
        raise UsageError("say what to predict: --variant NAME; or --fit a model of the device")
    if verify and not variants:
        raise UsageError("--verify needs the networks to measure: --variant NAME")
    if bases and not fit:
        raise UsageError("--base goes with --fit")
    for precision in precisions:
        if precision not in PRECISIONS:
            raise unknown_name("precision of a latency model", precision, PRECISIONS)
    networks = [scaling.apply(*find_variant(name)) for name in dict.fromkeys(variants)]
    (target,) = resolve(device_name, serial=serial)
    with registry.transport(target.connected.transport).open(target) as device:
        settings = list(_settings(device, formats, precisions, threads))
        stored = _fit(device, settings, bases, seconds, models) if fit else _load(device, settings, models)
        measured = _verify(device, settings, networks, seconds, models) if verify else {}
    _show(
        stored,
        [(variant, costs_without_graph(family.costs(variant))) for variant, family in networks],
        measured,
        as_json,
    )


def _settings(device: Device, formats: Sequence[str], precisions: Sequence[str], threads: int) -> Iterator[Setting]:
    """Each format and precision in the runtime that the device prefers for it."""
    from edgeeff.measuring.cases import usual_runner
    from edgeeff.prediction.latency_model import Setting

    for format_name in dict.fromkeys(formats):
        registry.converter(format_name)
        runtime = usual_runner(format_name, device.profile).name
        for precision in dict.fromkeys(precisions):
            yield Setting(format_name, precision, runtime, threads)


def _load(device: Device, settings: Sequence[Setting], models: Path) -> list[Stored]:
    from edgeeff.prediction import latency_model

    info = device.info()
    return [latency_model.load(models, info, setting) for setting in settings]


def _fit(
    device: Device, settings: Sequence[Setting], bases: Sequence[str], seconds: float, models: Path
) -> list[Stored]:
    """Writes and times the probes, fits a model for each setting, and keeps it."""
    from edgeeff.cli.convert import find_variant
    from edgeeff.prediction import probes

    found = [find_variant(name) for name in dict.fromkeys(bases or probes.BASES)]
    networks = [(variant, family) for base, family in found for variant in probes.scaled(base, family)]
    return fit_networks(device, settings, networks, seconds, models)


def fit_networks(
    device: Device,
    settings: Sequence[Setting],
    networks: Sequence[Member],
    seconds: float,
    models: Path,
    classes: int | None = None,
) -> list[Stored]:
    """Writes and times networks of so many classes, fits a model for each setting to them, and keeps it."""
    from edgeeff.prediction import latency_model

    written, measured = _timed(device, settings, networks, seconds, models, classes)
    stored = []
    for setting in settings:
        made = _fitted(setting, written, measured)
        stored.append(made)
        say(f"wrote {latency_model.save(made, models)}")
    return stored


def _verify(
    device: Device, settings: Sequence[Setting], networks: Sequence[Member], seconds: float, models: Path
) -> dict[tuple[str, Setting], float]:
    """What the networks really take, measured as the model's own were: seconds by variant and setting."""
    written, measured = _timed(device, settings, networks, seconds, models)
    return {(probe.name, setting): _latency_s(probe, setting, measured) for probe in written for setting in settings}


def _timed(
    device: Device,
    settings: Sequence[Setting],
    networks: Sequence[Member],
    seconds: float,
    models: Path,
    classes: int | None = None,
) -> tuple[list[Probe], dict[str, Measurement]]:
    """The networks' files, written and timed, then removed; raw samples stay."""
    with tempfile.TemporaryDirectory(prefix="edgeeff-probes-") as folder:
        written = list(_write(networks, settings, Path(folder), classes))
        files = [path for probe in written for path in probe.files.values()]
        return written, _measure(device, files, settings[0].threads, seconds, models / "raw")


def _write(
    networks: Sequence[Member], settings: Sequence[Setting], folder: Path, classes: int | None
) -> Iterator[Probe]:
    from edgeeff.converters import quantize_for_timing, trace
    from edgeeff.networks import from_variant
    from edgeeff.prediction import probes
    from edgeeff.weights.sources import load

    converters = [registry.converter(name) for name in dict.fromkeys(setting.format for setting in settings)]
    precisions = list(dict.fromkeys(setting.precision for setting in settings))
    for variant, family in networks:
        say(f"writing {variant.name}")
        network = from_variant(variant, family, load(variant, family, "random", classes=classes, padding=None), trace)
        yield probes.write(network, converters, precisions, folder, quantize_for_timing)


def _measure(device: Device, files: Sequence[Path], threads: int, seconds: float, raw: Path) -> dict[str, Measurement]:
    """The measurement of each file by its name; raw samples are kept."""
    from edgeeff.measuring.cases import Wanted, build_cases
    from edgeeff.measuring.harness import Policy, run_session
    from edgeeff.store import Writer

    # No target of precision: all files share the time, launch by launch, so that what disturbs them is shared too.
    wanted = Wanted(secrets.token_hex(4), threads=(threads,), policy=Policy(seconds, precision_target=0.0))
    measured = {}
    say(f"timing {len(files)} files on {device.name} for up to {seconds:g} s")
    with Writer(raw, wanted.session, __version__) as writer:
        for done in run_session(build_cases(files, device, wanted), device, wanted.policy, random.Random(0)):
            measured[Path(done.measurement.path).name] = done.measurement
            writer.launch(done.measurement, done.launch)
    return measured


def _fitted(setting: Setting, probes: Sequence[Probe], measured: dict[str, Measurement]) -> Stored:
    from edgeeff.prediction import latency_model

    samples = [latency_model.Sample(p.name, p.costs, _latency_s(p, setting, measured)) for p in probes]
    last = measured[probes[-1].files[setting.format, setting.precision].name]
    version = last.launches[0].runtime_version
    return latency_model.Stored(last.device, setting, version, latency_model.fit(samples), time.time())


def _latency_s(probe: Probe, setting: Setting, measured: dict[str, Measurement]) -> float:
    from edgeeff import stats

    measurement = measured[probe.files[setting.format, setting.precision].name]
    latency_s = stats.undisturbed_s(measurement)
    if latency_s is None:
        reason = measurement.launches[-1].error or "no samples"
        raise MeasurementError(f"{probe.name} {setting} could not be timed: {reason}")
    return latency_s


def _show(
    stored: Sequence[Stored],
    networks: Sequence[tuple[Variant, Costs]],
    measured: Mapping[tuple[str, Setting], float],
    as_json: bool,
) -> None:
    from edgeeff.report.prediction_table import prediction_json, prediction_text

    if as_json:
        print_json(prediction_json(stored, networks, measured))
    else:
        print_text(prediction_text(stored, networks, measured))
