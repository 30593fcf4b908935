"""Finds the Python on a board that is to run the runner."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgeeff.errors import DeviceError, MeasurementError

from ._ssh_link import Link

OLDEST = (3, 8)
"""What the runner needs."""

VENV = "venv"
"""In our folder on the board: where the runtimes are best installed, since a distribution's own Python refuses pip."""

# Looks for packages without importing them: a broken one must not end this.
_PROBE = """
import json, sys
from importlib.util import find_spec
names = ("ai_edge_litert", "tflite_runtime", "onnxruntime")
print(json.dumps({"version": sys.version_info[:3], "runtimes": [n for n in names if find_spec(n) is not None]}))
"""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter, and which runtimes are installed in it."""

    argv: tuple[str, ...]
    version: tuple[int, ...]
    runtimes: tuple[str, ...]


def find_python(link: Link, candidates: Sequence[str]) -> Python:
    """The first candidate that has a runtime, or else the first that is new enough.

    Raises:
        DeviceError: the board has no Python, or only one that is too old.
    """
    found = list(_probed(link, candidates))
    able = [python for python in found if python.version >= OLDEST]
    for python in able:
        if python.runtimes:
            return python
    if able:
        return able[0]
    needed = ".".join(map(str, OLDEST))
    if found:
        version = ".".join(map(str, found[0].version))
        raise DeviceError(
            f"the Python on {link.address} is {version}; the runner needs {needed} or later",
            'install one beside it, and name it in a device file: python = "/path/bin/python3"',
        )
    raise DeviceError(
        f"there is no Python on {link.address}",
        'install one there (apt install python3-venv, say), or name it in a device file: python = "/path/bin/python3"',
    )


def _probed(link: Link, candidates: Sequence[str]) -> Iterator[Python]:
    for program in dict.fromkeys(candidates):
        answer: Any = None
        try:
            for line in link.lines([program, "-c", _PROBE], stdin="", timeout_s=60.0, on_stderr=None):
                with contextlib.suppress(ValueError):
                    answer = json.loads(line)
        except MeasurementError:
            continue
        except DeviceError:
            link.require()
            continue
        if isinstance(answer, dict) and "version" in answer:
            yield Python((program,), tuple(answer["version"]), tuple(answer.get("runtimes", ())))
