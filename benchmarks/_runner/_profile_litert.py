"""Times each op of a file in LiteRT, through the C API of the wheel's own library: its Python API has no profiler.

Under the profiler, the XNNPACK delegate reports each of its operators (in microseconds, cut off), and the interpreter
those that stayed outside the delegate. What is called here is in litert/c/: litert_compiled_model.h,
litert_profiler.h, litert_profiler_event.h, litert_opaque_options.h, litert_tensor_buffer.h.
"""

from __future__ import annotations

import ctypes
import time
from importlib import import_module
from pathlib import Path

from ._facts import RunnerError
from ._litert import open_litert
from ._measure import warm_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ._facts import Facts

    Step = tuple[str, int | None, int]

OLDEST = (2, 2)
"""Before this version the functions had other parameters, or were not in the wheel. 2.2 and 2.3 were tried."""

CPU = 1  # kLiteRtHwAcceleratorCpu
WRITE = 1  # kLiteRtTensorBufferLockModeWrite
DEFAULT, INTERPRETER_OP, DELEGATE_OP, PROFILED_DELEGATE_OP = 1, 2, 4, 8  # of LiteRtProfilerEventType


def profile_litert(spec: Facts) -> tuple[list[int], list[list[Step]]]:
    """Runs the model under the profiler: the microseconds of each run, and of its ops.

    Raises:
        RunnerError: this LiteRT has no profiler that can be reached.
    """
    interpreter, version, _ = open_litert(spec)
    require_profiler(version)
    details = interpreter.get_input_details()
    inputs = {detail["name"]: interpreter.get_tensor(detail["index"]) for detail in details}
    resized = {d["name"] for d in details if d["shape_signature"].tolist() != d["shape"].tolist()}
    resized |= set(spec["shapes"])
    del interpreter
    model = ProfiledModel(spec["model"], spec["threads"], inputs, resized)
    warm_up(model.run, spec["warmup_runs"], spec["warmup_s"])
    whole: list[int] = []
    steps: list[list[Step]] = []
    end = time.perf_counter() + spec["max_s"]
    while len(whole) < spec["min_runs"] or (len(whole) < spec["max_runs"] and time.perf_counter() < end):
        microseconds, ops = model.profiled_run()
        whole.append(microseconds)
        steps.append(ops)
    return whole, steps


def require_profiler(version: str) -> None:
    """Raises where the installed package has no profiler that is known."""
    package, _, number = version.partition(" ")
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdecimal())
    if package != "ai_edge_litert" or parts < OLDEST:
        raise RunnerError("profiler", f"{version} has no profiler that Python can reach")


