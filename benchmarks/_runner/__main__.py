"""The runner as a program: a spec on standard input, records on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys

from ._facts import RunnerError
from ._measure import launch
from ._pair import pair
from ._profile import profile
from ._records import Records
from ._resident import resident

MODES = {"launch": launch, "pair": pair, "profile": profile, "resident": resident}


def main() -> int:
    # The runtimes may print to standard output: that goes to standard error, and only records go out.
    emit = Records(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    try:
        spec = json.loads(sys.stdin.buffer.readline())
        if hasattr(signal, "alarm"):
            # Ends a hung run by itself, even inside the runtime: a device's other end may be gone by then.
            signal.alarm(int(spec["timeout_s"]) + 1)
        MODES[spec.get("mode", "launch")](spec, emit)
    except Exception as error:
        code = error.code if isinstance(error, RunnerError) else type(error).__name__
        emit("error", code=code, message=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
