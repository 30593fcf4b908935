"""The two sides of a pair: models in this process, or in one of their own that takes its turns over pipes."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import time

from ._facts import RunnerError, involuntary_switches, read_into_page_cache, voluntary_switches
from ._measure import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._facts import Facts
    from ._loaded import Loaded

MAX_VALUES = 1 << 20
"""Of one output that are compared; 4 MB of float32."""


class Local:
    """A model that is loaded here."""

    def __init__(self, spec: Facts) -> None:
        read_into_page_cache(spec["model"])
        self.model = load(spec)
        self.facts = self.model.facts
        self._waited = 0

    def call(self) -> tuple[int, int]:
        """Wall and thread CPU nanoseconds of one run."""
        waited = voluntary_switches()
        cpu_start = time.thread_time_ns()
        start = time.perf_counter_ns()
        self.model.invoke()
        stop = time.perf_counter_ns()
        cpu = time.thread_time_ns() - cpu_start
        if waited is not None:
            self._waited += (voluntary_switches() or 0) - waited
        return stop - start, cpu

    def waited(self) -> int | None:
        """How often the calls so far waited for something."""
        return None if voluntary_switches() is None else self._waited

    def outputs(self) -> Facts:
        return described(self.model)

    def switches(self) -> int | None:
        return involuntary_switches()

    def close(self) -> None:
        """It ends with this process."""


class Remote:
    """A model in a process of its own, which waits while the other side has its turn.

    Args:
        python: the argument list that starts its interpreter.
    """

    def __init__(self, spec: Facts, python: list[str]) -> None:
        argv = [*python, sys.argv[0]]
        try:
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            raise RunnerError("python", f"cannot start {python[0]}: {error.strerror}") from error
        try:
            self._write(json.dumps(dict(spec, mode="resident")))
            self.facts = self._record("loaded")
        except BaseException:
            self.close()
            raise

    def call(self) -> tuple[int, int]:
        self._write("call")
        answer = self._read()
        try:
            wall, cpu = answer.split()
            return int(wall), int(cpu)
        except ValueError:
            raise RunnerError("resident", f"the other process said {answer[:200]!r}") from None

    def outputs(self) -> Facts:
        self._write("outputs")
        return self._record("outputs")

    def switches(self) -> int | None:
        return self._count("switches")

    def waited(self) -> int | None:
        return self._count("waited")

    def _count(self, what: str) -> int | None:
        self._write(what)
        count: int | None = json.loads(self._read())
        return count

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # it has died already
                    pipe.close()
        self._process.kill()
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._died() from None

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return line.decode()

    def _record(self, kind: str) -> Facts:
        record: Facts = json.loads(self._read())
        found = record.pop("record")
        if found == "error":
            raise RunnerError(str(record.get("code")), str(record.get("message")))
        if found != kind:
            raise RunnerError("resident", f"the other process wrote a record {found!r}, not {kind!r}")
        return record

    def _died(self) -> RunnerError:
        return RunnerError("died", f"its process ended with exit code {self._process.wait()}")


def described(model: Loaded) -> Facts:
    """Inputs and outputs as a record can hold them; integers as the real numbers that they stand for."""
    import numpy as np

    outputs = []
    for name, value, scale, zero in model.outputs():
        real = np.asarray(value).astype(np.float32)
        if scale > 0:
            real = (real - np.float32(zero)) * np.float32(scale)
        flat = np.ascontiguousarray(real.reshape(-1)[:MAX_VALUES]).astype("<f4")
        text = base64.b64encode(flat.tobytes()).decode()
        outputs.append({"name": name, "shape": list(real.shape), "values": text})
    return {"inputs": model.inputs, "outputs": outputs}


def open_side(spec: Facts, name: str) -> Local | Remote:
    """A side of a spec: in this process, or in one of the interpreter that it names."""
    side = spec["sides"][name]
    wanted = dict({key: value for key, value in spec.items() if key != "sides"}, **side)
    python: Any = wanted.pop("python", None)
    return Remote(wanted, python) if python else Local(wanted)
