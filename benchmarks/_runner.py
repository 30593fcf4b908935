"""Times one model file in one fresh process: the runner that is pushed to devices.

One file, the standard library and the runtime itself (numpy comes with it), Python 3.8 or later, since a board
brings its own. It imports nothing of edgeeff.

It reads one JSON object, the spec, from standard input:

    model, runtime ("litert", "onnxruntime"), accelerator ("cpu"), threads, seed, shapes {input: [int, ...]},
    warmup_runs, warmup_s, min_runs, max_runs, max_s, timeout_s

and writes JSON objects, one a line, to standard output, each with a "record":

    loaded   the model can be run: startup_s, runtime_version, baseline_memory_bytes, ops, delegated_ops, delegate,
             partitions
    samples  it was timed: first_inference_s, warmup_runs, samples_ns, cpu_ns, involuntary_switches,
             peak_memory_bytes
    error    code, message; the exit code is 1 then

Times are wall clock unless the name says "cpu". What cannot be read is null.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np

    Facts = dict[str, Any]
    Shapes = dict[str, list[int]]


class RunnerError(Exception):
    """Why the model cannot be timed: a code for programs and a message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def memory_bytes(field: str) -> int | None:
    """VmHWM (peak) or VmRSS (now) of this process.

    Not ru_maxrss on Linux: it survives fork and exec, so it starts at the parent's size. macOS has only that one.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        if resource is not None and sys.platform == "darwin":
            return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None


def involuntary_switches() -> int | None:
    return None if resource is None else int(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)


def read_into_page_cache(path: str) -> None:
    """So that start-up and first inference measure the runtime and not the disk."""
    with Path(path).open("rb") as file:
        while file.read(1 << 20):
            pass


def shape_to_run(name: str, shape: Sequence[Any], given: Shapes) -> list[int]:
    """The input's shape as given, else the file's with an open batch dimension taken as 1."""
    if name in given:
        if len(given[name]) != len(shape):
            raise RunnerError("shape", f"input {name!r} has {len(shape)} dimensions, {given[name]} was given")
        return list(given[name])
    fixed = [n if isinstance(n, int) and n > 0 else -1 for n in shape]
    if fixed and fixed[0] == -1:
        fixed[0] = 1
    if -1 in fixed:
        raise RunnerError("shape", f"input {name!r} leaves dimensions open: {list(shape)}")
    return fixed


def fill(rng: np.random.Generator, name: str, dtype: np.dtype[Any], shape: list[int], scale: float, zero: int) -> Any:
    """Seeded values that the type can hold: standard normal, quantised where there is a scale.

    Bytes without a scale are taken as an image's, other integers as indices or masks, for which only 0 and 1 are
    always in range.
    """
    import numpy as np

    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 1, size=shape, endpoint=True).astype(dtype)
    if dtype.kind not in "iu":
        raise RunnerError("input", f"input {name!r} has the type {dtype}, which cannot be filled")
    limits = np.iinfo(dtype)
    if scale > 0:
        quantised = np.rint(rng.standard_normal(shape) / scale) + zero
        return np.clip(quantised, limits.min, limits.max).astype(dtype)
    low, high = (limits.min, limits.max) if dtype.itemsize == 1 else (0, 1)
    return rng.integers(low, high, size=shape, dtype=dtype, endpoint=True)


def first_installed(*names: str) -> tuple[Any, str]:
    """The first of these modules that is there, and its package's name and version."""
    for name in names:
        package = name.partition(".")[0]
        try:
            module = import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name not in (package, name):
                raise
            continue
        return module, f"{package} {getattr(sys.modules[package], '__version__', '')}".strip()
    raise RunnerError("runtime_missing", f"not installed: {' or '.join(names)}")


