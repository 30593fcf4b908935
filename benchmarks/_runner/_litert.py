"""LiteRT's interpreter, or that of tflite_runtime where the former is missing."""

from __future__ import annotations

from ._facts import first_installed, memory_bytes
from ._inputs import fill, shape_to_run
from ._loaded import Loaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._facts import Facts


def load_litert(spec: Facts) -> Loaded:
    """A model with its inputs filled, and what the runtime says of it."""
    interpreter, version, baseline = open_litert(spec)
    facts = dict(litert_delegation(interpreter), runtime_version=version, baseline_memory_bytes=baseline)
    return Loaded(interpreter.invoke, lambda: outputs_of(interpreter), inputs_of(interpreter), facts)


def open_litert(spec: Facts) -> tuple[Any, str, int | None]:
    """An interpreter with its inputs filled, the runtime's version, and this process's memory before it."""
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
        shape = channels_first(tensor["shape"].tolist())
        value = fill(rng, tensor["name"], dtype, shape, scale, zero)
        interpreter.set_tensor(tensor["index"], value.transpose(0, 2, 3, 1) if len(shape) == 4 else value)
    return interpreter, version, baseline


def inputs_of(interpreter: Any) -> list[Facts]:
    """As `Loaded.inputs` has them."""
    import numpy as np

    return [
        {"name": d["name"], "dtype": np.dtype(d["dtype"]).name, "shape": channels_first(d["shape"].tolist())}
        for d in interpreter.get_input_details()
    ]


def outputs_of(interpreter: Any) -> list[tuple[str, Any, float, int]]:
    """As `Loaded.outputs` gives them."""
    found = []
    for tensor in interpreter.get_output_details():
        value = interpreter.get_tensor(tensor["index"])
        scale, zero = tensor["quantization"]
        found.append((tensor["name"], value.transpose(0, 3, 1, 2) if value.ndim == 4 else value, scale, zero))
    return found


def channels_first(shape: list[int]) -> list[int]:
    """Of a picture in TFLite's layout: so every format is fed, and gives, the same picture."""
    return [shape[0], shape[3], shape[1], shape[2]] if len(shape) == 4 else shape


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
