"""LiteRT (TensorFlow Lite) with its XNNPACK delegate. Outputs are computed here; latency is taken by the runner."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import ConversionError, MissingExtraError, UsageError
from edgeeff.protocols import Device, InstalledProfiler, InstalledRunner, Runner, Session
from edgeeff.values import DeviceProfile
from edgeeff.wording import first_line

from ._litert_session import LitertSession
from ._profiler import python_profiler
from ._python import python_runner
from ._runner._litert import litert_delegation
from ._xnnpack import file_types

if TYPE_CHECKING:
    from edgeeff.protocols import Array

_AGREEMENT_DB = 60.0
"""Rounding alone leaves 107 dB or more between two float kernels on B0 to B7; a wrong kernel leaves 30 or less."""

_INTEGER_AGREEMENT_DB = 12.0
"""Of two integer kernels, which round in their own ways: 22 dB on B0, 23 on Lite0, where a step or two of the first
layers' roundings has grown. It finds gross faults; parity with the float network judges the rest."""

_GROWTH_DB = 6.0
"""Roundings differ in every layer, not in the input alone: so much further than a step there may two kernels lie."""

_CHECK_PIXELS = 64
"""Side of the image on which the slow reference kernels run: B0 takes 0.03 s of CPU there, at 224 px 0.33 s."""

_XNNPACK_CONCAT_INPUTS = 5


class LitertRuntime:
    """The interpreter of ai_edge_litert, or that of tflite_runtime where the former is missing."""

    name = "litert"
    formats = ("tflite",)
    kinds = ("host", "linux")

    def version(self) -> str:
        package = import_module(_module().__name__.partition(".")[0])
        return str(package.__version__)

    def missing(self, profile: DeviceProfile, file: Path | None) -> str | None:
        return None

    def install(self, device: Device, file: Path | None) -> InstalledRunner:
        return python_runner(self.name, device, file)

    def install_profiler(self, device: Device, file: Path | None) -> InstalledProfiler:
        return python_profiler(self.name, device, file, "LiteRT's profiler", file_types)

    def open(self, path: Path, threads: int | None = None) -> Session:
        return _open(path, threads)

    def infer(self, path: Path, inputs: Sequence[Array]) -> list[Array]:
        return _open(path)(inputs)

    def check(self, path: Path, inputs: Sequence[Array]) -> tuple[list[Array], Sequence[str]]:
        try:
            outputs, defects = _run_and_check(path, inputs)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(f"LiteRT cannot run the written file: {first_line(error)}") from error
        return outputs, defects


def _module() -> Any:
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise MissingExtraError("ai-edge-litert", "tflite", "running TFLite files")


def _open(path: Path, threads: int | None = None) -> LitertSession:
    try:
        return LitertSession(path, _interpreter(path, threads=threads))
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"{path}: LiteRT cannot run it: {first_line(error)}") from error


def _interpreter(path: Path, kernels: str = "AUTO", threads: int | None = None) -> Any:
    """An interpreter with the kernels of the given OpResolverType; "AUTO" applies XNNPACK."""
    module = _module()
    return module.Interpreter(
        model_path=str(path),
        num_threads=threads or os.cpu_count() or 1,
        experimental_op_resolver_type=module.OpResolverType[kernels],
    )


def _run_and_check(path: Path, inputs: Sequence[Array]) -> tuple[list[Array], list[str]]:
    interpreter = _interpreter(path)
    fast = LitertSession(path, interpreter)
    outputs = fast.run(inputs)
    defects = list(_delegation_defects(interpreter))
    images = [value[:, :_CHECK_PIXELS, :_CHECK_PIXELS] if value.ndim == 4 else value for value in inputs]
    try:
        small = fast.run(images)  # in the interpreter that has the weights packed already
    except RuntimeError:  # a network for one size of image only
        images, small = list(inputs), outputs
    limit_db = _AGREEMENT_DB
    if _computes_in_integers(interpreter):
        limit_db = min(_INTEGER_AGREEMENT_DB, step_db(fast, images, small) - _GROWTH_DB)
    # Each interpreter maps the file anew: with both alive, B7's weights would be in memory three times.
    del fast, interpreter
    reference = LitertSession(path, _interpreter(path, "BUILTIN_REF")).run(images)
    defects += _kernel_defects(small, reference, limit_db)
    return outputs, defects


def step_db(session: LitertSession, images: Sequence[Array], outputs: Sequence[Array]) -> float:
    """How far the outputs move when every number of the images moves by a step of int8, up or down.

    In a deep network with random weights that is as far as any two outputs are apart (B7): roundings that kernels are
    free to choose then say nothing of whether they compute the same.
    """
    import numpy as np

    from edgeeff.parity import sqnr_db

    signs = np.random.default_rng(0)
    moved: list[Any] = []
    for image in images:
        real = np.asarray(image, np.float64)
        is_float = image.dtype.kind == "f"
        step = float(np.ptp(real)) / 255 if is_float else 1.0
        real = real + step * signs.choice((-1.0, 1.0), real.shape)
        if not is_float:
            lowest = -128 if image.dtype.kind == "i" else 0
            real = real.clip(lowest, lowest + 255)
        moved.append(real.astype(image.dtype))
    return sqnr_db(outputs, session.run(moved))


def _computes_in_integers(interpreter: Any) -> bool:
    """Whether a weighted op reads int8, or has int8 weights and rounds what it reads by itself."""
    types = {tensor["index"]: tensor["dtype"].__name__ for tensor in interpreter.get_tensor_details()}
    return any(
        "int8" in {types.get(int(i)) for i in op["inputs"][:2]}
        for op in interpreter._get_ops_details()
        if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    )


def _delegation_defects(interpreter: Any) -> Iterator[str]:
    """Says so where ops that XNNPACK has kernels for do not run in one part: each further part copies and waits."""
    facts = litert_delegation(interpreter)
    known = sum(_without_xnnpack_kernel(op) for op in interpreter._get_ops_details())
    left = facts["ops"] - facts["delegated_ops"] - known
    if left > 0 or (facts["partitions"] != 1 and not known):
        yield (
            f"XNNPACK runs {facts['delegated_ops']} of {facts['ops']} ops, in {facts['partitions']} parts; "
            f"of the rest it has no kernel for {known}"
        )


def _without_xnnpack_kernel(op: Any) -> bool:
    """Whether an op never enters XNNPACK. Such a file is sound, only slower; a bench shows what is delegated."""
    wide = op["op_name"] == "CONCATENATION" and len(op["inputs"]) > _XNNPACK_CONCAT_INPUTS
    # It has pools, but not those that step further than they reach; the details do not tell which one this is.
    return wide or op["op_name"] in ("PADV2", "MAX_POOL_2D", "AVERAGE_POOL_2D")


def _kernel_defects(outputs: Sequence[Array], reference: Sequence[Array], limit_db: float) -> Iterator[str]:
    """Says so where XNNPACK and the reference kernels, which share no code, do not agree on what the file means."""
    from edgeeff.parity import sqnr_db

    agreement = sqnr_db(reference, outputs)
    if agreement < limit_db:
        yield f"XNNPACK and LiteRT's reference kernels differ: {agreement:.1f} dB, the limit is {limit_db:g} dB"


ADAPTER: Runner = LitertRuntime()
