"""onnxruntime's execution provider for the CPU."""

from __future__ import annotations

from ._facts import RunnerError, first_installed, memory_bytes
from ._inputs import fill, shape_to_run
from ._loaded import Loaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._facts import Facts

NUMPY_TYPES = {"float": "float32", "double": "float64"}  # where onnxruntime's names differ


def load_onnxruntime(spec: Facts) -> Loaded:
    """A model with its inputs filled, and what the runtime says of it."""
    session, binding, about = open_onnxruntime(spec)
    run, names = session.run_with_iobinding, [tensor.name for tensor in session.get_outputs()]
    facts = dict(onnxruntime_delegation(session), **about)
    return Loaded(lambda: run(binding), lambda: outputs_of(binding, names), inputs_of(session, spec), facts)


def open_onnxruntime(spec: Facts, configure: Callable[[Any], None] = lambda options: None) -> tuple[Any, Any, Facts]:
    """A session, its inputs and outputs bound, and the runtime's version and this process's memory before it.

    Args:
        configure: sets further options.
    """
    onnxruntime, version = first_installed("onnxruntime")
    import numpy as np

    baseline = memory_bytes("VmRSS")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = spec["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    configure(options)
    session = onnxruntime.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(spec["seed"])
    binding = session.io_binding()
    binding.fed = []  # onnxruntime uses an array's memory, and up to 1.24 at least does not keep it alive
    for tensor in session.get_inputs():
        element = tensor.type.partition("(")[2].rstrip(")")
        try:
            dtype = np.dtype(NUMPY_TYPES.get(element, element))
        except TypeError:
            raise RunnerError("input", f"input {tensor.name!r} is a {tensor.type}, which cannot be filled") from None
        value = fill(rng, tensor.name, dtype, shape_to_run(tensor.name, tensor.shape, spec["shapes"]), 0.0, 0)
        binding.fed.append(onnxruntime.OrtValue.ortvalue_from_numpy(value))
        binding.bind_ortvalue_input(tensor.name, binding.fed[-1])
    for tensor in session.get_outputs():
        binding.bind_output(tensor.name)
    return (
        session,
        binding,
        {
            "runtime_version": version,
            "build_type": build_type(onnxruntime),
            "baseline_memory_bytes": baseline,
        },
    )


def build_type(onnxruntime: Any) -> str | None:
    """Of "ORT Build Info: git-branch=main, git-commit-id=c0ffee, build type=Release"; early versions tell nothing."""
    info = str(onnxruntime.get_build_info()) if hasattr(onnxruntime, "get_build_info") else ""
    return info.partition("build type=")[2].partition(",")[0].strip() or None


def inputs_of(session: Any, spec: Facts) -> list[Facts]:
    """As `Loaded.inputs` has them."""
    found = []
    for tensor in session.get_inputs():
        element = tensor.type.partition("(")[2].rstrip(")")
        shape = shape_to_run(tensor.name, tensor.shape, spec["shapes"])
        found.append({"name": tensor.name, "dtype": NUMPY_TYPES.get(element, element), "shape": shape})
    return found


def outputs_of(binding: Any, names: list[str]) -> list[tuple[str, Any, float, int]]:
    """Of integers onnxruntime does not tell what they stand for."""
    values = binding.copy_outputs_to_cpu()
    return [(names[i], value, 0.0, 0) for i, value in enumerate(values)]


def onnxruntime_delegation(session: Any) -> Facts:
    """How many of the nodes the requested execution provider took, where this onnxruntime tells."""
    facts: Facts = {"ops": None, "delegated_ops": None, "delegate": "CPU", "partitions": None}
    if hasattr(session, "get_provider_graph_assignment_info"):
        parts = [(part.ep_name, len(part.get_nodes())) for part in session.get_provider_graph_assignment_info()]
        facts["ops"] = sum(count for _, count in parts)
        facts["delegated_ops"] = sum(count for name, count in parts if name == "CPUExecutionProvider")
    return facts
