"""Which benchmark_model this is, by its own --help, and the flags that ask it for a launch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgeeff.errors import UsageError
from edgeeff.measuring.commands import Request

_RUNS = ("num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs")
_OLD = frozenset({"graph", "num_threads", *_RUNS, "use_gpu", "use_nnapi", "input_layer", "input_layer_shape"})
"""What TFLite's had in 2019, before it listed its flags."""
_LIBRARIES = ("dispatch_library_path", "compiler_plugin_library_path")
"""What runs a compiled network, and what compiles one on the device: folders, in which they have known names."""


@dataclass(frozen=True, slots=True)
class Flags:
    """A runner's flags.

    Args:
        version: 1 for TFLite's, 2 for LiteRT's.
    """

    version: int
    offered: frozenset[str]

    @property
    def accelerators(self) -> tuple[str, ...]:
        names = {"gpu": ("use_gpu",), "npu": ("use_npu", "use_nnapi")}
        return ("cpu", *(name for name, flags in names.items() if self.offered & set(flags)))


def read_flags(lines: Sequence[str]) -> Flags | None:
    """Of the answer to --help; None where it is not benchmark_model's."""
    offered = frozenset(re.findall(r"(?m)^\s*--([\w-]+)=", "\n".join(lines)))
    if {"graph", "num_runs"} <= offered:
        return Flags(2 if "use_cpu" in offered else 1, offered)
    if any("name of your TF Lite input file" in line for line in lines):
        return Flags(1, _OLD)
    return None


def arguments(flags: Flags, request: Request, result_path: str, npu_libraries: str | None = None) -> tuple[str, ...]:
    """The flags of one launch.

    Args:
        npu_libraries: the folder on the device with the vendor's libraries, which v2 takes its NPU from.

    Raises:
        UsageError: the runner does not offer what is asked for, or lacks what it takes.
    """
    if request.accelerator not in flags.accelerators:
        raise UsageError(
            f"this benchmark_model does not offer the accelerator {request.accelerator}",
            f"it offers {', '.join(flags.accelerators)}; take another with --runner FILE",
        )
    wanted = dict([*_common(request), *_accelerator(flags, request), *_shapes(flags, request)])
    if _takes_libraries(flags, request):
        if not npu_libraries:
            raise UsageError(
                "LiteRT's benchmark_model reaches an NPU only through its vendor's libraries",
                "put libLiteRtDispatch_*.so and what it needs into a folder on the device, and name that folder in a "
                "device file: npu_libraries = ... (devices/README.md)",
            )
        wanted |= {name: npu_libraries for name in _LIBRARIES if name in flags.offered}
    if "result_file_path" in flags.offered:
        wanted["result_file_path"] = result_path
    return tuple(f"--{name}={value}" for name, value in wanted.items())


def environment(flags: Flags, request: Request, npu_libraries: str | None) -> tuple[str, ...]:
    """What comes before the program: its libraries need those beside them, Qualcomm's also those for its DSP."""
    if not npu_libraries or not _takes_libraries(flags, request):
        return ()
    return ("env", f"LD_LIBRARY_PATH={npu_libraries}", f"ADSP_LIBRARY_PATH={npu_libraries}")


def _takes_libraries(flags: Flags, request: Request) -> bool:
    return request.accelerator == "npu" and bool(flags.offered.intersection(_LIBRARIES))


def _common(request: Request) -> Iterator[tuple[str, str]]:
    """It runs until both num_runs and min_secs are reached, or max_secs is over."""
    policy = request.policy
    yield "graph", request.model
    yield "num_threads", str(request.threads)
    yield "num_runs", str(policy.min_runs)
    yield "min_secs", f"{policy.max_s:g}"
    yield "max_secs", f"{max(policy.max_s, policy.timeout_s / 3):g}"
    yield "warmup_runs", str(policy.warmup_runs)
    yield "warmup_min_secs", f"{policy.warmup_s:g}"


def _accelerator(flags: Flags, request: Request) -> Iterator[tuple[str, str]]:
    """Says explicitly what is wanted, since defaults change, and v1 tells the placement only of what was explicit."""
    strict = request.accelerator != "cpu" and not request.allow_fallback
    if request.accelerator == "cpu":
        yield from ((name, "true") for name in ("use_xnnpack",) if name in flags.offered)
    elif request.accelerator == "gpu":
        yield "use_gpu", "true"
        # fp16 where it pays, as the delegate does by default in an app: v1's flag, and v2's since 2.2.
        precisions = {"gpu_precision_loss_allowed": "true", "gpu-precision": "auto"}
        yield from ((name, value) for name, value in precisions.items() if name in flags.offered)
    elif "use_npu" in flags.offered:
        yield "use_npu", "true"
    else:
        yield "use_nnapi", "true"
        yield from ((name, "true") for name in ("disable_nnapi_cpu",) if name in flags.offered and strict)
    if strict and "require_full_delegation" in flags.offered:
        yield "require_full_delegation", "true"
        if "use_cpu" in flags.offered:
            yield "use_cpu", "false"  # v2 aborts on both


def _shapes(flags: Flags, request: Request) -> Iterator[tuple[str, str]]:
    if not request.shapes:
        return
    if "input_layer_shape" not in flags.offered:
        raise UsageError("this benchmark_model cannot be told an input's shape", "convert the network for one shape")
    for name in request.shapes:
        if "," in name or ":" in name:
            raise UsageError(f"benchmark_model cannot be told of the input {name!r}", "rename the input in the file")
    yield "input_layer", ",".join(request.shapes)
    yield "input_layer_shape", ":".join(",".join(map(str, shape)) for shape in request.shapes.values())
