"""Model files -> the cases of a session: each file in each runtime that was asked for, with each number of threads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from edgeeff import __version__, registry
from edgeeff.artifacts import read_manifest
from edgeeff.errors import MissingExtraError, UsageError, unknown_name
from edgeeff.files import sha256_of
from edgeeff.int8.machines import ARM, is_arm, this_machine
from edgeeff.measuring.conditions import chosen_cpus
from edgeeff.measuring.harness import Policy
from edgeeff.measuring.launch import Case
from edgeeff.protocols import Device, Runner, Runtime
from edgeeff.values import Artifact, DeviceInfo, DeviceProfile, DeviceState, FileSummary, Measurement, TensorSpec
from edgeeff.wording import sizes


@dataclass(frozen=True, slots=True)
class Wanted:
    """How files are to be timed.

    Args:
        runtimes: by name; empty takes the device's for each format.
        runtimes_by: the option that named them.
        threads: numbers of threads; empty takes the device's.
        runner_file: the user's own runner.
        cores: "all", "big" or a list such as "4-7"; None takes the device's.
        allow_fallback: whether launches count that left the accelerator.
        fixed_performance: whether the device is held at clocks that it can keep.
        shapes: input name -> shape, for inputs that a file leaves open.
    """

    session: str
    runtimes: Sequence[str] = ()
    threads: Sequence[int] = ()
    accelerator: str = "cpu"
    runner_file: Path | None = None
    cores: str | None = None
    allow_fallback: bool = False
    fixed_performance: bool = False
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    seed: int = 0
    policy: Policy = field(default_factory=Policy)
    runtimes_by: str = "--runtime"


def build_cases(paths: Sequence[Path], device: Device, wanted: Wanted) -> list[Case]:
    """Reads what the files say of themselves, and checks all that can be checked before time is spent.

    Raises:
        UsageError: a file is missing or foreign, no runtime that was asked for runs it, or the device has no such
            accelerator.
        MissingExtraError: a runtime is not installed on this machine, where it is to be used.
    """
    if wanted.accelerator not in device.profile.accelerators:
        raise unknown_name(f"accelerator of {device.name}", wanted.accelerator, device.profile.accelerators)
    info = device.info()
    state, cores = device.state(), _checked_cores(wanted.cores or device.profile.cores)
    cases: list[Case] = []
    threads_wanted = wanted.threads or device.profile.threads
    for path in dict.fromkeys(paths):
        common = _measurement(path, info, wanted)
        for runner in _runners(path, common.format, wanted, device.profile):
            if info.kind == "host" and isinstance(runner, Runtime):
                runner.version()
            for threads in dict.fromkeys(threads_wanted):
                name = f"{wanted.session}-{len(cases)}"
                cpus = chosen_cpus(cores, threads, state)
                measurement = replace(common, id=name, runtime=runner.name, threads=threads, cpus=cpus)
                cases.append(Case(measurement, path, runner, wanted.shapes, wanted.runner_file, wanted.allow_fallback))
    return cases


def _checked_cores(cores: str) -> str:
    try:
        chosen_cpus(cores, 1, DeviceState())
    except ValueError as error:
        raise UsageError(str(error), "take --cores all, big, or a list such as 4-7") from error
    return cores


def model_files(folder: Path, runtimes: Sequence[str]) -> list[Path]:
    """The model files of a folder that one of these runtimes runs, or any runtime where none is named."""
    chosen = [registry.runner(name) for name in runtimes] or registry.runners().values()
    suffixes = {f".{name}" for runner in chosen for name in runner.formats}
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in suffixes and not p.name.startswith("."))


def format_of(path: Path) -> str:
    """The format by the file's suffix.

    Raises:
        UsageError: there is no such file, or no format has its suffix.
    """
    known = registry.converters()
    name = path.suffix[1:].lower()
    if not path.exists():
        raise UsageError(f"there is no file {path}", "edgeeff convert writes model files into ./artifacts")
    if name not in known:
        raise _without_format(path)
    return name


def _without_format(path: Path) -> UsageError:
    """The error for a path whose suffix is of no format, by what is in it."""
    if path.is_dir():
        return UsageError(f"{path} is a folder", "name the model files in it")
    unread = []
    for name, converter in sorted(registry.converters().items()):
        try:
            converter.inspect(path)
        except MissingExtraError:
            unread.append(f".{name}")
        except UsageError:
            continue
        else:
            return UsageError(f"{path} is a model in {name} format whose suffix does not say so", f"add .{name} to it")
    if unread:
        return UsageError(
            f"cannot tell the format of {path} by its suffix {path.suffix!r}",
            f"if it is a model, rename it to one of {', '.join(unread)}",
        )
    known = " nor as ".join(sorted(registry.converters()))
    return UsageError(f"{path} is no model file: it can be read neither as {known}", "edgeeff convert writes them")


def _measurement(path: Path, device: DeviceInfo, wanted: Wanted) -> Measurement:
    """What all cases of a file share, by its manifest or else by the file itself; the rest is left empty."""
    format_name = format_of(path)
    manifest = read_manifest(path)
    known = manifest or inspected(path)
    return Measurement(
        id="",
        session=wanted.session,
        path=str(path),
        sha256=manifest.sha256 if manifest else sha256_of(path),
        size_bytes=path.stat().st_size,
        format=format_name,
        precision=known.precision,
        variant=manifest.variant if manifest else None,
        weights=manifest.weights if manifest else None,
        resolution=manifest.resolution if manifest else None,
        macs=None if is_reshaped(known.inputs, wanted.shapes) else known.macs,
        parameters=known.parameters,
        runtime="",
        threads=0,
        accelerator=wanted.accelerator,
        device=device,
        tool_version=__version__,
        created_unix_s=time.time(),
        seed=wanted.seed,
        context=_settings(wanted) | _kernels(manifest, device),
    )


def is_reshaped(inputs: Sequence[TensorSpec], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether an input is fed in another shape than that which the multiply-adds are of, an open dimension being 1."""
    own = {spec.name: tuple(1 if n is None else n for n in spec.shape) for spec in inputs}
    return any(own.get(name, shape) != shape for name, shape in shapes.items())


