"""For which kind of machine a file of integers is made: what onnxruntime's kernels there can and cannot do.

LiteRT's kernels sum in 32 bits everywhere, so a .tflite file serves every machine. Of onnxruntime's:

- x86 without VNNI multiplies uint8 by int8 and sums pairs of the products in 16 bits (`pmaddubsw`), which cut off at
  32,767: 255 * 127 twice is 64,770. AVX-512 without VNNI does the same. Which pairs these are was found by running
  onnxruntime 1.32 on an emulated Haswell: neighbours 0 and 1, 2 and 3 ... of a channel's weights, ordered by row,
  column and input channel; depthwise convolutions are not among them.
- x86 with VNNI sums in 32 bits, and its convolutions take uint8 values.
- ARM's take int8 values and int8 weights. Without dot product instructions they sum pairs in 16 bits as well, and
  128 * 127 twice fits these. Where onnxruntime 1.32 found no such instructions (a 64-bit ARM emulated by qemu 10), it
  fused all of Lite0 and B0 and gave, bit for bit, the outputs that the files for x86-vnni give on x86.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edgeeff.errors import unknown_name


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine.

    Args:
        unsigned: values are stored as uint8, not int8.
        pairs_saturate: sums of two products are cut off at 16 bits, so weights must leave room for that.
    """

    name: str
    unsigned: bool
    pairs_saturate: bool


ARM = "arm"
HOST = "host"

MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine(ARM, unsigned=False, pairs_saturate=False),
        Machine("x86-avx2", unsigned=True, pairs_saturate=True),
        Machine("x86-vnni", unsigned=True, pairs_saturate=False),
    )
}


def find_machine(name: str) -> Machine:
    """A kind of machine by its name; "host" is the one that this runs on.

    Raises:
        UsageError: there is no such kind.
    """
    if name == HOST:
        return this_machine()
    if name not in MACHINES:
        raise unknown_name("machine", name, [HOST, *MACHINES])
    return MACHINES[name]


@cache
def this_machine() -> Machine:
    """By the architecture and, on x86, what the processor says of itself; without a word of VNNI, it has none."""
    flags = set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                flags.update(line.split())
                break
    except OSError:  # not on Linux
        pass
    return machine_of(platform.machine(), flags)


def machine_of(architecture: str, flags: set[str]) -> Machine:
    """The kind of machine of an architecture as `uname -m` calls it, with the flags of Linux's /proc/cpuinfo."""
    if is_arm(architecture):
        return MACHINES[ARM]
    return MACHINES["x86-vnni" if flags & {"avx512_vnni", "avx_vnni"} else "x86-avx2"]


def is_arm(architecture: str) -> bool:
    """By the name that `uname -m` or Android gives: aarch64, arm64, armv7l, arm64-v8a."""
    return architecture.lower().startswith(("arm", "aarch64"))
