"""The seams. An adapter is one file that ends in `ADAPTER: Converter = OnnxConverter()` (or the like).

Adapters are light to import: whatever is heavy (torch, onnx, a runtime) is imported where it is used, and a
package that is missing raises `errors.MissingExtraError` there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeeff.compare import PairResult
    from edgeeff.costs import Costs
    from edgeeff.graph import Graph
    from edgeeff.measuring.commands import Command, Output, PairRequest, Request
    from edgeeff.profiling.join import StepTimes
    from edgeeff.values import (
        BuildConvention,
        Connected,
        DeviceInfo,
        DeviceProfile,
        DeviceState,
        FileSummary,
        Launch,
        Operator,
        Port,
        Target,
        Variant,
        WeightsSource,
    )

    Array = NDArray[np.generic]


@runtime_checkable
class ModelFamily(Protocol):
    """A family of networks: the paper's table, and how to build and load its members."""

    @property
    def name(self) -> str:
        """For example "efficientnet"."""

    @property
    def variants(self) -> Mapping[str, Variant]:
        """The published members by name, for example "b0". No torch is needed to read them."""

    def scaled(self, base: Variant, *, width: float, depth: float, resolution: int) -> Variant:
        """A member with other coefficients; keeps a published one's name and counts where they are equal."""

    def costs(self, variant: Variant, *, classes: int = 1000) -> Costs:
        """The ops of a member with their sizes; neither torch nor its weights are needed."""

    def build(self, variant: Variant, *, classes: int, padding: str, bn_eps: float) -> Any:
        """The torch module, in eval mode, with its parameters not initialised (on the meta device).

        Args:
            classes: outputs of the classifier; 0 leaves it out, and the output is the pooled features.
            padding: "same" (TensorFlow's, may be asymmetric) or "symmetric" (torch's).
            bn_eps: epsilon of the batch normalisations.
        """

    def layouts(self, variant: Variant) -> Mapping[str, Mapping[str, str]]:
        """For each layout of weights that people have ("timm", "torchvision", ...): foreign key -> our key.

        Our own keys are among them, as "edgeeff". The classifier is called "classifier" there.
        """

    def convention(self, layout: str, variant: Variant) -> BuildConvention | None:
        """How networks whose weights have this layout are built; None where the layout does not say.

        "edgeeff" is the authors' own way, which random weights get.
        """

    def source(self, variant: Variant) -> WeightsSource | None:
        """Where trained weights that fit this member are to be had."""


@runtime_checkable
class Converter(Protocol):
    """A file format: writes a graph, and reads what any file of its kind says of itself."""

    @property
    def name(self) -> str:
        """The format, "onnx" or "tflite"; also the file's suffix without the dot."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that it writes, for example ("fp32", "fp16")."""

    @property
    def runtime(self) -> str:
        """The name of the runtime in which parity is checked."""

    @property
    def machine_specific(self) -> bool:
        """Whether its files of integers are made for one kind of machine, see `edgeeff.int8.machines`."""

    def write(self, graph: Graph, path: Path, *, precision: str, metadata: Mapping[str, str]) -> None:
        """Writes the graph. The same graph, precision and metadata give the same bytes.

        Args:
            metadata: key -> text, stored in the file's own metadata.

        Raises:
            ConversionError: an op has no form in this format.
        """

    def layout(self, nchw: Array) -> Array:
        """Brings an input in torch's NCHW layout into the format's own."""

    def inspect(self, path: Path) -> FileSummary:
        """Reads shapes, types, operators and multiply-adds of any file of this format.

        Raises:
            UsageError: the file is missing, truncated, foreign or damaged.
        """

    def operators(self, path: Path) -> Sequence[Operator]:
        """The operators of any file of this format, in execution order.

        Raises:
            UsageError: the file is missing, truncated, foreign or damaged.
        """


@runtime_checkable
class InstalledRunner(Protocol):
    """A runner that is on a device: makes the command of a launch, and reads what it gave."""

    def command(self, request: Request) -> Command:
        """What is run for one launch."""

    def parse(self, output: Output) -> Launch:
        """What it says. A run that failed, or whose output makes no sense, is a launch with an error."""


@runtime_checkable
class PairingRunner(InstalledRunner, Protocol):
    """An installed runner that can also time two models against each other, call by call, in one launch."""

    def started_by(self, python: Sequence[str]) -> PairingRunner:
        """The same runner in another interpreter (--runtime-python)."""

    def pair_command(self, request: PairRequest) -> Command:
        """What is run for one launch of both."""

    def parse_pair(self, output: Output) -> PairResult:
        """What it says. A run that failed, or whose output makes no sense, is a pair with an error."""


@runtime_checkable
class Runner(Protocol):
    """What times a file on a device, each launch in a process of its own."""

    @property
    def name(self) -> str:
        """For example "litert" or "benchmark_model"; it is the `runtime` of a measurement."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that it times, for example ("tflite",)."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of device that it runs on: "host", "linux", "android"."""

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        """What it lacks here to be brought to such a device (a file, a compiler, the network); None where nothing.

        Args:
            file: the user's own runner (--runner).
        """

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        """Brings it onto the device.

        Args:
            file: the user's own runner (--runner); None takes the usual one.

        Raises:
            UsageError: there is none, or the user's own is not one.
            DeviceError: it cannot be brought there or does not run there.
        """


