"""onnxruntime on the CPU. Outputs are computed here, in this process; latency is taken by the runner."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError
from edgeeff.protocols import Device, InstalledProfiler, InstalledRunner, Runner, Session
from edgeeff.values import DeviceProfile

from ._profiler import python_profiler
from ._python import python_runner

if TYPE_CHECKING:
    from edgeeff.protocols import Array


class OnnxRuntime:
    """onnxruntime's CPU execution provider."""

    name = "onnxruntime"
    formats = ("onnx",)
    kinds = ("host", "linux")

    def version(self) -> str:
        return str(_module().__version__)

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        return None

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        return python_runner(self.name, device, file)

    def install_profiler(self, device: Device, file: Path | None) -> InstalledProfiler:
        return python_profiler(self.name, device, file, "onnxruntime's profiler", _file_types)

    def open(self, path: Path, threads: int | None = None) -> Session:
        from ._onnx_session import OnnxSession

        return OnnxSession(path, _module(), threads)

    def infer(self, path: Path, inputs: Sequence[Array]) -> list[Array]:
        return self.open(path)(inputs)

    def check(self, path: Path, inputs: Sequence[Array]) -> tuple[list[Array], Sequence[str]]:
        """The outputs, and what of the integers is not computed as such.

        A file in float has no defects of its own: with one provider there is no fallback, and parity judges the
        optimised graph itself.
        """
        from ._onnx_integers import check_integers, has_integers

        if not has_integers(path):
            return self.infer(path, inputs), ()
        return check_integers(path, inputs, _module())


_OF_SEVERAL = {
    "FusedConv": ("Conv",),
    "FusedGemm": ("Gemm",),
    "FusedMatMul": ("MatMul",),
    "QuickGelu": ("Mul", "Sigmoid"),
    "NhwcFusedConv": ("Conv",),
    "QLinearConv": ("Conv", "QLinearConv"),
}
"""What onnxruntime makes of several nodes, and the types of those after which it may be called."""


def _file_types(kernel: str) -> tuple[str, ...]:
    """None for a change of layout, which stands for no node of the file."""
    return () if kernel.startswith("Reorder") else _OF_SEVERAL.get(kernel, (kernel,))


def _module() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "onnx", "running ONNX files") from error
    return onnxruntime


ADAPTER: Runner = OnnxRuntime()
