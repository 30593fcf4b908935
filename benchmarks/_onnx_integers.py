"""Does onnxruntime compute in integers what a file means to be integer, and does it compute it right?

What is meant is in the file: an operator whose operands all come from DequantizeLinear and whose result goes into
QuantizeLinear. What becomes of it is in the model that onnxruntime has optimised, which it writes on request.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeeff.errors import MissingExtraError
from edgeeff.int8.machines import this_machine
from edgeeff.parity import sqnr_db

if TYPE_CHECKING:
    from edgeeff.protocols import Array

INTEGER_OPERATORS = {
    "Conv": "QLinearConv",
    "Gemm": "QGemm",
    "MatMul": "QLinearMatMul",
    "Add": "QLinearAdd",
    "Mul": "QLinearMul",
    "Sigmoid": "QLinearSigmoid",
    "GlobalAveragePool": "QLinearGlobalAveragePool",
}
"""What onnxruntime makes of an operator between DequantizeLinear and QuantizeLinear."""

_AGREEMENT_DB = 12.0
"""Of the integer kernels and the same file in float arithmetic, which rounds in its own way: 20 dB or more; sums that
are cut off leave 0 to 9."""


def has_integers(path: Path) -> bool:
    """Whether the file has a QuantizeLinear."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"QuantizeLinear") >= 0


def check_integers(path: Path, inputs: Sequence[Array], runtime: Any) -> tuple[list[Array], list[str]]:
    """The outputs, and one sentence for each kind of operator that is not integer, or that computes something else.

    A file for another machine is run in the kernels that there are here; where these cut sums off and the file was not
    made for that, in float arithmetic with the same roundings.
    """
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        fast = _session(path, runtime, optimised)
        defects = list(_left_in_float(_load(path), _load(optimised)))
    names = [tensor.name for tensor in fast.get_inputs()]
    exact = _session(path, runtime, None)
    machine = fast.get_modelmeta().custom_metadata_map.get("machine", this_machine().name)
    if this_machine().pairs_saturate and machine != this_machine().name:
        outputs: list[Array] = exact.run(None, dict(zip(names, inputs, strict=True)))
        return outputs, defects
    outputs = fast.run(None, dict(zip(names, inputs, strict=True)))
    one = dict(zip(names, (value[:1] for value in inputs), strict=True))
    agreement = sqnr_db(_real(exact.run(None, one)), _real(fast.run(None, one)))
    if agreement < _AGREEMENT_DB:
        defects.append(
            f"onnxruntime's integer kernels and the same arithmetic in float differ: {agreement:.1f} dB, the limit is "
            f"{_AGREEMENT_DB:g} dB"
        )
    return outputs, defects


def _real(outputs: Sequence[Array]) -> list[Any]:
    return [output.astype("float32") for output in outputs]


def _session(path: Path, runtime: Any, optimised: Path | None) -> Any:
    """A session; with a path, one that writes there what it made of the file, else one that computes it as written."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # it warns that an optimised file is for this machine only
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
        # x86 has kernels for int8 values, which are slower than those for uint8 and not used unasked.
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    else:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _load(path: Path) -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnx", "onnx", "checking what onnxruntime makes of integers") from error
    return onnx.load(str(path)).graph


def _left_in_float(written: Any, optimised: Any) -> Iterator[str]:
    """Says so where there are fewer integer operators than there should be."""
    meant = integer_units(written)
    found = Counter(node.op_type for node in optimised.node)
    for op_type, count in sorted(meant.items()):
        left = count - found[INTEGER_OPERATORS[op_type]]
        if left > 0:
            yield f"onnxruntime computes {left} of {count} {op_type} in float that are meant to be integer"


def integer_units(graph: Any) -> Counter[str]:
    """How many operators of each type stand between DequantizeLinear and QuantizeLinear."""
    makers = {name: node.op_type for node in graph.node for name in node.output}
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    return Counter(
        node.op_type
        for node in graph.node
        if node.op_type in INTEGER_OPERATORS
        and all(makers.get(name) == "DequantizeLinear" for name in node.input)
        and readers.get(node.output[0]) == {"QuantizeLinear"}
    )
