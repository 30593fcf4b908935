"""Times each op of a file in onnxruntime, by its own profiler, which writes a trace in Chrome's format."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from ._measure import warm_up
from ._onnxruntime import open_onnxruntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._facts import Facts

    Step = tuple[str, str, int]

SUFFIX = "_kernel_time"
"""An op's event is called after its node and this; "_fence_before" and "_fence_after" are of older versions."""


def read_trace(events: list[dict[str, Any]], runs: int) -> tuple[list[int], list[list[Step]]]:
    """The last runs of a trace: the microseconds of each, and of its ops: (kernel, node's name, us)."""
    whole = [event for event in events if event.get("name") == "model_run"][-runs:]
    inside: list[list[Step]] = [[] for _ in whole]
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(SUFFIX):
            for i, run in enumerate(whole):
                if run["ts"] <= event["ts"] <= run["ts"] + run["dur"]:
                    kernel = str(event.get("args", {}).get("op_name", ""))
                    inside[i].append((kernel, name[: -len(SUFFIX)], int(event["dur"])))
                    break
    return [int(run["dur"]) for run in whole], inside


def profile_onnxruntime(spec: Facts) -> tuple[list[int], list[list[Step]]]:
    """Runs the model under the profiler: the microseconds of each run, and of its ops."""
    with tempfile.TemporaryDirectory() as folder:

        def enable(options: Any) -> None:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "trace")

        session, binding, _ = open_onnxruntime(spec, enable)

        def run() -> None:
            session.run_with_iobinding(binding)

        warm_up(run, spec["warmup_runs"], spec["warmup_s"])
        end = time.perf_counter() + spec["max_s"]
        done = 0
        while done < spec["min_runs"] or (done < spec["max_runs"] and time.perf_counter() < end):
            run()
            done += 1
        trace = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return read_trace(trace, done)
