"""The values that flow through edgeeff: frozen, with the unit in the name.

`None` in a field means "could not be read". It is shown as unknown, never as fine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Provenance = Literal["measured", "published", "estimate"]
"""Where a number comes from. It is shown wherever the number is."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How an RGB image in [0, 255] becomes the network's input: (x / 255 - mean) / std, per channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Top-1 accuracy on ImageNet as a fraction in [0, 1], with where it comes from.

    `interval` has 95 % and is None where it is not known on how many images the accuracy was measured.
    """

    top1: float
    source: str
    provenance: Provenance
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """One member of a family: the scaling coefficients and what is known of the network they make.

    `architecture` is the published member whose table the coefficients scale; they are 1 there.

    `parameters` and `macs` (multiply-adds of convolutions and dense layers, one image) are for 1000
    classes at `resolution`; None where the network was not counted yet (a scaling that has no name).
    """

    name: str
    family: str
    width: float
    depth: float
    resolution: int
    dropout: float
    normalisation: Normalisation
    source: str
    parameters: int | None = None
    macs: int | None = None
    published: Accuracy | None = None
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class BuildConvention:
    """How a project builds and feeds a network: "same" (TensorFlow's) or "symmetric" (torch's) padding, the epsilon of
    its batch normalisations, and its normalisation of images where that is not the variant's."""

    padding: str
    bn_eps: float
    normalisation: Normalisation | None = None


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """Where trained weights of a network are to be had: in an installed package, on the Hugging Face hub, or both.

    `revision` is a whole commit hash, so what it names never changes; `sha256` is checked where it is known.
    """

    package: str | None = None
    repository: str | None = None
    revision: str | None = None
    file: str = "model.safetensors"
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, element type ("float32", "int8" ...) and shape of an input or output.

    A dimension of the shape is None where the file leaves it open (a dynamic batch, say). Where integers stand for real
    numbers, r = (q - zero_point) * scale; else these are None, or not known.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a loaded file. A dimension is None where the file leaves it open.

    Where integers stand for real numbers, r = (q - zero_point) * scale; else `scale` is None.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int = 0


@dataclass(frozen=True, slots=True)
class Parity:
    """How close a written file, run in its own runtime, comes to the torch network.

    sqnr_db is 10 log10(sum y^2 / sum (y - y')^2) over the outputs.
    """

    sqnr_db: float
    max_abs: float
    limit_db: float
    inputs: str
    runtime: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A converted file and what its manifest says of it."""

    path: Path
    format: str
    precision: str
    variant: str
    weights: str
    sha256: str
    size_bytes: int
    parameters: int
    macs: int
    ops: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    normalisation: Normalisation | None
    labels: str | None
    parity: Parity | None
    versions: Mapping[str, str]
    resolution: int | None = None
    family: str | None = None
    padding: str | None = None
    bn_eps: float | None = None
    classes: int | None = None
    peak_activation_bytes: int | None = None
    """Most bytes of float32 activations alive at once, by the graph: an estimate of what a runtime needs."""
    weights_sha256: str | None = None
    """Of the file that the weights were read from; None where they were made."""
    notes: tuple[str, ...] = ()
    via: str | None = None
    """Another project's converter that wrote it, with its version; None for our own."""
    machine: str | None = None
    """The kind of machine whose kernels its integers are made for; None where they suit all."""


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What can be read from a model file without running it.

    `macs` and `parameters` (elements of the stored constants that the operators use) are None where an
    operator's shapes are not known. `batch` counts as 1 where it is open.
    """

    format: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ops: int
    op_counts: Mapping[str, int]
    macs: int | None
    parameters: int | None
    precision: str
    """"fp32", "fp16", "int8", "dynamic" or "mixed", judged by the stored weights and activations."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a model file, as the file has it.

    Args:
        name: the node's, or else its first output's.
        type: the format's own name for it: "CONV_2D", "Conv".
        kind: the same in every format, convolutions by their kernel: "conv 1x1", "depthwise 3x3", "dense", "sigmoid".
        macs: multiply-adds for one image; 0 for what has none, None where they cannot be told.
        inputs: names of values, without those that are stored.
        output_shape: of the first output; None for a dimension that is open or unknown.
    """

    name: str
    type: str
    kind: str
    macs: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output_shape: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device is: the part that must agree before two measurements compare."""

    name: str
    kind: str
    model: str | None
    os: str | None
    kernel: str | None
    abi: str | None
    cpu_count: int | None
    memory_bytes: int | None
    emulated: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """A device that a transport sees, usable or not.

    Args:
        transport: "host", "adb" or "ssh".
        address: what tells it from others there: a serial, or ssh://user@host:port.
        state: "ready", or what keeps it from being used: "unauthorized", "offline", "unreachable" ...
        properties: what the catalog matches on, for example {"manufacturer": "Google", "model": "Pixel 8"}.
        cure: what makes it usable; empty where it is.
    """

    transport: str
    address: str
    state: str
    properties: Mapping[str, str] = field(default_factory=dict)
    cure: str = ""

    @property
    def ready(self) -> bool:
        return self.state == "ready"


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """From when on a device counts as too hot to be measured. None: this device has no such figure.

    Args:
        max_status: Android's thermal status (0 none, 1 light, 2 moderate ...) that is still accepted.
        max_temperature_c: of the hottest zone, before a launch.
        cooldown_s: how long to wait, at most, for it to cool before a launch.
    """

    max_status: int | None = None
    max_temperature_c: float | None = None
    cooldown_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What the catalog knows of a kind of device.

    Args:
        kind: "host", "linux" or "android".
        match: property -> patterns (as in file names, case ignored); one of each property's must fit.
        runners: format -> the runners that time it there, the preferred first.
        accelerators: that its runners can use; whether the device has them shows when it is used.
        cores: "all", "big" (those with the highest clock) or a list such as "4-7".
        address: of the one device that a user's own file is about.
        sources: field -> where its value is from.
        folder: where files are put on the device; None takes the transport's usual place.
        python: the interpreter there that runs the runner; None looks for one.
        npu_libraries: the folder there that holds the NPU vendor's libraries for LiteRT.
        origin: the file that it was read from.
    """

    name: str
    title: str
    kind: str
    transport: str
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    abi: str | None = None
    runners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    accelerators: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = (1,)
    cores: str = "all"
    thermal: ThermalLimits = ThermalLimits()
    address: str | None = None
    folder: str | None = None
    python: str | None = None
    npu_libraries: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A connected device and what is known of its kind: what a transport opens.

    Args:
        name: as the user calls it, for example "pixel-8" or "adb:1A2B".
    """

    name: str
    connected: Connected
    profile: DeviceProfile


