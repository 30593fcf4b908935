"""Shape inference of one model in a process of its own: a serialised model on stdin, its inferred form on stdout.

onnx's inference trusts its input: a split into 2^40 parts, or a shape doubled forty times, takes all memory there
is, and it can also take hours or crash. Here that costs this process alone.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 60.0
MEMORY_BYTES = 1 << 30


def infer_shapes(model: bytes) -> bytes | None:
    """The model with the shapes of its values, as far as they can be inferred; None where inference failed."""
    # -P: this folder holds a module called onnx, which must not stand before the package.
    argv = [sys.executable, "-P", str(Path(__file__))]
    # One thread, whose memory is not counted per core of a large machine.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        run = subprocess.run(argv, input=model, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout if run.returncode == 0 else None


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows, and not everywhere permitted
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _main() -> None:
    import onnx

    _limit_memory()
    inferred = onnx.shape_inference.infer_shapes(sys.stdin.buffer.read(), data_prop=True)
    sys.stdout.buffer.write(inferred.SerializeToString())


if __name__ == "__main__":
    _main()