RESIZED = ("tflite",)
"""Formats whose runtimes feed a file in other sizes than it fixes: LiteRT does, all but a picture's channels."""


def check_input_shapes(paths: Sequence[Path], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses a shape that a file cannot be fed in, and one for an input that none of the files has.

    Raises:
        UsageError: there is one, or a file is missing or foreign.
    """
    known: set[str] = set()
    is_all_known = True
    for path in paths if shapes else ():
        summary = read_manifest(path) or inspected(path)
        known |= {spec.name for spec in summary.inputs}
        is_all_known &= bool(summary.inputs)  # else they cannot be read here
        for spec in summary.inputs:
            given = shapes.get(spec.name)
            if given is not None and not _fits(given, spec.shape, summary.format):
                raise _contradiction(path, spec, given)
    for name in shapes if is_all_known else ():
        if name not in known:
            raise unknown_name("input", name, known)


def _fits(given: Sequence[int], own: Sequence[int | None], format_name: str) -> bool:
    if len(given) != len(own):
        return False
    same = [n in (None, size) for n, size in zip(own, given, strict=True)]
    return (len(own) != 4 or same[3]) if format_name in RESIZED else all(same)


def _contradiction(path: Path, spec: TensorSpec, given: Sequence[int]) -> UsageError:
    is_open = None in spec.shape or path.suffix[1:].lower() in RESIZED
    return UsageError(
        f"{path} takes its input {spec.name} as {sizes(spec.shape)}, and --input-shape gives {sizes(given)}",
        "give one that agrees with it" if is_open else "leave --input-shape out, or export the file with open sizes",
    )


def inspected(path: Path) -> FileSummary:
    """What a model file says of itself. A board may have a runtime and no package that reads its files: unknown then.

    Raises:
        UsageError: it is damaged, or of no format.
    """
    format_name = format_of(path)
    try:
        return registry.converter(format_name).inspect(path)
    except MissingExtraError:
        return FileSummary(format_name, (), (), 0, {}, None, None, "unknown")


def _kernels(manifest: Artifact | None, device: DeviceInfo) -> dict[str, str]:
    """For whose kernels a file of integers was made, and whose the device has, as far as either is known."""
    if manifest is None or manifest.machine is None:
        return {}
    found = {"made_for": manifest.machine}
    if device.kind == "host":
        found["kernels"] = this_machine().name
    elif device.abi is not None and is_arm(device.abi):
        found["kernels"] = ARM
    return found


def _settings(wanted: Wanted) -> dict[str, str]:
    policy = asdict(wanted.policy)
    launch = policy.pop("launch")
    shapes = {f"shape:{name}": "x".join(map(str, shape)) for name, shape in wanted.shapes.items()}
    mode = {"fixed_performance": True} if wanted.fixed_performance else {}
    known = {name: value for name, value in {**policy, **launch, **mode}.items() if value is not None}
    return {name: str(value) for name, value in known.items()} | shapes


def runs_on(path: Path, profile: DeviceProfile, file: Path | None) -> bool:
    """Whether a runner for the file can be brought to such a device."""
    format_name = format_of(path)
    if not registry.runners_for(format_name, profile.kind):
        return False
    return usual_runner(format_name, profile, file).missing(profile, file) is None


def _runners(path: Path, format_name: str, wanted: Wanted, profile: DeviceProfile) -> Iterator[Runner]:
    """Those that were asked for, or the first of the device's own that can be brought there."""
    able = registry.runners_for(format_name, profile.kind)
    if not able:
        raise UsageError(f"nothing here times {format_name} files on {profile.title}", "convert it to another format")
    if not wanted.runtimes:
        yield usual_runner(format_name, profile, wanted.runner_file)
        return
    asked = [registry.runner(name) for name in dict.fromkeys(wanted.runtimes)]
    fitting = [runner for runner in asked if runner.name in able]
    if not fitting:
        raise UsageError(
            f"{' and '.join(wanted.runtimes)} cannot run {path} on {profile.name}: it is {format_name}",
            f"take {wanted.runtimes_by} {' or '.join(able)}",
        )
    yield from fitting


def usual_runner(format_name: str, profile: DeviceProfile, file: Path | None = None) -> Runner:
    """The preferred runner of a device that can be brought there; where none can, the last, whose error says why."""
    able = registry.runners_for(format_name, profile.kind)
    named = [able[name] for name in profile.runners.get(format_name, ()) if name in able] or list(able.values())
    return next((runner for runner in named if runner.missing(profile, file) is None), named[-1])