@dataclass(frozen=True, slots=True)
class DeviceState:
    """In which condition a device is, before and after a launch."""

    governors: tuple[str, ...] | None = None
    cpu_frequency_khz: tuple[int, ...] | None = None
    cpu_frequency_limit_khz: tuple[int, ...] | None = None
    cpu_frequency_max_khz: tuple[int, ...] | None = None
    """What the hardware can do; a limit below it means that the clock is capped."""
    temperature_c: float | None = None
    load_1min: float | None = None
    memory_available_bytes: int | None = None
    cpu_pressure_avg10: float | None = None
    steal_ticks: int | None = None
    boot_id: str | None = None
    temperatures_c: Mapping[str, float] | None = None
    """By zone or sensor; temperature_c is the hottest of those that count."""
    thermal_status: int | None = None
    """Android's: 0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown."""
    thermal_overridden: bool | None = None
    """Somebody has told Android which thermal status to report: it means nothing then."""
    battery_percent: float | None = None
    battery_temperature_c: float | None = None
    battery_status: str | None = None
    """ "charging", "discharging", "not charging" or "full"."""
    power_source: str | None = None
    """ "usb", "ac", "wireless", "dock" or "battery"."""
    battery_saver: bool | None = None
    screen_on: bool | None = None
    throttling: tuple[str, ...] | None = None
    """What holds the board back now, in its own words ("undervoltage", "throttled"); empty where nothing does."""
    throttled_since_boot: tuple[str, ...] | None = None
    power_mode: str | None = None
    """Of boards that have several: "MAXN", "15W"."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a runner that keeps no raw samples says of one launch's runs. Only the mean and the extremes are sure.

    Args:
        count: of the runs.
        median_ns: None where the runner does not say it.
    """

    count: int
    mean_ns: float
    min_ns: float
    max_ns: float
    std_ns: float | None = None
    median_ns: float | None = None
    p5_ns: float | None = None
    p95_ns: float | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """One process of the runner: the raw samples and what went with them. All times as measured, unrounded."""

    index: int
    samples_ns: tuple[int, ...]
    started_unix_s: float
    startup_s: float | None = None
    """Import of the runtime and loading of the model, up to where it can be run."""
    first_inference_s: float | None = None
    warmup_runs: int | None = None
    cpu_ns: tuple[int, ...] | None = None
    """CPU time of the calling thread for each sample."""
    involuntary_switches: int | None = None
    voluntary_switches: int | None = None
    """How often the calling thread gave up its core to wait for something while it ran the samples."""
    peak_memory_bytes: int | None = None
    baseline_memory_bytes: int | None = None
    ops: int | None = None
    delegated_ops: int | None = None
    delegate: str | None = None
    partitions: int | None = None
    fully_delegated: bool | None = None
    """Whether the delegate took the whole network, where the runner says only that and no counts."""
    summary: Summary | None = None
    """In place of samples_ns, of a runner that keeps none."""
    memory_delta_bytes: int | None = None
    """By how much the process grew since the runner started, of a runner that does not say its peak."""
    runtime_version: str | None = None
    build_type: str | None = None
    """How the runtime was compiled, as it says itself: "Release", "Debug" ...; None where it does not say."""
    state_before: DeviceState | None = None
    state_after: DeviceState | None = None
    error: str | None = None
    """Why this launch gave no samples; a failed launch is kept and counted, never hidden."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """All launches of one file in one runtime with one number of threads on one device.

    Raw samples only: statistics are computed when they are read (`edgeeff.stats`), never stored.
    """

    id: str
    session: str
    path: str
    sha256: str
    size_bytes: int
    format: str
    precision: str
    variant: str | None
    weights: str | None
    resolution: int | None
    macs: int | None
    parameters: int | None
    runtime: str
    threads: int
    accelerator: str
    device: DeviceInfo
    tool_version: str
    created_unix_s: float
    seed: int
    launches: Sequence[Launch] = ()
    cpus: tuple[int, ...] | None = None
    """The cores that the launches were bound to; None where the system chose."""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something about a measurement that its reader must know, with what to do about it."""

    code: str
    message: str
    remedy: str