@runtime_checkable
class Session(Protocol):
    """A file that is loaded in this process and runs again and again. Not for several threads at once."""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """In the file's order."""

    @property
    def outputs(self) -> tuple[Port, ...]:
        """In the file's order."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once; types and layout are the file's own.

        Raises:
            UsageError: the inputs do not fit, or an op fails.
        """


@runtime_checkable
class InstalledProfiler(Protocol):
    """A profiler that is on a device: makes the command of a launch, and reads what it gave."""

    def command(self, request: Request) -> Command:
        """What is run for one launch."""

    def parse(self, output: Output) -> StepTimes:
        """How long each step took. A run that failed, or whose output makes no sense, has an error."""


@runtime_checkable
class Profiler(Protocol):
    """A runner that can also tell how long each op of a file takes."""

    @property
    def name(self) -> str:
        """The runner's."""

    def install_profiler(self, device: Device, file: Path | None) -> InstalledProfiler:
        """Brings it onto the device; see `Runner.install`."""


@runtime_checkable
class Runtime(Protocol):
    """What runs a file in this process, for its outputs."""

    @property
    def name(self) -> str:
        """For example "onnxruntime"."""

    def version(self) -> str:
        """The version that is installed here.

        Raises:
            MissingExtraError: it is not installed.
        """

    def open(self, path: Path, threads: int | None = None) -> Session:
        """Loads a file to run it many times.

        Args:
            threads: of the runtime; None takes one a core.

        Raises:
            UsageError: the runtime cannot load it.
        """

    def infer(self, path: Path, inputs: Sequence[Array]) -> list[Array]:
        """Runs the file once in this process and returns its outputs, in the file's order."""

    def check(self, path: Path, inputs: Sequence[Array]) -> tuple[list[Array], Sequence[str]]:
        """Runs a file that edgeeff wrote, and looks for defects that only the runtime can show.

        Returns:
            The outputs, and one sentence for each defect. For LiteRT: not every op is in one delegate, or the
            optimised kernels do not agree with the reference ones.
        """


@runtime_checkable
class Transport(Protocol):
    """A way to reach devices: one file of devices/."""

    @property
    def name(self) -> str:
        """ "host", "adb" or "ssh"; also the scheme of an address such as adb:SERIAL."""

    def discover(self, addresses: Sequence[str]) -> Sequence[Connected]:
        """What is connected, usable or not. None of it is an error: what is wrong is in `state` and `cure`.

        Args:
            addresses: to look at as well, for a transport that does not see by itself what is there (SSH): those
                of the user's own device files and of the command line.

        Raises:
            MissingExtraError: the transport's package is not installed.
            DeviceError: the transport itself does not work (no adb server can be started, say).
        """

    def open(self, target: Target) -> Device:
        """Connects to a device that `discover` found.

        Raises:
            DeviceError: it is gone, or does not let us in.
        """


@runtime_checkable
class Device(Protocol):
    """A device that is open: where runners are launched. A context, which closes it."""

    @property
    def name(self) -> str:
        """As the user calls it, for example "host"."""

    @property
    def profile(self) -> DeviceProfile:
        """What the catalog knows of it."""

    def info(self) -> DeviceInfo:
        """What the device is."""

    def state(self) -> DeviceState:
        """In which condition it is now; what cannot be read is None."""

    def push(self, path: Path, *, executable: bool = False) -> str:
        """Makes a file available there, by its content hash; returns the path on the device.

        Raises:
            DeviceError: no space (with what is needed and free), a read-only folder, the device was lost.
        """

    def pull(self, remote: str, path: Path) -> None:
        """Fetches a file from there.

        Raises:
            DeviceError: there is no such file, or the device was lost.
        """

    def scratch(self, suffix: str) -> str:
        """A path that is not in use there, for what a runner writes; removed when the device is closed."""

    def python(self) -> Sequence[str]:
        """The argument list that starts a Python interpreter there.

        Raises:
            DeviceError: there is none.
        """

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float,
        on_stderr: Callable[[str], None] | None = None,
    ) -> Iterator[str]:
        """Runs a program there and yields the lines of its standard output as they come.

        Args:
            on_stderr: gets each line of standard error as it comes.

        Raises:
            DeviceError: the device was lost.
            MeasurementError: the program failed or exceeded timeout_s; it was killed, and the error
                keeps the exit code and the end of its standard error.
        """

    def hold_performance(self) -> AbstractContextManager[None]:
        """A context in which the device keeps its clocks at what it can hold for long; restored on every way out.

        Raises:
            UsageError: this kind of device has no such mode.
            DeviceError: this one refuses it.
        """

    def close(self) -> None:
        """Ends the connection and removes what was only for this session. May be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Road(Protocol):
    """Another project's way from a graph to files: `--via NAME`. A module of converters/ offers it as ROAD."""

    @property
    def name(self) -> str:
        """For example "tensorflow"."""

    @property
    def formats(self) -> tuple[str, ...]:
        """What it writes: formats of converters, and "saved_model", a folder."""

    def version(self) -> str:
        """The other project's version that is installed here.

        Raises:
            MissingExtraError: it is not installed.
        """

    def converter(self, images: Array | None) -> Converter:
        """What writes single files.

        Args:
            images: (count, 3, height, width), normalised, for what it quantises by itself.
        """

    def save(self, graph: Graph, folder: Path) -> None:
        """Writes the graph as a SavedModel with an open batch."""

    def infer(self, folder: Path, inputs: Sequence[Array]) -> list[Array]:
        """Loads a SavedModel and runs it once; inputs and outputs have the folder's own layout."""
