"""Where benchmark_model says that the ops ran, and what it says went wrong.

v1 announces each delegate that it was told to apply; v2 announces nothing. TFLite itself, below both, counts the nodes
that a delegate takes, where its log is verbose enough; LiteRT counts the ops that it compiles for an NPU.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

_DELEGATES = {
    "cpu": "xnnpack",
    "gpu": "gpu|litert_(cl|gl|metal|vulkan)|opencl|opengl",
    "npu": "nnapi|npu|dispatch|qnn|hexagon|neuron|edgetpu|tpu|coreml",
}
"""Accelerator -> what is in the name of its delegate; v2's for Android's GPU is LITERT_CL."""
_ANNOUNCED = re.compile(
    r"(?:Explicitly applied|Though) (\S+) delegate(?: is explicitly applied)?, (?:and )?the model graph will "
    r"(be completely|be partially|not be) executed by the delegate(?: w/ (\d+) delegate kernels)?"
)
_COUNTED = re.compile(
    r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]*)\) node, yielding (\d+) partitions"
)
_COMPILED = re.compile(
    r"Partitioned subgraph<\d+>, selected (\d+) ops, from a total of (\d+) ops\. resulted in (\d+) partitions"
)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the ops ran, as far as the output tells.

    Args:
        delegate: that took ops, or was asked to; the accelerator's name where nothing says which.
        complete: whether it took all of them.
        partitions: kernels that the delegate made of its ops.
    """

    delegate: str | None = None
    ops: int | None = None
    delegated_ops: int | None = None
    partitions: int | None = None
    complete: bool | None = None


def read_placement(lines: Sequence[str], accelerator: str) -> Placement:
    """Which delegate took how much of the network.

    The partitions that TFLite counts are also those outside the delegate, so they say the number of kernels only where
    it is one. A network that was compiled for an NPU on the device has one node for each part of it: its ops are those
    that the compiler counts.
    """
    text = "\n".join(lines)
    named = re.compile(_DELEGATES[accelerator], re.IGNORECASE)
    announced, counted = _ANNOUNCED.findall(text), _COUNTED.findall(text)
    ours = [line for line in announced if named.search(line[0])]
    replaced = next((line for line in counted if named.search(line[2])), None)
    if replaced is None and not ours:
        # Where another delegate took ops and the accelerator's is not named, it took none.
        unnamed = counted and not announced
        return Placement(accelerator, int(counted[0][1]), 0, complete=False) if unnamed else Placement()
    delegate, extent, number = ours[-1] if ours else (None, "", "")
    kernels = int(number) if number else 1 if extent == "be completely" else None
    if replaced is None:
        return Placement(delegate, partitions=kernels, complete=extent == "be completely")
    delegated, ops = int(replaced[0]), int(replaced[1])
    if kernels is None and replaced[3] == "1":
        kernels = 1
    found = Placement(delegate or replaced[2], ops, delegated, kernels, delegated == ops)
    return _of_the_file(found, _COMPILED.findall(text)) if accelerator == "npu" else found


def _of_the_file(placement: Placement, compiled: Sequence[tuple[str, str, str]]) -> Placement:
    """The same in the ops of the file, where the device compiled it."""
    if not compiled:
        return placement
    taken, ops, parts = (sum(int(line[i]) for line in compiled) for i in range(3))
    complete = placement.complete is True and taken == ops
    return replace(placement, ops=ops, delegated_ops=taken, partitions=parts, complete=complete)


def read_fault(lines: Sequence[str]) -> str | None:
    """What the output says went wrong, in one sentence; None where nothing did."""
    text = "\n".join(lines)
    unknown = re.search(r"Unconsumed cmdline flags: *(.*\S)", text)
    if unknown:
        return f"the runner does not know {unknown[1]}: take a newer one, or leave out what asks for it"
    failed = re.search(r"Failed to apply (\S+) delegate", text)
    if failed:
        return f"the {failed[1]} delegate cannot be applied to this network on this device"
    if "No usable Dispatch runtime found" in text:
        return "LiteRT finds no library for this NPU in the folder that the device file names as npu_libraries"
    if "Disallowed CPU fallback detected" in text:
        return "the accelerator does not take the whole network: --allow-fallback measures it as it is"
    return None