def load_litert(spec: Facts) -> tuple[Callable[[], Any], Facts]:
    module, version = first_installed("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
    import numpy as np

    baseline = memory_bytes("VmRSS")
    interpreter = module.Interpreter(model_path=spec["model"], num_threads=spec["threads"])
    for tensor in interpreter.get_input_details():
        shape = shape_to_run(tensor["name"], tensor["shape_signature"].tolist(), spec["shapes"])
        if shape != tensor["shape"].tolist():
            interpreter.resize_tensor_input(tensor["index"], shape)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(spec["seed"])
    for tensor in interpreter.get_input_details():
        dtype, (scale, zero) = np.dtype(tensor["dtype"]), tensor["quantization"]
        interpreter.set_tensor(tensor["index"], fill(rng, tensor["name"], dtype, tensor["shape"].tolist(), scale, zero))
    facts = litert_delegation(interpreter)
    return interpreter.invoke, dict(facts, runtime_version=version, baseline_memory_bytes=baseline)


def litert_delegation(interpreter: Any) -> Facts:
    """How many of the file's ops a delegate took over.

    The interpreter lists the file's ops and, behind them, a DELEGATE op for each partition. It does not say which
    ops a partition replaced: those are the ones between the partition's inputs and its outputs.
    """
    if not hasattr(interpreter, "_get_ops_details"):
        return dict.fromkeys(("ops", "delegated_ops", "delegate", "partitions"))
    listed = interpreter._get_ops_details()
    ops = [op for op in listed if op["op_name"] != "DELEGATE"]
    partitions = [op for op in listed if op["op_name"] == "DELEGATE"]
    maker = {int(out): i for i, op in enumerate(ops) for out in op["outputs"]}
    taken = set()
    for partition in partitions:
        entry = {int(i) for i in partition["inputs"]}
        pending = [int(out) for out in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            if tensor not in entry and tensor in maker and maker[tensor] not in taken:
                taken.add(maker[tensor])
                pending.extend(int(i) for i in ops[maker[tensor]]["inputs"])
    delegate = "XNNPACK" if partitions else None
    return {"ops": len(ops), "delegated_ops": len(taken), "delegate": delegate, "partitions": len(partitions)}


NUMPY_TYPES = {"float": "float32", "double": "float64"}  # where onnxruntime's names differ


def load_onnxruntime(spec: Facts) -> tuple[Callable[[], Any], Facts]:
    onnxruntime, version = first_installed("onnxruntime")
    import numpy as np

    baseline = memory_bytes("VmRSS")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(spec["seed"])
    binding = session.io_binding()
    for tensor in session.get_inputs():
        element = tensor.type.partition("(")[2].rstrip(")")
        try:
            dtype = np.dtype(NUMPY_TYPES.get(element, element))
        except TypeError:
            raise RunnerError("input", f"input {tensor.name!r} is a {tensor.type}, which cannot be filled") from None
        value = fill(rng, tensor.name, dtype, shape_to_run(tensor.name, tensor.shape, spec["shapes"]), 0.0, 0)
        binding.bind_ortvalue_input(tensor.name, onnxruntime.OrtValue.ortvalue_from_numpy(value))
    for tensor in session.get_outputs():
        binding.bind_output(tensor.name)
    facts = onnxruntime_delegation(session)
    run = session.run_with_iobinding
    return (lambda: run(binding)), dict(facts, runtime_version=version, baseline_memory_bytes=baseline)


def onnxruntime_delegation(session: Any) -> Facts:
    """How many of the nodes the requested execution provider took, where this onnxruntime tells."""
    facts: Facts = {"ops": None, "delegated_ops": None, "delegate": "CPU", "partitions": None}
    if hasattr(session, "get_provider_graph_assignment_info"):
        parts = [(part.ep_name, len(part.get_nodes())) for part in session.get_provider_graph_assignment_info()]
        facts["ops"] = sum(count for _, count in parts)
        facts["delegated_ops"] = sum(count for name, count in parts if name == "CPUExecutionProvider")
    return facts


LOADERS = {"litert": load_litert, "onnxruntime": load_onnxruntime}


def warm_up(invoke: Callable[[], Any], runs: int, seconds: float) -> int:
    """Runs until both `runs` and `seconds` are reached; returns the number of runs."""
    end = time.perf_counter() + seconds
    done = 0
    while done < runs or time.perf_counter() < end:
        invoke()
        done += 1
    return done


def sample(invoke: Callable[[], Any], spec: Facts) -> tuple[list[int], list[int]]:
    """Wall and thread CPU nanoseconds of each run. The CPU clock is a system call, so it is read outside."""
    wall, cpu = [], []
    clock, cpu_clock = time.perf_counter_ns, time.thread_time_ns
    end = clock() + int(spec["max_s"] * 1e9)
    for run in range(spec["max_runs"]):
        cpu_start = cpu_clock()
        start = clock()
        invoke()
        stop = clock()
        cpu.append(cpu_clock() - cpu_start)
        wall.append(stop - start)
        if stop > end and run + 1 >= spec["min_runs"]:
            break
    return wall, cpu


def launch(spec: Facts, emit: Callable[..., None]) -> None:
    if spec["accelerator"] != "cpu":
        raise RunnerError("accelerator", f"this runner knows the accelerator cpu, not {spec['accelerator']!r}")
    read_into_page_cache(spec["model"])
    started = time.perf_counter()
    invoke, facts = LOADERS[spec["runtime"]](spec)
    emit("loaded", startup_s=time.perf_counter() - started, **facts)
    started = time.perf_counter()
    invoke()
    first = time.perf_counter() - started
    gc.collect()  # before the warm-up, since it evicts the model from the processor's caches
    gc.disable()
    warmups = warm_up(invoke, spec["warmup_runs"], spec["warmup_s"])
    before = involuntary_switches()
    wall, cpu = sample(invoke, spec)
    after = involuntary_switches()
    emit(
        "samples",
        first_inference_s=first,
        warmup_runs=warmups,
        samples_ns=wall,
        cpu_ns=cpu,
        involuntary_switches=None if before is None or after is None else after - before,
        peak_memory_bytes=memory_bytes("VmHWM"),
    )


def main() -> int:
    # Python puts a script's folder first on the path, where onnxruntime.py would hide the real one.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    # The runtimes may print to standard output: that goes to standard error, and only records go out.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def emit(record: str, **fields: Any) -> None:
        out.write(json.dumps(dict(fields, record=record)) + "\n")
        out.flush()

    try:
        spec = json.load(sys.stdin)
        if hasattr(signal, "alarm"):
            # Ends a hung run by itself, even inside the runtime: a device's other end may be gone by then.
            signal.alarm(int(spec["timeout_s"]) + 1)
        launch(spec, emit)
    except Exception as error:
        code = error.code if isinstance(error, RunnerError) else type(error).__name__
        emit("error", code=code, message=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