class Event(ctypes.Structure):
    """ProfiledEventData."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )


class TensorType(ctypes.Structure):
    """LiteRtRankedTensorType. It is only handed on, so what is in it does not matter: it has less than 100 bytes."""

    _fields_ = (("opaque", ctypes.c_uint64 * 32),)


class Library:
    """libLiteRt.so; each function returns a status, 0 where it went well."""

    def __init__(self) -> None:
        package = import_module("ai_edge_litert")
        self._library = ctypes.CDLL(str(Path(str(package.__file__)).with_name("libLiteRt.so")))

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, "LiteRt" + name)(*arguments)
        if status:
            raise RunnerError("litert", f"LiteRt{name} gives status {status}")

    def handle(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """What a function gives through its last parameter."""
        made = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(made))
        return made


class ProfiledModel:
    """A file, compiled for the CPU with the profiler on.

    Args:
        inputs: name of the input's tensor -> its values.
        resized: the names of those whose shape is not the one in the file.
    """

    def __init__(self, path: str, threads: int, inputs: dict[str, Any], resized: set[str]) -> None:
        self._lib = lib = Library()
        self._kept: list[Any] = []
        """What the library keeps only pointers to."""
        environment = lib.handle("CreateEnvironment", 0, None)
        model = lib.handle("CreateModelFromFile", environment, path.encode())
        options = lib.handle("CreateOptions")
        lib.call("SetOptionsHardwareAccelerators", options, CPU)
        # What litert_runtime_options.cc and litert_cpu_options.cc write: the wheel does not export their functions.
        self._add_options(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._add_options(options, b"xnnpack", b"num_threads = %d\n" % threads)
        self._compiled = lib.handle("CreateCompiledModel", environment, model, options)
        signature = lib.handle("GetModelSignature", model, ctypes.c_size_t(0))
        self._inputs = self._buffers(environment, signature, "Input", inputs, resized)
        self._outputs = self._buffers(environment, signature, "Output", {}, set())
        self._profiler = lib.handle("CompiledModelGetProfiler", self._compiled)

    def run(self) -> None:
        """One inference."""
        counts = [(ctypes.c_size_t(len(buffers)), buffers) for buffers in (self._inputs, self._outputs)]
        self._lib.call("RunCompiledModel", self._compiled, ctypes.c_size_t(0), *counts[0], *counts[1])

    def profiled_run(self) -> tuple[int, list[Step]]:
        """One inference: its microseconds, and each op's: (the runtime's name, index in the file or None, us)."""
        self._lib.call("StartProfiler", self._profiler)  # each time: a reset stops it
        self.run()
        count = ctypes.c_int()
        self._lib.call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (Event * count.value)()
        self._lib.call("GetProfilerEvents", self._profiler, count, events)
        whole, steps = 0, []
        for event in events:
            name, elapsed = event.tag.decode("utf-8", "replace"), int(event.elapsed_us)
            if event.type in (INTERPRETER_OP, DELEGATE_OP, PROFILED_DELEGATE_OP):
                steps.append((name, int(event.metadata[0]) if event.type == INTERPRETER_OP else None, elapsed))
            elif event.type == DEFAULT and name == "Invoke":
                whole = elapsed
        self._lib.call("ResetProfiler", self._profiler)
        return whole, steps

    def _add_options(self, options: ctypes.c_void_p, name: bytes, text: bytes) -> None:
        content = ctypes.create_string_buffer(text)
        nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _content: None)
        self._kept += [content, nothing]
        made = self._lib.handle("CreateOpaqueOptions", name, content, nothing)
        self._lib.call("AddOpaqueOptions", options, made)

    def _buffers(
        self,
        environment: ctypes.c_void_p,
        signature: ctypes.c_void_p,
        side: str,
        values: dict[str, Any],
        resized: set[str],
    ) -> ctypes.Array[ctypes.c_void_p]:
        """A buffer for each input or output, filled where there are values."""
        lib, zero = self._lib, ctypes.c_size_t(0)
        count = ctypes.c_size_t()
        lib.call(f"GetNumSignature{side}s", signature, ctypes.byref(count))
        made: Sequence[ctypes.c_void_p] = []
        for i in map(ctypes.c_size_t, range(count.value)):
            tensor = lib.handle(f"GetSignature{side}TensorByIndex", signature, i)
            raw = ctypes.c_char_p()
            lib.call("GetTensorName", tensor, ctypes.byref(raw))
            name = (raw.value or b"").decode("utf-8", "replace")
            value = values.get(name)
            if value is not None and name in resized:
                shape = (ctypes.c_int * value.ndim)(*value.shape)
                dims = ctypes.c_size_t(value.ndim)
                lib.call("CompiledModelResizeInputTensorNonStrict", self._compiled, zero, i, shape, dims)
            kind = TensorType()
            lib.call("GetRankedTensorType", tensor, ctypes.byref(kind))
            wants = lib.handle(f"GetCompiledModel{side}BufferRequirements", self._compiled, zero, i)
            buffer = lib.handle("CreateManagedTensorBufferFromRequirements", environment, ctypes.byref(kind), wants)
            if value is not None:
                address = ctypes.c_void_p()
                lib.call("LockTensorBuffer", buffer, ctypes.byref(address), WRITE)
                ctypes.memmove(address, value.ctypes.data, value.nbytes)
                lib.call("UnlockTensorBuffer", buffer)
            made = [*made, buffer]
        return (ctypes.c_void_p * len(made))(*(buffer.value for buffer in made))
